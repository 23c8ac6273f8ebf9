-- The private schema of one source's mirrors, and its place in the bookkeeping.
CREATE SCHEMA IF NOT EXISTS {mirror_schema};
SET LOCAL search_path = {mirror_schema};
INSERT INTO {schema}.sources (source, mirror_schema) VALUES (%(source)s, %(mirror_schema)s) ON CONFLICT DO NOTHING
