-- Deletes the mirror's rows that the source no longer has. Before the merge, so that a unique value is free for its new row.
WITH deleted AS (
    DELETE FROM ONLY {mirror} AS mirror
    WHERE NOT EXISTS (SELECT FROM {staging} AS staging WHERE {same_key})
    RETURNING 1
)
INSERT INTO pg_temp.merged (table_name, deleted) SELECT {label}, count(*) FROM deleted;
