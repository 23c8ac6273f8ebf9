-- Inserts what is new and rewrites only what differs: an unchanged row leaves no dead row and no WAL behind.
-- A row that ON CONFLICT updated carries this transaction's number in xmax, an inserted one 0. The hash is that of the row as
-- the mirror now has it, for the digest.
WITH merged AS (
    INSERT INTO {mirror} AS mirror ({columns})
    SELECT {columns} FROM {staging} AS staging
    ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW ({new})
    WHERE ({old_bits}) IS DISTINCT FROM ({new_bits})
    RETURNING mirror.xmax = 0 AS is_new, {hash} AS hash
)
INSERT INTO pg_temp.merged (table_name, inserted, updated, total)
SELECT {label}, count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new), sum(hash) FROM merged;
