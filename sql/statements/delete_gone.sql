-- Deletes the keys that the previous snapshot had, unless a row of the new one has taken them.
-- EXCEPT is one pass over both, and each key is looked up by itself (OFFSET 0). As joins they could become nested loops over all
-- pairs: Postgres takes the columns of a key for independent, and a table that was empty when it was analysed for one row.
WITH deleted AS (
    DELETE FROM ONLY {mirror} AS mirror WHERE ctid = ANY (ARRAY(
        SELECT found.place FROM (SELECT {key} FROM {gone} AS gone EXCEPT SELECT {key} FROM {staging} AS staging) AS gone
        CROSS JOIN LATERAL (SELECT mirror.ctid AS place FROM ONLY {mirror} AS mirror WHERE {is_gone} OFFSET 0) AS found
    ))
    RETURNING 1
)
INSERT INTO pg_temp.merged (table_name, deleted) SELECT {label}, count(*) FROM deleted;
