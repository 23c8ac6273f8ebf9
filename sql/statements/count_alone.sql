-- Counting beside others' work: SQLite has use for the other core, and two workers more are hardly faster than none.
-- It stays so until the transaction ends: nothing that follows a count, but a proof of whole mirrors, would have had workers.
SET LOCAL max_parallel_workers_per_gather = 0;
