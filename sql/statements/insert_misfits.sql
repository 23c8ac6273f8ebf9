-- Stores the staged misfits that are not there yet; what is stored under their keys has the same lines, because others were deleted.
-- A row's identity is its content, so nothing is ever updated.
WITH inserted AS (
    INSERT INTO {schema}.misfit_rows (source, table_name, line_hash, copy, line)
    SELECT {source}, table_name, line_hash, copy, line FROM ({staged}) AS staged
    WHERE NOT EXISTS (
        SELECT FROM {schema}.misfit_rows AS stored
        WHERE stored.source = {source} AND staged.table_name = stored.table_name AND staged.line_hash = stored.line_hash
            AND staged.copy = stored.copy)
    RETURNING table_name
)
INSERT INTO pg_temp.merged (table_name, inserted) SELECT table_name, count(*) FROM inserted GROUP BY table_name;
