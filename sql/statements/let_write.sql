-- Gives the writer role, where there is one, what it needs for the mirrors of one source.
SELECT {schema}.let_write(rolname, %(mirror_schema)s) FROM pg_roles WHERE rolname = %(writer)s
