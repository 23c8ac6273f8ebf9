-- Computes a mirror's digest: its rows, and the sum of the first halves of their lines' MD5, as lib/digest.py does.
SELECT {label}, count(*), coalesce(sum(('x' || left(md5({line}), 16))::bit(64)::bigint), 0) FROM {mirror}
