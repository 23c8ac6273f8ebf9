-- The newest drill of a source that succeeded, and whether a later one failed.
SELECT run, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    extract(epoch FROM clock_timestamp() - finished_at)::bigint
FROM {schema}.drills WHERE source = %(source)s AND error IS NULL
ORDER BY drill DESC LIMIT 1
