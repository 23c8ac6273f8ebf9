-- Counting beside others' work: SQLite has use for the other core, and two workers more are hardly faster than none.
SET LOCAL max_parallel_workers_per_gather = 0;
