-- Which database this is, however it is reached: two targets that are one would be one backup. Nobody else has its number since that
-- server was started.
SELECT concat_ws(' ', pg_postmaster_start_time(), oid) FROM pg_database WHERE datname = current_database()
