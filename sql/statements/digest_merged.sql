-- Counts a mirror's rows; those that were written were hashed while they were merged.
SELECT {label}, count(*), (SELECT coalesce(sum(total), 0) FROM pg_temp.merged WHERE table_name = {label}) FROM {mirror}
