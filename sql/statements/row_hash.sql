-- The hash of a row, given the expression of its line: the first half of the MD5, as lib/tables/digest.py computes it.
('x' || left(md5({line}), 16))::bit(64)::bigint
