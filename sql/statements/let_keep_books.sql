-- Gives the writer role, where there is one, what it needs for the bookkeeping.
SELECT {schema}.let_keep_books(rolname) FROM pg_roles WHERE rolname = %(writer)s
