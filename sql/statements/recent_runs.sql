-- The last runs of one source, newest first, with their age in seconds by the database's clock.
SELECT run, outcome, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    extract(epoch FROM clock_timestamp() - coalesce(finished_at, started_at))::bigint, rows, bytes_sent, error
FROM {schema}.runs
WHERE source = %(source)s
ORDER BY run DESC
LIMIT %(most)s
