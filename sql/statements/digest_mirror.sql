-- Computes a mirror's digest: its rows, and the sum of their hashes, as lib/tables/digest.py does. ONLY: tables that somebody made INHERIT
-- from the mirror are none of ours.
SELECT {label}, count(*), coalesce(sum({hash}), 0) FROM ONLY {mirror}
