-- Takes the source for this run until the transaction ends; a transaction-level lock is safe behind every pooler.
-- The undo log's triggers read the run's number from the setting. Where another run has the source, says which and since when.
-- Says too whether anybody else can get at what is kept: a run that asks for the lock asks for nothing more.
WITH taken AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0)) AS is_ours,
        set_config('hybrid_backup.run', %(run)s::text, true) AS run
)
SELECT is_ours, other.run, to_char(other.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), other.machine,
    ARRAY(SELECT {schema}.openings(ARRAY[%(schema)s, %(mirror_schema)s]))
FROM taken LEFT JOIN LATERAL (
    SELECT run, started_at, machine FROM {schema}.runs
    WHERE source = %(source)s AND run <> %(run)s AND outcome = 'running' AND NOT is_ours
    ORDER BY run DESC LIMIT 1
) AS other ON true
