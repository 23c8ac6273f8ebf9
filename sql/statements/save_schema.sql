-- Stores the source's schema when it is a new one, and returns its number.
WITH added AS (
    INSERT INTO {schema}.source_schemas (source, definition_hash, definition)
    VALUES (%(source)s, pg_catalog.md5(%(definition)s), %(definition)s)
    ON CONFLICT DO NOTHING
    RETURNING source_schema
)
SELECT source_schema FROM added
UNION ALL
SELECT source_schema FROM {schema}.source_schemas
WHERE source = %(source)s AND definition_hash = pg_catalog.md5(%(definition)s)
