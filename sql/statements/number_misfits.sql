-- The staged misfits of a run; equal ones are told apart by a number.
SELECT table_name, line_hash, row_number() OVER (PARTITION BY table_name, line_hash ORDER BY line COLLATE "C") AS copy, line
FROM pg_temp.misfits
