-- What is told of the last saved run: whose it was, what it read and left, whether the undo log has seen all changes since, and whether
-- somebody else's triggers, rules or foreign keys are on the mirrors, which may change rows that a merge has written.
jsonb_build_object(
    'origin', origin, 'machine', origin_machine, 'path', origin_path, 'is_restored', restored_run IS NOT NULL,
    'run', last_run, 'at', to_char(last.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    'snapshot_hash', (SELECT snapshot_hash FROM {schema}.snapshot_of(last_run)),
    'definition_hash', (
        SELECT definition_hash FROM {schema}.source_schemas
        WHERE source_schemas.source_schema = last.source_schema AND definition_hash = md5(definition || mirrors)),
    'tables_hash', (
        SELECT md5(string_agg(concat_ws(' ', rows, misfits, digest, table_name), E'\n' ORDER BY table_name COLLATE "C"))
        FROM {schema}.left_by(last_run)),
    'is_watched', {schema}.are_books_watched(), 'is_complete', pruned_to <= last.undo_mark,
    'others_act', EXISTS (
        SELECT FROM pg_catalog.pg_trigger
        JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = %(mirror_schema)s
            AND tgfoid NOT IN ({our_triggers})
    ) OR EXISTS (
        SELECT FROM pg_catalog.pg_rewrite
        JOIN pg_catalog.pg_class ON pg_class.oid = ev_class AND relkind = 'r'
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = %(mirror_schema)s))
