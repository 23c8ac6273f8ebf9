-- Which runs stay restore points, and what the undo log gives up for the others.
--
-- The invariant: a point that is listed as restorable restores to exactly what its run left, and no function removes a point that is
-- younger than what the retention stored here allows, or one that is kept.
--
-- A point's state is what the mirrors have now, with each key as the oldest record after the point's mark says. So where the points between
-- two marks are gone, only the oldest line of each key between them is ever read: the later ones may go, and what stays may move, as long as
-- it stays between the two marks and on the same side of every change by hand. A table's result that a run leaves behind is the next
-- point's, where that has none of its own.

-- Until version 6 there was nothing between keeping every run and none. Stored here, as keep_days is, so that only the owner can shorten it.
ALTER TABLE {schema}.retention ADD COLUMN IF NOT EXISTS keep_all interval NOT NULL DEFAULT '24 hours';
ALTER TABLE {schema}.retention ADD COLUMN IF NOT EXISTS keep_hourly interval NOT NULL DEFAULT '7 days';
-- Who keeps a run for ever, and why.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS kept_at timestamptz;
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS kept_by text;
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS kept_for text;
-- How much time counts between a run and the one before it, where there have been others in between.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS waited interval;
-- Whether the last run that looked has thinned all that was due.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS is_thinned boolean NOT NULL DEFAULT true;

DROP FUNCTION IF EXISTS {schema}.prune(text, integer);

-- How old each saved run is: the times between it and the newest one say, not a clock. Of a time that no run has seen pass, only so much
-- counts as is usual; nothing where it is so long that a clock may have been wrong.
CREATE OR REPLACE FUNCTION {schema}.ages(of_source text)
RETURNS TABLE (run bigint, finished_at timestamptz, step interval, usual interval, counted interval, age interval)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH steps AS (
        SELECT run, finished_at, waited, finished_at - lag(finished_at) OVER (ORDER BY run) AS step
        FROM {schema}.runs WHERE source = of_source AND outcome = 'saved'
    ), most AS (
        SELECT greatest(interval '1 day', percentile_disc(0.5) WITHIN GROUP (ORDER BY step)) AS usual FROM steps
    ), counts AS (
        SELECT run, finished_at, step, usual, coalesce(waited,
            CASE WHEN step <= greatest(interval '8 days', 2 * usual) THEN least(step, usual) ELSE interval '0' END) AS counted
        FROM steps CROSS JOIN most
    )
    SELECT *, sum(counted) OVER (ORDER BY run DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) FROM counts
$$;

