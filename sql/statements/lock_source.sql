-- Takes the source for this run until the transaction ends; a transaction-level lock is safe behind every pooler.
-- Where another run has it, says which and since when. Dead runs of the source are closed: the lock proves them dead.
WITH taken AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0)) AS is_ours
), closed AS (
    UPDATE {schema}.runs
    SET outcome = 'failed', finished_at = clock_timestamp(), error = 'killed or cut off before it ended'
    WHERE source = %(source)s AND run < %(run)s AND outcome = 'running' AND (SELECT is_ours FROM taken)
)
SELECT is_ours, other.run, to_char(other.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), other.machine
FROM taken LEFT JOIN LATERAL (
    SELECT run, started_at, machine FROM {schema}.runs
    WHERE source = %(source)s AND run <> %(run)s AND outcome = 'running'
    ORDER BY run DESC LIMIT 1
) AS other ON true
