-- What the merges did to each table, and what the target holds of it now.
SELECT table_name, sum(rows)::bigint, sum(total)::text, sum(inserted)::bigint, sum(updated)::bigint, sum(deleted)::bigint
FROM (
    SELECT table_name, rows, total, 0 AS inserted, 0 AS updated, 0 AS deleted FROM ({held}) AS held (table_name, rows, total)
    UNION ALL
    SELECT table_name, 0, 0, coalesce(inserted, 0), coalesce(updated, 0), coalesce(deleted, 0) FROM pg_temp.merged
) AS found
WHERE table_name = ANY ({labels}::text[])
GROUP BY table_name
