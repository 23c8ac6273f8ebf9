-- Deletes a source's misfits that were not staged. What counts is the line itself: its hash, and the rest, may have been edited
-- by hand. Rows of a table that the source has dropped stay, as its mirror does.
WITH deleted AS (
    DELETE FROM {schema}.misfit_rows AS stored
    WHERE source = {source} AND table_name = ANY ({labels}::text[]) AND NOT EXISTS (
        SELECT FROM ({staged}) AS staged
        WHERE staged.table_name = stored.table_name AND staged.line_hash = stored.line_hash AND staged.copy = stored.copy
            AND staged.line = stored.line)
    RETURNING table_name
)
INSERT INTO pg_temp.merged (table_name, deleted) SELECT table_name, count(*) FROM deleted GROUP BY table_name;
