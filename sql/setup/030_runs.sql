-- Opening and closing runs. Functions, because they are all that a role which may only back up can do to the run log
-- and the undo log; they run with their owner's rights, and let nobody touch a run that has ended.

DROP FUNCTION IF EXISTS {schema}.open_run(text, text, text);
DROP FUNCTION IF EXISTS {schema}.close_dead_runs(text, bigint);
DROP FUNCTION IF EXISTS {schema}.save_run(bigint, jsonb, text, jsonb);
DROP FUNCTION IF EXISTS {schema}.note_drill(text, bigint, double precision, bigint, text);
DROP FUNCTION IF EXISTS {schema}.note_restore(text, bigint);

-- Older scripts have no ticket: they are told by the schema's version.
CREATE OR REPLACE FUNCTION {schema}.open_run(of_source text, on_machine text, by_version text, with_ticket text DEFAULT NULL)
RETURNS TABLE (run bigint, mirror_schema text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO {schema}.runs (source, machine, version, ticket)
    SELECT sources.source, on_machine, by_version, with_ticket FROM {schema}.sources WHERE sources.source = of_source
    RETURNING runs.run, (SELECT sources.mirror_schema FROM {schema}.sources WHERE sources.source = of_source)
$$;

-- Gives the source to this run until the transaction ends; false where another run has it, or a later one had it. The lock is the
-- transaction's, which is safe behind every pooler; the transaction's number in the run's row says to the undo log whose rows it
-- sees. Whoever has the lock has proven that all runs before it are dead.
CREATE OR REPLACE FUNCTION {schema}.take_source(of_run bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_source text;
    last bigint;
BEGIN
    SELECT source, last_run INTO of_source, last FROM {schema}.runs JOIN {schema}.sources USING (source)
    WHERE run = of_run AND outcome = 'running' AND (last_run IS NULL OR run > last_run);
    IF of_source IS NULL OR NOT pg_try_advisory_xact_lock({schema}.source_lock(of_source)) THEN
        RETURN false;
    END IF;
    UPDATE {schema}.runs SET outcome = 'failed', finished_at = clock_timestamp(), error = 'killed or cut off before it ended'
    WHERE source = of_source AND run < of_run AND run > coalesce(last, 0) AND outcome = 'running';
    PERFORM {schema}.keep_records_rising();
    UPDATE {schema}.runs SET xact = pg_current_xact_id() WHERE run = of_run AND outcome = 'running';
    RETURN FOUND;
END;
$$;

CREATE OR REPLACE FUNCTION {schema}.fail_run(of_run bigint, with_error text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.runs SET outcome = 'failed', finished_at = clock_timestamp(), error = with_error
    WHERE run = of_run AND outcome = 'running'
$$;

-- Whether what a run says of itself can be read by those who will look at it: whoever may back up may say anything. Where there is no
-- definition, it is one that is here already, as are its mirrors; what a table does not name is nought.
CREATE OR REPLACE FUNCTION {schema}.is_readable(snapshot jsonb, definition text, tables jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (definition IS NULL OR json_typeof(definition::json) = 'object' AND json_typeof((snapshot->>'mirrors')::json) = 'object')
        AND snapshot->>'snapshot_hash' ~ '^[0-9a-f]{{64}}$' AND (
        SELECT bool_and(coalesce(snapshot->>number ~ '^[0-9]{{1,15}}$', false)) FROM unnest(ARRAY['snapshot_bytes', 'rows', 'bytes_sent']) AS number)
        AND coalesce(snapshot->>'machine_time' ~ '^[0-9]{{1,12}}([.][0-9]+)?$', false)
        AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(tables) AS item
            WHERE item->>'label' IS NULL OR item->>'digest' !~ '^-?[0-9]{{1,40}}$' OR item->>'seconds' !~ '^[0-9.]{{1,15}}(e-[0-9]+)?$'
                OR EXISTS (
                    SELECT FROM unnest(ARRAY['rows', 'inserted', 'updated', 'deleted', 'misfits', 'bytes_sent']) AS number
                    WHERE item->>number !~ '^[0-9]{{1,15}}$'))
$$;

-- Closes a run as saved, in the transaction that wrote its rows: the run is saved exactly if its rows are. `snapshot` says what was
-- read, by whom and when by the machine's clock, and which tables were found changed behind the undo log's back. Where there is no
-- definition, it is the one with the hash that `snapshot` names, which the caller has seen here, else `snapshot` names its mirrors. What
-- a table does not name is nought; one that is not among `tables` is as the last run left it, and what is as it was is not stored again.
-- No mark is lower than an earlier one, even if the undo log is empty. Nor does the time fall: where the two clocks differ much, the
-- earlier one is taken.
CREATE OR REPLACE FUNCTION {schema}.save_run(of_run bigint, snapshot jsonb, given_definition text, tables jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_source text;
    last bigint;
    hash text := coalesce(md5(given_definition || (snapshot->>'mirrors')), snapshot->>'definition_hash');
    this_schema bigint;
    machine_time timestamptz;
    ahead double precision;
    agree boolean;
    now_here timestamptz;
    is_other_file boolean;
BEGIN
    SELECT source, last_run INTO of_source, last FROM {schema}.runs JOIN {schema}.sources USING (source)
    WHERE run = of_run AND outcome = 'running' AND runs.xact = pg_current_xact_id() FOR UPDATE OF runs;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % has ended, or is not at work in this transaction', of_run;
    END IF;
    IF {schema}.is_readable(snapshot, given_definition, tables) IS NOT TRUE THEN
        RAISE EXCEPTION 'run % says nothing that can be read', of_run;
    END IF;
    machine_time := to_timestamp((snapshot->>'machine_time')::float8);
    ahead := extract(epoch FROM clock_timestamp() - machine_time);
    agree := abs(ahead) < 3600;
    now_here := CASE WHEN agree THEN clock_timestamp() ELSE least(clock_timestamp(), machine_time) END;
    -- A run that is dated later than now was dated by a wrong clock, unless that is now: no source is younger than its runs. When it really
    -- was nobody knows: thinning leaves it alone.
    IF agree AND now_here >= (SELECT created_at FROM {schema}.sources WHERE source = of_source) THEN
        UPDATE {schema}.runs SET finished_at = now_here, started_at = least(started_at, now_here), lived = NULL,
            clock_ahead = greatest(abs(clock_ahead), nullif(extract(epoch FROM finished_at - now_here)::float8, 0))
        WHERE source = of_source AND finished_at > now_here AND run > coalesce((
            SELECT run FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' AND finished_at <= now_here
            ORDER BY run DESC LIMIT 1), 0);
    END IF;
    INSERT INTO {schema}.source_schemas (source, definition_hash, definition, mirrors)
    SELECT of_source, hash, given_definition, snapshot->>'mirrors' WHERE given_definition IS NOT NULL
    ON CONFLICT (source, definition_hash) DO UPDATE SET definition = excluded.definition, mirrors = excluded.mirrors
    WHERE (source_schemas.definition, source_schemas.mirrors) IS DISTINCT FROM (excluded.definition, excluded.mirrors);  -- edited since
    SELECT source_schema INTO this_schema FROM {schema}.source_schemas
    WHERE source = of_source AND definition_hash = hash AND md5(definition || mirrors) = hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the definition of % was changed while run % was at work', of_source, of_run;
    END IF;
    INSERT INTO {schema}.run_tables (run, source, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT of_run, of_source, given.* FROM (
        SELECT item->>'label' AS label, coalesce((item->>'rows')::bigint, 0) AS rows, coalesce((item->>'inserted')::bigint, 0) AS inserted,
            coalesce((item->>'updated')::bigint, 0) AS updated, coalesce((item->>'deleted')::bigint, 0) AS deleted,
            coalesce((item->>'misfits')::bigint, 0) AS misfits, coalesce((item->>'digest')::numeric, 0) AS digest,
            coalesce((item->>'bytes_sent')::bigint, 0), coalesce((item->>'seconds')::double precision, 0)
        FROM jsonb_array_elements(tables) AS item
    ) AS given LEFT JOIN {schema}.left_by(last) AS before ON table_name = label
    WHERE given.inserted + given.updated + given.deleted > 0
        OR (given.rows, given.misfits, given.digest) IS DISTINCT FROM (before.rows, before.misfits, before.digest);
    is_other_file := NOT EXISTS (
        SELECT FROM {schema}.snapshot_of(last) WHERE (snapshot_hash, snapshot_bytes, rows)
            = (snapshot->>'snapshot_hash', (snapshot->>'snapshot_bytes')::bigint, (snapshot->>'rows')::bigint));
    now_here := greatest(now_here, (
        SELECT finished_at FROM {schema}.runs WHERE source = of_source AND run < of_run AND outcome = 'saved' ORDER BY run DESC LIMIT 1));
    UPDATE {schema}.runs SET outcome = 'saved', xact = NULL, ticket = NULL, source_schema = this_schema,
        snapshot_hash = CASE WHEN is_other_file THEN snapshot->>'snapshot_hash' END,
        snapshot_bytes = CASE WHEN is_other_file THEN (snapshot->>'snapshot_bytes')::bigint END,
        rows = CASE WHEN is_other_file THEN (snapshot->>'rows')::bigint END, bytes_sent = nullif((snapshot->>'bytes_sent')::bigint, 0),
        compared_all = nullif((snapshot->>'compared_all')::boolean, false), is_live = nullif((snapshot->>'is_live')::boolean, false),
        clock_ahead = CASE WHEN NOT agree THEN ahead END,
        started_at = least(started_at, now_here), finished_at = now_here,
        undo_mark = greatest((SELECT max(record) FROM {schema}.undo_log),
            (SELECT max(greatest(pruned_to, last.undo_mark)) FROM {schema}.sources LEFT JOIN {schema}.runs AS last ON last.run = last_run)),
        database_bytes = pg_database_size(current_database())
    WHERE run = of_run;
    IF (SELECT count(*) FROM {schema}.left_by(of_run)) < (
        SELECT count(*) FROM {schema}.source_schemas, json_object_keys(mirrors::json) WHERE source_schema = this_schema)
    THEN
        RAISE EXCEPTION 'run % does not say what it has left in every table', of_run;
    END IF;
    INSERT INTO {schema}.lost_history (source, table_name, before_run)
    SELECT of_source, lost, of_run FROM jsonb_array_elements_text(snapshot->'lost') AS lost
    ON CONFLICT (source, table_name) DO UPDATE SET before_run = of_run;
    UPDATE {schema}.edits SET run = of_run WHERE source = of_source AND run IS NULL;
    DELETE FROM {schema}.edits WHERE source = of_source
        AND found_at < clock_timestamp() - (SELECT keep_days FROM {schema}.retention) * interval '1 day';
    UPDATE {schema}.sources SET last_run = of_run, restored_run = NULL, origin = snapshot->>'origin',
        origin_machine = snapshot->>'machine', origin_path = snapshot->>'path',
        warnings = (snapshot->>'warnings')::integer, retired_at = NULL,
        live_at = CASE WHEN snapshot->>'is_live' = 'true' THEN clock_timestamp() ELSE live_at END
    WHERE source = of_source;
END;
$$;

-- Remembers that the bot's file is as an earlier run left it, so that the next run knows why its size changed, and whose file it is.
CREATE OR REPLACE FUNCTION {schema}.note_restore(of_source text, to_run bigint, by_origin text, on_machine text, at_path text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.sources SET restored_run = to_run, origin = by_origin, origin_machine = on_machine, origin_path = at_path,
        restored_mark = coalesce((SELECT max(record) FROM {schema}.undo_log), 0), restored_at = clock_timestamp()
    WHERE source = of_source AND EXISTS (SELECT FROM {schema}.runs WHERE run = to_run AND runs.source = of_source AND outcome = 'saved')
$$;

-- Remembers that a live process has found nothing new since a source's last run: only whoever knows which one that is has looked.
CREATE OR REPLACE FUNCTION {schema}.note_seen(of_sources text[], last_runs bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.sources SET live_at = clock_timestamp()
    FROM unnest(of_sources, last_runs) AS seen (of_source, of_run) WHERE source = of_source AND last_run = of_run
$$;

-- Records a rehearsal, with who says so: whoever may back up may write one.
CREATE OR REPLACE FUNCTION {schema}.note_drill(
    of_source text, of_run bigint, took double precision, row_count bigint, with_error text, on_machine text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO {schema}.drills (source, run, seconds, rows, error, machine)
    SELECT of_source, of_run, took, row_count, with_error, on_machine
    FROM {schema}.runs WHERE run = of_run AND source = of_source AND outcome = 'saved' AND took BETWEEN 0 AND 1e9 AND row_count >= 0
$$;
