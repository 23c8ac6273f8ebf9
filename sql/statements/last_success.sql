-- The newest saved run of a source and its age in seconds by the database's clock.
SELECT run, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    extract(epoch FROM clock_timestamp() - finished_at)::bigint, rows
FROM {schema}.runs
WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)
