-- The newest saved run of a source.
SELECT run, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM {schema}.runs
WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)
