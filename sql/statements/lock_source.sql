-- Takes the source for this run until the transaction ends (see take_source in sql/setup/030_runs.sql). Where another run has it, or has
-- had it since this one was opened, says which and since when. Says too whether anybody else can get at what is kept, and what is told
-- of the last saved run (last_saved.sql). A run that asks for the lock asks for nothing more.
SELECT is_ours, other.run, to_char(other.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), other.machine,
    other.outcome <> 'running', ARRAY(SELECT {schema}.openings(ARRAY[%(schema)s, %(mirror_schema)s])),
    {last}
FROM {schema}.take_source(%(run)s) AS is_ours
JOIN {schema}.sources ON source = %(source)s
LEFT JOIN {schema}.runs AS last ON last.run = last_run
LEFT JOIN LATERAL (
    SELECT run, started_at, machine, outcome FROM {schema}.runs
    WHERE source = %(source)s AND (run > %(run)s OR run < %(run)s AND outcome = 'running') AND NOT is_ours
    ORDER BY run DESC LIMIT 1
) AS other ON true
