-- What the merges have counted, by table.
SELECT table_name, coalesce(sum(inserted), 0)::bigint, coalesce(sum(updated), 0)::bigint, coalesce(sum(deleted), 0)::bigint
FROM pg_temp.merged GROUP BY table_name
