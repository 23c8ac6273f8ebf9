-- Makes the kept rows of one table equal to the staged ones: what vanished is deleted, what is new is inserted.
-- A row's identity is its content, so nothing is ever updated; equal rows are numbered.
WITH staged AS MATERIALIZED (
    SELECT pg_catalog.md5(line) AS line_hash, row_number() OVER (PARTITION BY pg_catalog.md5(line)) AS copy, line
    FROM {staging}
), deleted AS (
    DELETE FROM {schema}.misfit_rows AS kept
    WHERE source = %(source)s AND table_name = %(table)s AND NOT EXISTS (
        SELECT FROM staged WHERE staged.line_hash = kept.line_hash AND staged.copy = kept.copy)
    RETURNING 1
), inserted AS (
    INSERT INTO {schema}.misfit_rows (source, table_name, line_hash, copy, line)
    SELECT %(source)s, %(table)s, line_hash, copy, line FROM staged
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM deleted)
