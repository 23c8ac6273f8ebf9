-- What a run is told and asked in few messages: all that it must know before it begins, in one answer, and whether the mirrors still have
-- the rows that the last run left. With the rights of who asks.

-- The run of a source that was opened with a ticket: it is among the newest.
CREATE OR REPLACE FUNCTION {schema}.opened_run(of_source text, with_ticket text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT run FROM {schema}.runs
    WHERE with_ticket IS NOT NULL AND source = of_source AND ticket = with_ticket ORDER BY run DESC LIMIT 1
$$;

CREATE OR REPLACE FUNCTION {schema}.mirrors(of_source text, in_schema text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    {mirrors}
$$;

-- What a run has left in every table, as one hash: the client computes the same from its note (lib/postgres/mirrors/last_run.py).
CREATE OR REPLACE FUNCTION {schema}.hash_of_tables(of_run bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT md5(coalesce(string_agg(concat_ws(' ', rows, misfits, digest, table_name), E'\n' ORDER BY table_name COLLATE "C"), ''))
    FROM {schema}.left_by(of_run)
$$;

-- What is told of the last saved run: whose it was, what it read and left, whether the undo log has seen all changes since, and whether
-- somebody else's triggers, rules or foreign keys are on the mirrors, which may change rows that a merge has written.
CREATE OR REPLACE FUNCTION {schema}.last_saved(of_source text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'origin', origin, 'machine', origin_machine, 'path', origin_path, 'is_restored', restored_run IS NOT NULL,
        'run', last_run, 'at', to_char(last.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
        'snapshot_hash', (SELECT snapshot_hash FROM {schema}.snapshot_of(last_run)),
        'definition_hash', (
            SELECT definition_hash FROM {schema}.source_schemas
            WHERE source_schemas.source_schema = last.source_schema AND definition_hash = md5(definition || mirrors)),
        'tables_hash', {schema}.hash_of_tables(last_run),
        'is_watched', {schema}.are_books_watched(), 'is_complete', pruned_to <= last.undo_mark,
        'others_act', EXISTS (
            SELECT FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = mirror_schema AND tgfoid NOT IN ({our_triggers})
        ) OR EXISTS (
            SELECT FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class AND relkind = 'r'
            JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = mirror_schema))
    FROM {schema}.sources LEFT JOIN {schema}.runs AS last ON last.run = last_run WHERE sources.source = of_source
$$;

-- What people changed in the mirrors since the last saved run, with the keys of some rows: every record since then. What no run
-- wrote was made by hand (see 020_undo_log.sql), and one that has a run is of somebody who took the source and saved nothing:
-- what a failed run of ours had written was rolled back.
CREATE OR REPLACE FUNCTION {schema}.hand_edits(of_source text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_array(mirror, operation, rows, keys) ORDER BY mirror, operation), '[]') FROM (
        SELECT mirror, operation, sum(row_count)::bigint AS rows, (array_agg(some_keys ORDER BY record))[1] AS keys FROM (
            SELECT record, mirror, operation, row_count, (
                SELECT string_agg((SELECT string_agg(name || ' = ' || left(line::json ->> name, 60), ', ') FROM unnest(key_columns) AS name), '; ')
                FROM unnest((string_to_array(lines, E'\n'))[1:3]) AS line
            ) AS some_keys
            FROM {schema}.undo_log
            WHERE source = of_source AND record > (
                SELECT undo_mark FROM {schema}.runs WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = of_source))
        ) AS edits
        GROUP BY mirror, operation
    ) AS edited
$$;

-- All that a run must know before it begins; nothing where the source is not here. `run` is the one that was opened with the
-- ticket, and `is_ours` whether it has the source; where another run has it, or has had it since this one was opened, `other` is that
-- one. `openings` are ways in for others. `before` is how many rows each of the bot's tables had when the source was last known to be
-- good: after the last saved run, or as it was restored. What the caller knows by its hash, the mirrors and `before`, does not travel.
CREATE OR REPLACE FUNCTION {schema}.told(of_source text, with_ticket text, known_mirrors text, known_tables text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'run', this_run, 'mirror_schema', mirror_schema, 'may_alter', has_schema_privilege(mirror_schema, 'CREATE'),
        'database_bytes', pg_database_size(current_database()), 'is_ours', is_ours,
        'other', (
            SELECT jsonb_build_object('run', run, 'since', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                'machine', machine, 'has_ended', outcome <> 'running')
            FROM {schema}.runs WHERE source = of_source AND (run > this_run OR run < this_run AND outcome = 'running') AND NOT is_ours
            ORDER BY run DESC LIMIT 1),
        'openings', ARRAY(SELECT {schema}.openings(ARRAY[{schema_name}, mirror_schema])),
        'last', {schema}.last_saved(of_source),
        'edits', {schema}.hand_edits(of_source),
        'is_edited', {schema}.is_edited(of_source),
        'is_accepting', EXISTS (SELECT FROM {schema}.accepted_edits WHERE source = of_source),
        'mirrors', CASE WHEN md5(described::text) IS DISTINCT FROM known_mirrors THEN described END,
        'before', CASE WHEN restored_run IS NOT NULL OR {schema}.hash_of_tables(last_run) IS DISTINCT FROM known_tables THEN (
            SELECT coalesce(jsonb_object_agg(table_name, rows), '{{}}') FROM {schema}.left_by(coalesce(restored_run, last_run))
            WHERE table_name NOT LIKE E'sqlite\\_%') END)
    FROM {schema}.sources
    CROSS JOIN LATERAL (SELECT {schema}.opened_run(of_source, with_ticket)) AS this (this_run)
    CROSS JOIN LATERAL (SELECT EXISTS (
        SELECT FROM {schema}.runs WHERE run = this_run AND outcome = 'running' AND xact = pg_current_xact_id_if_assigned())) AS has (is_ours)
    CROSS JOIN LATERAL {schema}.mirrors(of_source, mirror_schema) AS described
    WHERE sources.source = of_source
$$;

-- The tables of which there are not as many rows, misfits included, as the last run has left: what went with a dropped table is not in
-- the undo log. What is no table, or cannot be read, has none. Beside others' work: the client has use for the other core, and two workers more are hardly faster than none.
CREATE OR REPLACE FUNCTION {schema}.other_counts(of_source text) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    last bigint;
    counts text;
BEGIN
    SELECT last_run INTO STRICT last FROM {schema}.sources WHERE source = of_source;
    SELECT string_agg(format('SELECT %L, count(*) FROM ONLY %s UNION ALL ', label, place), '') INTO counts
    FROM {schema}.runs JOIN {schema}.source_schemas USING (source_schema) JOIN {schema}.sources ON sources.source = of_source
    CROSS JOIN LATERAL json_each_text(mirrors::json) AS mirrored (label, mirror)
    CROSS JOIN LATERAL to_regclass(quote_ident(mirror_schema) || '.' || quote_ident(mirror)) AS place
    JOIN pg_class ON pg_class.oid = place AND relkind = 'r'
    WHERE run = last AND has_table_privilege(place, 'SELECT');
    RETURN QUERY EXECUTE format($statement$
        SELECT held.table_name FROM {schema}.left_by(%s) AS held LEFT JOIN (
            SELECT label, sum(rows) AS rows FROM (
                %s SELECT table_name, count(*) FROM {schema}.misfit_rows WHERE source = %L GROUP BY table_name
            ) AS parts (label, rows) GROUP BY label
        ) AS found ON label = held.table_name
        WHERE held.rows IS DISTINCT FROM coalesce(found.rows, 0)
        $statement$, coalesce(last, 0), coalesce(counts, ''), of_source);
END;
$$;

-- Ends a run that relies on these counts, and names the tables.
CREATE OR REPLACE FUNCTION {schema}.refuse_other_counts(of_source text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    others jsonb := (SELECT jsonb_agg(label) FROM {schema}.other_counts(of_source) AS label);
BEGIN
    IF others IS NOT NULL THEN
        RAISE EXCEPTION 'the mirrors no longer hold what the last run left' USING ERRCODE = 'HB001', DETAIL = others;
    END IF;
END;
$$;

-- Tells the client what no answer can: a message that ends with COMMIT has none.
CREATE OR REPLACE FUNCTION {schema}.tell(what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF what IS NOT NULL THEN
        RAISE WARNING 'told: %', what;
    END IF;
END;
$$;
