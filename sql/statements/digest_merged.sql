-- Counts a mirror's rows, and computes the digest of those that were merged, as the mirror now holds them.
SELECT {label}, (SELECT count(*) FROM {mirror}), coalesce(sum(('x' || left(md5({line}), 16))::bit(64)::bigint), 0)
FROM {mirror} WHERE ({key}) IN (SELECT {key} FROM {staging})
