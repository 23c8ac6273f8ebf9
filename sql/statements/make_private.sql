-- Closes a schema after a run had to create or alter a mirror in it (see sql/setup/900_privacy.sql).
SELECT {schema}.make_private(%(mirror_schema)s)
