-- Probe: advisory locks, by which only one run at a time has a source, and the numbers of transactions, by which its records are known.
SELECT pg_try_advisory_xact_lock(0), pg_current_xact_id()
