-- The private schema of one source's mirrors, and its place in the bookkeeping.
CREATE SCHEMA IF NOT EXISTS {mirror_schema};
SET LOCAL search_path = {mirror_schema}, pg_temp;
INSERT INTO {schema}.sources (source, mirror_schema) VALUES ({source}, {mirror_schema_text}) ON CONFLICT DO NOTHING
