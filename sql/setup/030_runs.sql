-- Opening, closing and pruning runs. Functions, because they are all that a role which may only back up can do to the run log
-- and the undo log; they run with their owner's rights, and let nobody touch a run that has ended.

CREATE OR REPLACE FUNCTION {schema}.open_run(of_source text, on_machine text, by_version text)
RETURNS TABLE (run bigint, mirror_schema text)
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    INSERT INTO {schema}.runs (source, machine, version)
    SELECT sources.source, on_machine, by_version FROM {schema}.sources WHERE sources.source = of_source
    RETURNING runs.run, (SELECT sources.mirror_schema FROM {schema}.sources WHERE sources.source = of_source)
$$;

-- Closes runs that died: whoever holds the source's lock has proven them dead.
CREATE OR REPLACE FUNCTION {schema}.close_dead_runs(of_source text, before_run bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    UPDATE {schema}.runs SET outcome = 'failed', finished_at = clock_timestamp(), error = 'killed or cut off before it ended'
    WHERE source = of_source AND run < before_run AND outcome = 'running'
$$;

CREATE OR REPLACE FUNCTION {schema}.fail_run(of_run bigint, with_error text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    UPDATE {schema}.runs SET outcome = 'failed', finished_at = clock_timestamp(), error = with_error
    WHERE run = of_run AND outcome = 'running'
$$;

-- Closes a run as saved, in the transaction that wrote its rows: the run is saved exactly if its rows are.
CREATE OR REPLACE FUNCTION {schema}.save_run(of_run bigint, snapshot jsonb, given_definition text, tables jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    of_source text;
    hash text := md5(given_definition);
BEGIN
    SELECT source INTO of_source FROM {schema}.runs WHERE run = of_run AND outcome = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % has ended', of_run;
    END IF;
    INSERT INTO {schema}.source_schemas (source, definition_hash, definition)
    VALUES (of_source, hash, given_definition)
    ON CONFLICT (source, definition_hash) DO UPDATE SET definition = given_definition  -- somebody has edited it: so it was
    WHERE source_schemas.definition <> given_definition;
    INSERT INTO {schema}.run_tables (run, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT of_run, item->>'label', (item->>'rows')::bigint, (item->>'inserted')::bigint, (item->>'updated')::bigint,
        (item->>'deleted')::bigint, (item->>'misfits')::bigint, (item->>'digest')::numeric,
        (item->>'bytes_sent')::bigint, (item->>'seconds')::double precision
    FROM jsonb_array_elements(tables) AS item;
    UPDATE {schema}.runs SET outcome = 'saved', finished_at = clock_timestamp(), snapshot_hash = snapshot->>'snapshot_hash',
        snapshot_bytes = (snapshot->>'snapshot_bytes')::bigint, rows = (snapshot->>'rows')::bigint, bytes_sent = (snapshot->>'bytes_sent')::bigint,
        undo_mark = (SELECT coalesce(max(record), 0) FROM {schema}.undo_log),
        database_bytes = pg_database_size(current_database()),
        source_schema = (SELECT source_schema FROM {schema}.source_schemas WHERE source = of_source AND definition_hash = hash)
    WHERE run = of_run;
    UPDATE {schema}.sources SET last_run = of_run, restored_run = NULL WHERE source = of_source;
END;
$$;

-- Remembers that the bot's file is as an earlier run left it, so that the next run knows why its size changed.
CREATE OR REPLACE FUNCTION {schema}.note_restore(of_source text, to_run bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    UPDATE {schema}.sources SET restored_run = to_run WHERE source = of_source
$$;

CREATE OR REPLACE FUNCTION {schema}.note_drill(of_source text, of_run bigint, took double precision, row_count bigint, with_error text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    INSERT INTO {schema}.drills (source, run, seconds, rows, error) VALUES (of_source, of_run, took, row_count, with_error)
$$;

-- Deletes what is older than the retention, up to the newest run before it, which stays a restore point: what is needed to
-- go back to any younger run is never touched. Only the owner may shorten the stored retention.
CREATE OR REPLACE FUNCTION {schema}.prune(of_source text, wanted_days integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    days integer;
    oldest {schema}.runs;
BEGIN
    IF pg_has_role(session_user, current_user, 'MEMBER') THEN
        INSERT INTO {schema}.retention (keep_days) VALUES (wanted_days)
        ON CONFLICT (only_row) DO UPDATE SET keep_days = wanted_days WHERE retention.keep_days <> wanted_days;
    END IF;
    days := greatest(wanted_days, (SELECT keep_days FROM {schema}.retention));
    SELECT * INTO oldest FROM {schema}.runs
    WHERE source = of_source AND outcome = 'saved' AND finished_at < clock_timestamp() - make_interval(days => days)
    ORDER BY run DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM {schema}.undo_log WHERE source = of_source AND record <= oldest.undo_mark;
    DELETE FROM {schema}.runs WHERE source = of_source AND run < oldest.run;
    DELETE FROM {schema}.drills WHERE source = of_source AND run < oldest.run;
    DELETE FROM {schema}.source_schemas AS unused WHERE source = of_source
        AND NOT EXISTS (SELECT FROM {schema}.runs WHERE runs.source_schema = unused.source_schema);
    UPDATE {schema}.sources SET pruned_to = oldest.undo_mark WHERE source = of_source AND pruned_to < oldest.undo_mark;
END;
$$;
