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
-- Whether the last run that looked has thinned all that was due.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS is_thinned boolean NOT NULL DEFAULT true;
-- The run up to which it has looked, where that was not all; it is one that stays.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS thinned_to bigint NOT NULL DEFAULT 0;

DROP FUNCTION IF EXISTS {schema}.prune(text, integer);
DROP FUNCTION IF EXISTS {schema}.staying(text, text, bigint, bigint, bigint, interval);
DROP FUNCTION IF EXISTS {schema}.forget(text, bigint, bigint, bigint, timestamptz);

-- The next runs from `from_run` on, as many as one look reads, up to the first saved one after `every_after`, and which of
-- them stay: all after `every_after`, the first of each hour after `hourly_after`, the first of each UTC day from `oldest` on, the kept and
-- the restored one. Those that can be restored, those that cannot and those that failed each have their own first one; one that two clocks
-- did not agree on has no hour. Times do not fall in the order of runs.
CREATE OR REPLACE FUNCTION {schema}.staying(
    of_source text, from_run bigint, every_after bigint, hourly_after bigint, oldest bigint, pause interval)
RETURNS TABLE (run bigint, is_saved boolean, counted interval, lived interval, stays boolean, is_last boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT run, outcome = 'saved', coalesce(waited, CASE WHEN finished_at - lag(finished_at) OVER alike <= greatest(interval '8 days', 2 * pause)
            THEN least(finished_at - lag(finished_at) OVER alike, greatest(interval '1 day', pause)) ELSE interval '0' END), lived,
        (run > every_after OR run = oldest OR kept_at IS NOT NULL OR run = restored_run OR run > oldest AND (
            abs(clock_ahead) >= 3600 OR (date_trunc('day', ended), is_lost) IS DISTINCT FROM lag((date_trunc('day', ended), is_lost)) OVER alike
            OR run > hourly_after AND (date_trunc('hour', ended), is_lost) IS DISTINCT FROM lag((date_trunc('hour', ended), is_lost)) OVER alike
            OR outcome = 'running'
        )) IS TRUE, run = max(run) FILTER (WHERE outcome = 'saved') OVER ()
    FROM (
        SELECT runs.*, restored_run, finished_at AT TIME ZONE 'UTC' AS ended, error IS NOT NULL AS is_told, {lacks} IS NOT NULL AS is_lost
        FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE source = of_source AND run >= from_run AND run <= (
            SELECT run FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' AND run > every_after ORDER BY run LIMIT 1)
        ORDER BY run LIMIT {schema}.walk()
    ) AS ranked
    WINDOW alike AS (PARTITION BY outcome, is_told ORDER BY run)
$$;

-- Removes the runs that do not stay, oldest first: what saved ones have noted goes on to the next one (031_gone_runs.sql), as does the time
-- that counts. Returns whether all are gone, and notes how far it is where not. It looks at the clock after each step, of so many runs.
CREATE OR REPLACE FUNCTION {schema}.thin(
    of_source text, every_after bigint, hourly_after bigint, oldest bigint, pause interval, until timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    point record;
    gone bigint[] := '{{}}';
    failed bigint[] := '{{}}';
    time_between interval := '0';
    lived_here interval;  -- where a run with a note of it is gone
    looked integer := 0;
    stayed bigint := (SELECT thinned_to FROM {schema}.sources WHERE source = of_source);
    is_late boolean := false;
BEGIN
    FOR point IN SELECT * FROM {schema}.staying(of_source, stayed, every_after, hourly_after, oldest, pause) ORDER BY run LOOP
        looked := looked + 1;
        IF NOT point.is_saved THEN
            IF point.stays THEN
                stayed := point.run;
            ELSE
                failed := failed || point.run;
            END IF;
            CONTINUE;
        END IF;
        time_between := time_between + coalesce(point.counted, '0');
        lived_here := lived_here + point.counted;
        IF gone <> '{{}}' AND (point.stays OR point.is_last OR cardinality(gone) >= 250) THEN
            UPDATE {schema}.runs SET waited = time_between, lived = coalesce(lived, lived_here) WHERE run = point.run;
            DELETE FROM {schema}.runs WHERE run = ANY (gone);
            is_late := clock_timestamp() > until;
            EXIT WHEN is_late;
            gone := '{{}}';
            lived_here := NULL;
        ELSIF gone = '{{}}' THEN
            time_between := point.counted;
        END IF;
        IF point.stays THEN
            stayed := point.run;
        ELSE
            gone := gone || point.run;
            lived_here := coalesce(point.lived, lived_here);
        END IF;
    END LOOP;
    DELETE FROM {schema}.runs WHERE run = ANY (failed);
    is_late := is_late OR looked = {schema}.walk();
    stayed := CASE WHEN is_late THEN stayed ELSE 0 END;
    UPDATE {schema}.sources SET thinned_to = stayed WHERE source = of_source AND thinned_to <> stayed;
    RETURN NOT is_late;
END;
$$;

-- Deletes what no point needs any more; returns whether all is gone. No mark is lower than an earlier one.
CREATE OR REPLACE FUNCTION {schema}.forget(of_source text, until timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_run bigint := (
        SELECT run FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' ORDER BY run LIMIT 1);
    needed_from bigint := (
        SELECT undo_mark FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE source = of_source AND outcome = 'saved' AND undo_mark >= pruned_to ORDER BY run LIMIT 1);
BEGIN
    DELETE FROM {schema}.drills WHERE source = of_source AND run < first_run;
    DELETE FROM {schema}.lost_history WHERE source = of_source AND before_run <= first_run;
    IF EXISTS (SELECT FROM {schema}.source_schemas WHERE source = of_source OFFSET 1) THEN
        DELETE FROM {schema}.source_schemas AS unused WHERE source = of_source
            AND NOT EXISTS (SELECT FROM {schema}.runs WHERE runs.source_schema = unused.source_schema);
    END IF;
    LOOP
        DELETE FROM {schema}.undo_log WHERE record = ANY (ARRAY(
            SELECT record FROM (
                SELECT record, sum(pg_column_size(lines)) OVER (ORDER BY record) AS bytes, row_number() OVER (ORDER BY record) AS place FROM (
                    SELECT record, lines FROM {schema}.undo_log WHERE source = of_source AND record <= needed_from LIMIT 200
                ) AS oldest_ones
            ) AS counted WHERE place = 1 OR bytes <= 4000000));
        IF NOT FOUND OR clock_timestamp() > until THEN
            RETURN NOT FOUND;
        END IF;
    END LOOP;
END;
$$;

-- Keeps every run for a while, then the first of each hour, then the first of each day, up to the newest run before the retention, which
-- stays a restore point; and those that somebody keeps. Only the owner may shorten what is stored. Takes a tenth of a second; the rest is the
-- next run's. Where there are many runs to look at, it looks once an hour only. Where a clock may be wrong nothing is thinned: where it is
-- plain that is said, and after an unusual pause the next run confirms that the time has passed: by a pause that is usual, or no longer than
-- twice that one.
CREATE OR REPLACE FUNCTION {schema}.prune_or_fail(of_source text, wanted_days integer, wanted_all interval, wanted_hourly interval) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := clock_timestamp() + interval '0.1 seconds';
    wrong text := ' (UTC). History was not pruned; set the clock that is wrong.';
    form text := 'YYYY-MM-DD HH24:MI';
    kept {schema}.retention;
    newest {schema}.runs := (SELECT runs FROM {schema}.runs JOIN {schema}.sources ON run = last_run WHERE sources.source = of_source);
    bounds record;
    steps record;
    first_at timestamptz := (SELECT finished_at FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' ORDER BY run LIMIT 1);
    before_it bigint := (
        SELECT run FROM {schema}.runs WHERE source = of_source AND run < newest.run AND outcome = 'saved' ORDER BY run DESC LIMIT 1);
    longest interval;
    is_done boolean;
BEGIN
    IF pg_has_role(session_user, current_user, 'MEMBER') THEN
        UPDATE {schema}.retention SET keep_days = wanted_days, keep_all = wanted_all, keep_hourly = wanted_hourly
        WHERE (keep_days, keep_all, keep_hourly) IS DISTINCT FROM (wanted_days, wanted_all, wanted_hourly);
        IF FOUND THEN  -- whoever is at work sees the new ones himself
            UPDATE {schema}.sources SET is_thinned = false WHERE source IN (SELECT source FROM {schema}.sources FOR UPDATE SKIP LOCKED);
        END IF;
    END IF;
    IF abs(newest.clock_ahead) >= 3600 THEN
        RETURN format('the server''s clock says %s, this machine''s %s', to_char(clock_timestamp() AT TIME ZONE 'UTC', form),
            to_char((clock_timestamp() - make_interval(secs => newest.clock_ahead)) AT TIME ZONE 'UTC', form)) || wrong;
    ELSIF (SELECT is_thinned AND EXISTS (SELECT FROM {schema}.runs WHERE runs.source = of_source OFFSET 500) FROM {schema}.sources WHERE source = of_source)
        AND date_trunc('hour', newest.finished_at AT TIME ZONE 'UTC') = (
            SELECT date_trunc('hour', finished_at AT TIME ZONE 'UTC') FROM {schema}.runs WHERE run = before_it)
    THEN
        RETURN NULL;
    END IF;
    SELECT true, greatest(wanted_days, coalesce(max(keep_days), 30)), greatest(wanted_all, coalesce(max(keep_all), '24 hours')),
        greatest(wanted_hourly, coalesce(max(keep_hourly), '7 days')) INTO kept FROM {schema}.retention;
    SELECT * INTO bounds FROM {schema}.bounds(of_source, newest.run, kept);
    SELECT max(step) FILTER (WHERE run = newest.run) AS last, max(step) FILTER (WHERE run = before_it) AS before
    INTO steps FROM {schema}.steps(of_source, 0, newest.run, 2, NULL);
    longest := 2 * greatest(bounds.pause, steps.before);
    IF first_at < newest.finished_at - make_interval(days => kept.keep_days) AND steps.last > greatest(interval '8 days', longest) THEN
        RETURN format('the clocks say %s, and the last run was at %s', to_char(newest.finished_at AT TIME ZONE 'UTC', form),
            to_char((newest.finished_at - steps.last) AT TIME ZONE 'UTC', form)) || wrong;
    END IF;
    is_done := steps.last <= greatest(interval '1 hour', longest) IS NOT FALSE;
    IF is_done THEN  -- the packing of a source that changes much may never end
        is_done := {schema}.thin(of_source, bounds.every_after, bounds.hourly_after, bounds.oldest, bounds.pause, until);
        is_done := {schema}.forget(of_source, until) AND is_done;
        is_done := {schema}.pack_all(of_source, until) AND is_done AND bounds.is_known;
    END IF;
    UPDATE {schema}.sources SET is_thinned = is_done WHERE source = of_source AND is_thinned <> is_done;
    RETURN NULL;
END;
$$;

-- The same for a run: whatever goes wrong in it is told, and costs no backup. Runs are read by their index, whatever Postgres believes of how
-- many there are; what it then takes for dear is not worth compiling.
CREATE OR REPLACE FUNCTION {schema}.prune(of_source text, wanted_days integer, wanted_all interval, wanted_hourly interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
    RETURN {schema}.prune_or_fail(of_source, wanted_days, wanted_all, wanted_hourly);
EXCEPTION WHEN query_canceled OR others THEN
    RETURN format('history was not thinned (%s). The next run tries again.', SQLERRM);
END;
$$;
