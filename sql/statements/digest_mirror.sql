-- Computes a mirror's digest: its rows, and the sum of their hashes, as lib/digest.py does.
SELECT {label}, count(*), coalesce(sum({hash}), 0) FROM {mirror}
