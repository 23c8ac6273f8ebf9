-- What the merges did to each table, the hashes of the rows that they wrote, and what the target holds now of whole tables.
SELECT table_name, sum(rows)::bigint, sum(total)::text, sum(inserted)::bigint, sum(updated)::bigint, sum(deleted)::bigint
FROM (
    SELECT table_name, rows, total, 0 AS inserted, 0 AS updated, 0 AS deleted FROM ({held}) AS held (table_name, rows, total)
    UNION ALL
    SELECT table_name, 0, coalesce(total, 0), coalesce(inserted, 0), coalesce(updated, 0), coalesce(deleted, 0) FROM pg_temp.merged
) AS found
WHERE table_name = ANY ({labels}::text[])
GROUP BY table_name