-- The runs of one outcome up to the first saved one after `every_after`, and which of them stay: all after `every_after`, the first of each hour after `hourly_after`, the first of each
-- UTC day from `oldest` on, the kept and the restored one. A run that can be restored comes before one that cannot; one that two clocks
-- did not agree on has no hour.
CREATE OR REPLACE FUNCTION {schema}.staying(of_source text, of_outcome text, every_after bigint, hourly_after bigint, oldest bigint)
RETURNS TABLE (run bigint, undo_mark bigint, stays boolean) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT run, undo_mark, (run > every_after OR run = oldest OR kept_at IS NOT NULL OR run = restored_run OR run > oldest AND (
        abs(clock_ahead) >= 3600 OR run = first_value(run) OVER (PARTITION BY date_trunc('day', ended), is_told ORDER BY is_lost, run)
        OR run > hourly_after AND run = first_value(run) OVER (PARTITION BY date_trunc('hour', ended), is_told ORDER BY is_lost, run))) IS TRUE
    FROM (
        SELECT runs.*, restored_run, finished_at AT TIME ZONE 'UTC' AS ended, error IS NOT NULL AS is_told,
            (undo_mark < pruned_to OR run < (SELECT max(before_run) FROM {schema}.lost_history WHERE source = of_source)) IS TRUE AS is_lost
        FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE source = of_source AND outcome = of_outcome AND run <= (
            SELECT min(run) FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' AND run > every_after)
    ) AS ranked
$$;

-- Leaves of all that runs have logged between two marks, which have no point between them, the first line of each key, in few records. Records
-- by hand stay as they are, and none is moved past one. What is left of a record is not torn: so each new one has a number of its own, and
-- with it its place. Looks at the newest 10,000 lines at most, and 2 MB as they are stored.
CREATE OR REPLACE FUNCTION {schema}.compact(of_source text, after bigint, up_to bigint, for_run bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours bigint;
BEGIN
    INSERT INTO {schema}.open_statements (relation, operation, last_record, called_by)
    VALUES ('{schema}.undo_log'::regclass, 'DELETE', up_to, 'compact') RETURNING statement INTO ours;
    WITH within AS (
        SELECT record, is_by_hand, sum(row_count) OVER newest AS rows, sum(pg_column_size(lines)) OVER newest AS bytes,
            count(*) FILTER (WHERE is_by_hand) OVER (PARTITION BY mirror ORDER BY record) AS part
        FROM (
            SELECT undo_log.*, undo_log.run IS NULL OR coalesce(outcome <> 'saved', false) OR key_columns = '{{}}' AS is_by_hand
            FROM {schema}.undo_log LEFT JOIN {schema}.runs ON runs.run = undo_log.run
            WHERE undo_log.source = of_source AND record > after AND record <= up_to
        ) AS logged
        WINDOW newest AS (ORDER BY record DESC)
    ), gone AS (
        DELETE FROM {schema}.undo_log USING within
        WHERE undo_log.record = within.record AND NOT is_by_hand AND rows <= 10000 AND bytes <= 2000000
        RETURNING undo_log.*, part
    ), first_lines AS (
        SELECT DISTINCT ON (mirror, key) record, line, place FROM (
            SELECT record, mirror, line, place, (SELECT jsonb_object_agg(name, line::jsonb -> name) FROM unnest(key_columns) AS name) AS key
            FROM gone CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) WITH ORDINALITY AS given (line, place)
        ) AS keyed
        ORDER BY mirror, key, record, place
    ), left_over AS (
        SELECT record, count(*) AS rows, sum(octet_length(line)) AS bytes, string_agg(line, E'\n' ORDER BY place) AS lines
        FROM first_lines GROUP BY record
    ), placed AS (
        SELECT left_over.*, mirror, operation, key_columns, changed_at, changed_by, part,
            CASE WHEN rows > 500 OR bytes > 8000000 THEN record END AS alone,
            div(sum(rows) OVER alike - rows, 500) AS rows_before, div(sum(bytes) OVER alike - bytes, 8000000) AS bytes_before
        FROM left_over JOIN gone USING (record)
        WINDOW alike AS (PARTITION BY mirror, operation, key_columns, changed_by, part ORDER BY record)
    )
    INSERT INTO {schema}.undo_log (record, run, changed_at, changed_by, source, mirror, operation, key_columns, row_count, lines)
    OVERRIDING SYSTEM VALUE
    SELECT min(record), for_run, max(changed_at), changed_by, of_source, mirror, operation, key_columns, sum(rows),
        string_agg(lines, E'\n' ORDER BY record)
    FROM placed
    GROUP BY mirror, operation, key_columns, changed_by, part, alone, rows_before, bytes_before;
    DELETE FROM {schema}.open_statements WHERE statement = ours;
END;
$$;

-- Makes one point of some runs and the one that follows them: it has what they have changed, and notes what it has not noted itself.
CREATE OR REPLACE FUNCTION {schema}.join_runs(of_source text, gone bigint[], into_run bigint, time_between interval) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.run_tables AS own (run, source, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT into_run, of_source, table_name, (array_agg(rows ORDER BY run DESC))[1], sum(inserted), sum(updated), sum(deleted),
        (array_agg(misfits ORDER BY run DESC))[1], (array_agg(digest ORDER BY run DESC))[1], sum(bytes_sent), sum(seconds)
    FROM {schema}.run_tables WHERE run = ANY (gone) GROUP BY table_name
    ON CONFLICT (run, table_name) DO UPDATE SET
        inserted = own.inserted + excluded.inserted, updated = own.updated + excluded.updated, deleted = own.deleted + excluded.deleted;
    UPDATE {schema}.runs SET snapshot_hash = noted.snapshot_hash, snapshot_bytes = noted.snapshot_bytes, rows = noted.rows
    FROM {schema}.snapshot_of(into_run) AS noted WHERE runs.run = into_run AND noted.run = ANY (gone);
    UPDATE {schema}.runs SET waited = time_between WHERE run = into_run;
    -- The foreign key would do it, but for a session with session_replication_role = replica.
    DELETE FROM {schema}.run_tables WHERE run = ANY (gone);
    DELETE FROM {schema}.runs WHERE run = ANY (gone);
END;
$$;

-- Removes the saved runs that do not stay, oldest first, each with those beside it and with what only they needed of the undo log; returns
-- whether all are gone. It looks at the clock after each step, and a step is bounded: so many runs, and so many lines of the log.
CREATE OR REPLACE FUNCTION {schema}.thin(of_source text, every_after bigint, hourly_after bigint, oldest bigint, until timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    point record;
    gone bigint[] := '{{}}';
    lines bigint := 0;
    time_between interval := '0';
    -- The mark of the point before those that are gone, and that of the run before this one.
    after bigint;
    last_mark bigint;
BEGIN
    FOR point IN
        SELECT run, undo_mark, stays, counted
        FROM {schema}.staying(of_source, 'saved', every_after, hourly_after, oldest) JOIN {schema}.ages(of_source) USING (run) ORDER BY run
    LOOP
        IF gone <> '{{}}' AND point.undo_mark > last_mark THEN
            lines := lines + coalesce((
                SELECT sum(row_count) FROM {schema}.undo_log
                WHERE source = of_source AND record > last_mark AND record <= point.undo_mark), 0);
        END IF;
        IF gone <> '{{}}' AND (point.stays OR cardinality(gone) >= 1000 OR lines >= 5000) THEN
            IF after < point.undo_mark THEN
                PERFORM {schema}.compact(of_source, after, point.undo_mark, point.run);
            END IF;
            PERFORM {schema}.join_runs(of_source, gone, point.run, time_between + point.counted);
            IF clock_timestamp() > until THEN
                RETURN false;
            END IF;
            gone := '{{}}';
            lines := 0;
            time_between := '0';
            point.counted := (SELECT waited FROM {schema}.runs WHERE run = point.run);
        END IF;
        IF point.stays THEN
            after := point.undo_mark;
        ELSE
            gone := gone || point.run;
            time_between := time_between + point.counted;
        END IF;
        last_mark := point.undo_mark;
    END LOOP;
    RETURN true;
END;
$$;

-- Deletes what no point needs any more; returns whether all is gone.
CREATE OR REPLACE FUNCTION {schema}.forget(of_source text, every_after bigint, hourly_after bigint, oldest bigint, until timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_run bigint := (SELECT min(run) FROM {schema}.runs WHERE source = of_source AND outcome = 'saved');
    needed_from bigint := (
        SELECT min(undo_mark) FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE source = of_source AND outcome = 'saved' AND undo_mark >= pruned_to);
BEGIN
    DELETE FROM {schema}.runs WHERE run IN (
        SELECT run FROM {schema}.staying(of_source, 'failed', every_after, hourly_after, oldest) WHERE NOT stays LIMIT 1000);
    DELETE FROM {schema}.runs WHERE source = of_source AND run < oldest AND outcome <> 'saved';
    DELETE FROM {schema}.drills WHERE source = of_source AND run < first_run;
    DELETE FROM {schema}.lost_history WHERE source = of_source AND before_run <= first_run;
    DELETE FROM {schema}.source_schemas AS unused WHERE source = of_source
        AND NOT EXISTS (SELECT FROM {schema}.runs WHERE runs.source_schema = unused.source_schema);
    LOOP
        DELETE FROM {schema}.undo_log WHERE record IN (
            SELECT record FROM {schema}.undo_log WHERE source = of_source AND record <= needed_from LIMIT 200);
        IF NOT FOUND OR clock_timestamp() > until THEN
            RETURN NOT FOUND;
        END IF;
    END LOOP;
END;
$$;

-- Keeps every run for a while, then the first of each hour, then the first of each day, up to the newest run before the retention, which
-- stays a restore point; and those that somebody keeps. Only the owner may shorten what is stored. Takes a tenth of a second; the rest is the
-- next run's. Where there are many runs to look at, it looks once an hour only. Where it is plain that a clock is wrong nothing is thinned,
-- and where history would have ended that is said.
CREATE OR REPLACE FUNCTION {schema}.prune(of_source text, wanted_days integer, wanted_all interval, wanted_hourly interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := clock_timestamp() + interval '0.1 seconds';
    is_due boolean := false;
    kept {schema}.retention;
    newest {schema}.runs := (SELECT runs FROM {schema}.runs JOIN {schema}.sources ON run = last_run WHERE sources.source = of_source);
    found record;
BEGIN
    IF pg_has_role(session_user, current_user, 'MEMBER') THEN
        UPDATE {schema}.retention SET keep_days = wanted_days, keep_all = wanted_all, keep_hourly = wanted_hourly
        WHERE (keep_days, keep_all, keep_hourly) IS DISTINCT FROM (wanted_days, wanted_all, wanted_hourly);
        is_due := FOUND;
    END IF;
    SELECT is_due OR NOT is_thinned OR NOT EXISTS (SELECT FROM {schema}.runs WHERE source = of_source OFFSET 500) OR date_trunc('hour', newest.finished_at AT TIME ZONE 'UTC') IS DISTINCT FROM (
        SELECT date_trunc('hour', finished_at AT TIME ZONE 'UTC') FROM {schema}.runs
        WHERE runs.source = of_source AND run < newest.run AND outcome = 'saved' ORDER BY run DESC LIMIT 1)
    INTO is_due FROM {schema}.sources WHERE source = of_source;
    IF is_due IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    SELECT true, greatest(wanted_days, coalesce(max(keep_days), 30)), greatest(wanted_all, coalesce(max(keep_all), '24 hours')),
        greatest(wanted_hourly, coalesce(max(keep_hourly), '7 days')) INTO kept FROM {schema}.retention;
    SELECT max(run) FILTER (WHERE age > make_interval(days => kept.keep_days)) AS oldest,
        max(run) FILTER (WHERE age > kept.keep_all) AS every_after, max(run) FILTER (WHERE age > kept.keep_hourly) AS hourly_after,
        bool_or(finished_at < newest.finished_at - make_interval(days => kept.keep_days)) AS has_old,
        max(step) FILTER (WHERE run = newest.run) AS last_step, max(usual) AS usual
    INTO found FROM {schema}.ages(of_source);
    IF found.has_old AND abs(newest.clock_ahead) >= 3600 THEN
        RETURN format('the server''s clock says %s, this machine''s %s', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
            to_char((clock_timestamp() - make_interval(secs => newest.clock_ahead)) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'));
    ELSIF found.has_old AND found.last_step > greatest(interval '8 days', 2 * found.usual) THEN
        RETURN format('the clocks say %s, and the last run was at %s', to_char(newest.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
            to_char((newest.finished_at - found.last_step) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'));
    ELSIF abs(newest.clock_ahead) >= 3600 THEN
        RETURN NULL;
    END IF;
    found.oldest := coalesce(found.oldest, 0);
    found.every_after := greatest(found.oldest, coalesce(found.every_after, 0));
    found.hourly_after := greatest(found.oldest, coalesce(found.hourly_after, 0));
    is_due := NOT {schema}.thin(of_source, found.every_after, found.hourly_after, found.oldest, until)
        OR NOT {schema}.forget(of_source, found.every_after, found.hourly_after, found.oldest, until);
    UPDATE {schema}.sources SET is_thinned = NOT is_due WHERE source = of_source AND is_thinned = is_due;
    RETURN NULL;
END;
$$;

-- Keeps the newest run up to a number for ever, of each of these sources, and says which; whoever may back up may do so. It waits for a run
-- that is at work: that one may be about to thin it.
CREATE OR REPLACE FUNCTION {schema}.keep_runs(of_sources text[], up_to bigint, reason text) RETURNS TABLE (source text, run bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock_shared({schema}.source_lock(name)) FROM unnest(of_sources) AS name ORDER BY name;
    UPDATE {schema}.runs SET kept_at = clock_timestamp(), kept_by = session_user, kept_for = left(reason, 1000)
    FROM (SELECT source, (
        SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved' AND undo_mark >= pruned_to AND run <= up_to
    ) AS meant FROM {schema}.sources WHERE source = ANY (of_sources)) AS points
    WHERE run = meant RETURNING runs.source, runs.run
$$;

-- Lets the retention have again what is kept. Only the owner may: nobody else is given it.
CREATE OR REPLACE FUNCTION {schema}.release_runs(of_sources text[], up_to bigint) RETURNS TABLE (source text, run bigint)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.runs SET kept_at = NULL, kept_by = NULL, kept_for = NULL
    FROM (SELECT source, (
        SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved' AND undo_mark >= pruned_to AND run <= up_to
    ) AS meant FROM {schema}.sources WHERE source = ANY (of_sources)) AS points
    WHERE run = meant AND kept_at IS NOT NULL RETURNING runs.source, runs.run
$$;
