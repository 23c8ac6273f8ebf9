-- Takes the source for this run until the transaction ends (see take_source in sql/setup/030_runs.sql). Where another run has it, or has
-- had it since this one was opened, says which and since when. Says too whether anybody else can get at what is kept, and of the last
-- saved run: whose it was, what it read and left, whether the undo log has seen all changes since, and whether somebody else's triggers,
-- rules or foreign keys are on the mirrors, which may change rows that a merge has written. A run that asks for the lock asks for
-- nothing more.
SELECT is_ours, other.run, to_char(other.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), other.machine,
    other.outcome <> 'running', ARRAY(SELECT {schema}.openings(ARRAY[%(schema)s, %(mirror_schema)s])),
    jsonb_build_object(
        'origin', origin, 'machine', origin_machine, 'path', origin_path, 'is_restored', restored_run IS NOT NULL,
        'run', last_run, 'at', to_char(last.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
        'snapshot_hash', last.snapshot_hash,
        'definition_hash', (
            SELECT md5(definition) FROM {schema}.source_schemas
            WHERE source_schemas.source_schema = last.source_schema AND definition_hash = md5(definition)),
        'tables_hash', (
            SELECT md5(string_agg(concat_ws(' ', rows, misfits, digest, table_name), E'\n' ORDER BY table_name COLLATE "C"))
            FROM {schema}.run_tables WHERE run_tables.run = last_run),
        'is_watched', {schema}.are_books_watched(), 'is_complete', pruned_to <= last.undo_mark,
        'others_act', EXISTS (
            SELECT FROM pg_catalog.pg_trigger
            JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
            JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = %(mirror_schema)s
                AND tgfoid NOT IN (
                    '{schema}.log_undo()'::regprocedure, '{schema}.begin_statement()'::regprocedure, 'unique_key_recheck()'::regprocedure)
        ) OR EXISTS (
            SELECT FROM pg_catalog.pg_rewrite
            JOIN pg_catalog.pg_class ON pg_class.oid = ev_class AND relkind = 'r'
            JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = %(mirror_schema)s))
FROM {schema}.take_source(%(run)s) AS is_ours
JOIN {schema}.sources ON source = %(source)s
LEFT JOIN {schema}.runs AS last ON last.run = last_run
LEFT JOIN LATERAL (
    SELECT run, started_at, machine, outcome FROM {schema}.runs
    WHERE source = %(source)s AND (run > %(run)s OR run < %(run)s AND outcome = 'running') AND NOT is_ours
    ORDER BY run DESC LIMIT 1
) AS other ON true
