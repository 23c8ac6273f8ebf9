-- All that a run must know before it begins (see sql/setup/950_told.sql).
SELECT {schema}.told(%(source)s, %(ticket)s, %(known_mirrors)s, %(known_tables)s)
