-- The newest saved runs of a source, so many or since a time, and those that are kept, newest first: what each left, whether it is a restore
-- point, when it was last proven, of which tables its state may be lost, who keeps it, and how many there are in all. An older release's runs
-- have no columns for who keeps them: then the names are those of `older`.
SELECT runs.run, to_char(runs.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), noted.rows, noted.snapshot_bytes, {lacks} IS NULL,
    (SELECT coalesce(sum(inserted + updated + deleted), 0)::bigint
     FROM {schema}.run_tables WHERE run_tables.run = runs.run AND table_name NOT LIKE E'sqlite\\_%%'),
    (SELECT to_char(max(drills.finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
     FROM {schema}.drills WHERE drills.source = runs.source AND drills.run = runs.run AND error IS NULL),
    ARRAY(SELECT table_name FROM {schema}.lost_history WHERE lost_history.source = runs.source AND before_run > runs.run ORDER BY table_name),
    CASE WHEN runs.kept_at IS NOT NULL THEN jsonb_build_object(
        'why', runs.kept_for, 'by', runs.kept_by, 'at', to_char(runs.kept_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) END,
    (SELECT count(*) FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved')
FROM (VALUES (NULL::timestamptz, NULL::text, NULL::text)) AS older (kept_at, kept_by, kept_for)
CROSS JOIN LATERAL (
    SELECT source, run, finished_at, undo_mark, source_schema, kept_at, kept_by, kept_for
    FROM (SELECT * FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved' ORDER BY run DESC LIMIT %(most)s) AS newest
    WHERE (finished_at >= %(since)s) IS NOT FALSE
    UNION
    SELECT source, run, finished_at, undo_mark, source_schema, kept_at, kept_by, kept_for
    FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved' AND kept_at IS NOT NULL
) AS runs JOIN {schema}.sources USING (source)
LEFT JOIN LATERAL (
    SELECT rows, snapshot_bytes FROM {schema}.runs AS earlier
    WHERE earlier.source = runs.source AND earlier.run <= runs.run AND snapshot_hash IS NOT NULL ORDER BY run DESC LIMIT 1
) AS noted ON true
ORDER BY runs.run DESC
