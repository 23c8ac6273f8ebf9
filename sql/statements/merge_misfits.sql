-- Makes a source's kept rows equal to the staged ones: what vanished is deleted, what is new is inserted.
-- A row's identity is its content, so nothing is ever updated; equal rows are numbered. Rows of a table that the source has
-- dropped stay, as its mirror does.
WITH staged AS MATERIALIZED (
    SELECT table_name, md5(line) AS line_hash, row_number() OVER (PARTITION BY table_name, md5(line)) AS copy, line
    FROM pg_temp.misfits
), deleted AS (
    DELETE FROM {schema}.misfit_rows AS kept
    WHERE source = {source} AND table_name = ANY ({labels}::text[]) AND NOT EXISTS (
        SELECT FROM staged
        WHERE staged.table_name = kept.table_name AND staged.line_hash = kept.line_hash AND staged.copy = kept.copy)
    RETURNING table_name
), inserted AS (
    INSERT INTO {schema}.misfit_rows (source, table_name, line_hash, copy, line)
    SELECT {source}, table_name, line_hash, copy, line FROM staged
    ON CONFLICT DO NOTHING
    RETURNING table_name
)
INSERT INTO pg_temp.merged (table_name, inserted, deleted)
SELECT table_name, count(*), 0 FROM inserted GROUP BY table_name
UNION ALL
SELECT table_name, 0, count(*) FROM deleted GROUP BY table_name;
