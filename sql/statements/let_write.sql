-- Gives the writer role, where there is one, what it needs for the mirrors of one source and for the bookkeeping.
SELECT {schema}.let_keep_books(rolname), {schema}.let_write(rolname, %(mirror_schema)s)
FROM pg_roles WHERE rolname = %(writer)s
