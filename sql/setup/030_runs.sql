-- Opening and closing runs. Functions, because they are all that a role which may only back up can do to the run log
-- and the undo log; they run with their owner's rights, and let nobody touch a run that has ended.

DROP FUNCTION IF EXISTS {schema}.close_dead_runs(text, bigint);
DROP FUNCTION IF EXISTS {schema}.save_run(bigint, jsonb, text, jsonb);
DROP FUNCTION IF EXISTS {schema}.note_drill(text, bigint, double precision, bigint, text);
DROP FUNCTION IF EXISTS {schema}.note_restore(text, bigint);

CREATE OR REPLACE FUNCTION {schema}.open_run(of_source text, on_machine text, by_version text)
RETURNS TABLE (run bigint, mirror_schema text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO {schema}.runs (source, machine, version)
    SELECT sources.source, on_machine, by_version FROM {schema}.sources WHERE sources.source = of_source
    RETURNING runs.run, (SELECT sources.mirror_schema FROM {schema}.sources WHERE sources.source = of_source)
$$;

-- Gives the source to this run until the transaction ends; false where another run has it, or a later one had it. The lock is the
-- transaction's, which is safe behind every pooler; the transaction's number in the run's row says to the undo log whose rows it
-- sees. Whoever has the lock has proven that all runs before it are dead.
CREATE OR REPLACE FUNCTION {schema}.take_source(of_run bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_source text := (
        SELECT source FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE run = of_run AND outcome = 'running' AND (last_run IS NULL OR run > last_run));
BEGIN
    IF of_source IS NULL OR NOT pg_try_advisory_xact_lock({schema}.source_lock(of_source)) THEN
        RETURN false;
    END IF;
    UPDATE {schema}.runs SET outcome = 'failed', finished_at = clock_timestamp(), error = 'killed or cut off before it ended'
    WHERE source = of_source AND run < of_run AND outcome = 'running';
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
-- definition, it is one that is here already; what a table does not name is nought.
CREATE OR REPLACE FUNCTION {schema}.is_readable(snapshot jsonb, definition text, tables jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (definition IS NULL OR json_typeof(definition::json) = 'object') AND snapshot->>'snapshot_hash' ~ '^[0-9a-f]{{64}}$' AND (
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
-- definition, it is the one with the hash that `snapshot` names, which the caller has seen here. What a table does not name is nought.
-- No mark is lower than an earlier one, even if the undo log is empty. Nor does the time fall: where the two clocks differ much, the
-- earlier one is taken.
CREATE OR REPLACE FUNCTION {schema}.save_run(of_run bigint, snapshot jsonb, given_definition text, tables jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_source text;
    hash text := coalesce(md5(given_definition), snapshot->>'definition_hash');
    machine_time timestamptz;
    ahead double precision;
    agree boolean;
    now_here timestamptz;
BEGIN
    SELECT source INTO of_source FROM {schema}.runs WHERE run = of_run AND outcome = 'running' AND xact = pg_current_xact_id() FOR UPDATE;
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
    -- A run that is dated later than now was dated by a wrong clock, unless that is now: no source is younger than its runs.
    IF agree AND now_here >= (SELECT created_at FROM {schema}.sources WHERE source = of_source) THEN
        UPDATE {schema}.runs SET finished_at = now_here, started_at = least(started_at, now_here)
        WHERE source = of_source AND finished_at > now_here;
    END IF;
    INSERT INTO {schema}.source_schemas (source, definition_hash, definition)
    SELECT of_source, hash, given_definition WHERE given_definition IS NOT NULL
    ON CONFLICT (source, definition_hash) DO UPDATE SET definition = given_definition  -- somebody has edited it: so it was
    WHERE source_schemas.definition <> given_definition;
    IF NOT EXISTS (
        SELECT FROM {schema}.source_schemas WHERE source = of_source AND definition_hash = hash AND md5(definition) = hash)
    THEN
        RAISE EXCEPTION 'the definition of % was changed while run % was at work', of_source, of_run;
    END IF;
    INSERT INTO {schema}.run_tables (run, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT of_run, item->>'label', coalesce((item->>'rows')::bigint, 0), coalesce((item->>'inserted')::bigint, 0),
        coalesce((item->>'updated')::bigint, 0), coalesce((item->>'deleted')::bigint, 0), coalesce((item->>'misfits')::bigint, 0),
        coalesce((item->>'digest')::numeric, 0), coalesce((item->>'bytes_sent')::bigint, 0),
        coalesce((item->>'seconds')::double precision, 0)
    FROM jsonb_array_elements(tables) AS item;
    UPDATE {schema}.runs AS this SET outcome = 'saved', snapshot_hash = snapshot->>'snapshot_hash',
        snapshot_bytes = (snapshot->>'snapshot_bytes')::bigint, rows = (snapshot->>'rows')::bigint, bytes_sent = (snapshot->>'bytes_sent')::bigint,
        compared_all = (snapshot->>'compared_all')::boolean, clock_ahead = ahead,
        finished_at = greatest(now_here, (
            SELECT max(finished_at) FROM {schema}.runs AS earlier WHERE source = of_source AND run < of_run AND earlier.outcome = 'saved')),
        undo_mark = greatest((SELECT max(record) FROM {schema}.undo_log),
            (SELECT max(greatest(pruned_to, last.undo_mark)) FROM {schema}.sources LEFT JOIN {schema}.runs AS last ON last.run = last_run)),
        database_bytes = pg_database_size(current_database()),
        source_schema = (SELECT source_schema FROM {schema}.source_schemas WHERE source = of_source AND definition_hash = hash)
    WHERE run = of_run;
    UPDATE {schema}.runs SET started_at = least(started_at, finished_at) WHERE run = of_run;
    INSERT INTO {schema}.lost_history (source, table_name, before_run)
    SELECT of_source, lost, of_run FROM jsonb_array_elements_text(snapshot->'lost') AS lost
    ON CONFLICT (source, table_name) DO UPDATE SET before_run = of_run;
    UPDATE {schema}.sources SET last_run = of_run, restored_run = NULL, origin = snapshot->>'origin',
        origin_machine = snapshot->>'machine', origin_path = snapshot->>'path'
    WHERE source = of_source;
END;
$$;

-- Remembers that the bot's file is as an earlier run left it, so that the next run knows why its size changed, and whose file it is.
CREATE OR REPLACE FUNCTION {schema}.note_restore(of_source text, to_run bigint, by_origin text, on_machine text, at_path text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.sources SET restored_run = to_run, origin = by_origin, origin_machine = on_machine, origin_path = at_path
    WHERE source = of_source AND EXISTS (SELECT FROM {schema}.runs WHERE run = to_run AND runs.source = of_source AND outcome = 'saved')
$$;

-- Records a rehearsal, with who says so: whoever may back up may write one.
CREATE OR REPLACE FUNCTION {schema}.note_drill(
    of_source text, of_run bigint, took double precision, row_count bigint, with_error text, on_machine text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO {schema}.drills (source, run, seconds, rows, error, machine)
    SELECT of_source, of_run, took, row_count, with_error, on_machine
    FROM {schema}.runs WHERE run = of_run AND source = of_source AND outcome = 'saved' AND took BETWEEN 0 AND 1e9 AND row_count >= 0
$$;
