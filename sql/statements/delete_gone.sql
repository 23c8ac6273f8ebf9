-- Deletes the keys that the previous snapshot had, unless a row of the new one has taken them.
-- EXCEPT is one pass over both. As an anti join it can become a nested loop over all pairs: Postgres takes the columns of a key
-- for independent, and expects one row where there are thousands.
WITH deleted AS (
    DELETE FROM {mirror} AS mirror USING (SELECT {key} FROM {gone} EXCEPT SELECT {key} FROM {staging}) AS gone
    WHERE {is_gone}
    RETURNING 1
)
INSERT INTO pg_temp.merged (table_name, deleted) SELECT {label}, count(*) FROM deleted;
