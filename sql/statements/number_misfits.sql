-- The staged misfits of a run; equal ones are told apart by a number.
SELECT table_name, line_hash, row_number() OVER (PARTITION BY table_name, line_hash ORDER BY line COLLATE "C") AS copy, line
FROM (
    SELECT c0 COLLATE "C" AS table_name, md5(c1) COLLATE "C" AS line_hash, c1 AS line FROM pg_temp.staged WHERE part = 0 OFFSET 0
) AS misfit
