-- Deletes the keys that the previous snapshot had, unless a row of the new one has taken them.
WITH deleted AS (
    DELETE FROM {mirror} AS mirror USING {gone} AS gone
    WHERE {is_gone} AND NOT EXISTS (SELECT FROM {staging} AS staging WHERE {same_key})
    RETURNING 1
)
INSERT INTO pg_temp.merged (table_name, deleted) SELECT {label}, count(*) FROM deleted;
