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

-- How old each saved run is: the times between it and the newest one say, not a clock. `pause` is the usual time between two runs. Of a time
-- that no run has seen pass only so much counts as is usual, nothing where it is so long that a clock may have been wrong.
CREATE OR REPLACE FUNCTION {schema}.ages(of_source text)
RETURNS TABLE (run bigint, finished_at timestamptz, step interval, pause interval, age interval)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH steps AS (
        SELECT run, finished_at, waited, finished_at - lag(finished_at) OVER (ORDER BY run) AS step
        FROM {schema}.runs WHERE source = of_source AND outcome = 'saved'
    ), usual AS (
        SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY step) AS pause FROM (SELECT step FROM steps ORDER BY run DESC LIMIT 1000) AS newest
    ), counts AS (
        SELECT run, finished_at, step, pause, sum(coalesce(waited,
            CASE WHEN step <= greatest(interval '8 days', 2 * pause) THEN least(step, greatest(interval '1 day', pause)) ELSE interval '0' END
        )) OVER (ORDER BY run) AS lived FROM steps CROSS JOIN usual
    )
    SELECT run, finished_at, step, pause, max(lived) OVER () - lived FROM counts
$$;

-- The runs of one outcome up to the first saved one after `every_after`, and which of them stay: all after `every_after`, the first of each
-- hour after `hourly_after`, the first of each UTC day from `oldest` on, the kept and the restored one. Those that can be restored and those
-- that cannot each have their own first one; one that two clocks did not agree on has no hour. Times do not fall in the order of runs.
CREATE OR REPLACE FUNCTION {schema}.staying(
    of_source text, of_outcome text, every_after bigint, hourly_after bigint, oldest bigint, pause interval)
RETURNS TABLE (run bigint, counted interval, stays boolean) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT run, coalesce(waited, CASE WHEN finished_at - lag(finished_at) OVER alike <= greatest(interval '8 days', 2 * pause)
            THEN least(finished_at - lag(finished_at) OVER alike, greatest(interval '1 day', pause)) ELSE interval '0' END),
        (run > every_after OR run = oldest OR kept_at IS NOT NULL OR run = restored_run OR run > oldest AND (
            abs(clock_ahead) >= 3600 OR (date_trunc('day', ended), is_lost) IS DISTINCT FROM lag((date_trunc('day', ended), is_lost)) OVER alike
            OR run > hourly_after AND (date_trunc('hour', ended), is_lost) IS DISTINCT FROM lag((date_trunc('hour', ended), is_lost)) OVER alike
        )) IS TRUE
    FROM (
        SELECT runs.*, restored_run, finished_at AT TIME ZONE 'UTC' AS ended, error IS NOT NULL AS is_told, {lacks} IS NOT NULL AS is_lost
        FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE source = of_source AND outcome = of_outcome AND run <= (
            SELECT min(run) FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' AND run > every_after)
    ) AS ranked
    WINDOW alike AS (PARTITION BY is_told ORDER BY run)
$$;

-- Removes the saved runs that do not stay, oldest first: what they have noted goes on to the next one (031_gone_runs.sql), as does the time
-- that counts. Returns whether all are gone. It looks at the clock after each step, of so many runs.
CREATE OR REPLACE FUNCTION {schema}.thin(
    of_source text, every_after bigint, hourly_after bigint, oldest bigint, pause interval, until timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    point record;
    gone bigint[] := '{{}}';
    time_between interval := '0';
BEGIN
    FOR point IN SELECT * FROM {schema}.staying(of_source, 'saved', every_after, hourly_after, oldest, pause) ORDER BY run LOOP
        time_between := time_between + coalesce(point.counted, '0');
        IF gone <> '{{}}' AND (point.stays OR cardinality(gone) >= 250) THEN
            UPDATE {schema}.runs SET waited = time_between WHERE run = point.run;
            DELETE FROM {schema}.runs WHERE run = ANY (gone);
            IF clock_timestamp() > until THEN
                RETURN false;
            END IF;
            gone := '{{}}';
        ELSIF gone = '{{}}' THEN
            time_between := point.counted;
        END IF;
        IF NOT point.stays THEN
            gone := gone || point.run;
        END IF;
    END LOOP;
    RETURN true;
END;
$$;

-- Deletes what no point needs any more; returns whether all is gone.
CREATE OR REPLACE FUNCTION {schema}.forget(of_source text, every_after bigint, hourly_after bigint, oldest bigint, until timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_run bigint := (SELECT min(run) FROM {schema}.runs WHERE source = of_source AND outcome = 'saved');
    needed_from bigint := (
        SELECT min(undo_mark) FROM {schema}.runs JOIN {schema}.sources USING (source)
        WHERE source = of_source AND outcome = 'saved' AND undo_mark >= pruned_to);
BEGIN
    DELETE FROM {schema}.runs WHERE run IN (
        SELECT run FROM {schema}.staying(of_source, 'failed', every_after, hourly_after, oldest, NULL) WHERE NOT stays LIMIT 1000);
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
    SELECT coalesce(max(run) FILTER (WHERE age > make_interval(days => kept.keep_days)), 0) AS oldest,
        coalesce(max(run) FILTER (WHERE age > least(kept.keep_all, make_interval(days => kept.keep_days))), 0) AS every_after,
        coalesce(max(run) FILTER (WHERE age > least(kept.keep_hourly, make_interval(days => kept.keep_days))), 0) AS hourly_after,
        bool_or(finished_at < newest.finished_at - make_interval(days => kept.keep_days)) AS has_old,
        max(step) FILTER (WHERE run = newest.run) AS last_step, max(step) FILTER (WHERE run = before_it) AS step_before, max(pause) AS pause
    INTO bounds FROM {schema}.ages(of_source);
    longest := 2 * greatest(bounds.pause, bounds.step_before);
    IF bounds.has_old AND bounds.last_step > greatest(interval '8 days', longest) THEN
        RETURN format('the clocks say %s, and the last run was at %s', to_char(newest.finished_at AT TIME ZONE 'UTC', form),
            to_char((newest.finished_at - bounds.last_step) AT TIME ZONE 'UTC', form)) || wrong;
    END IF;
    is_done := bounds.last_step <= greatest(interval '1 hour', longest) IS NOT FALSE;
    IF is_done THEN  -- the packing of a source that changes much may never end
        is_done := {schema}.thin(of_source, bounds.every_after, bounds.hourly_after, bounds.oldest, bounds.pause, until);
        is_done := {schema}.forget(of_source, bounds.every_after, bounds.hourly_after, bounds.oldest, until) AND is_done;
        is_done := {schema}.pack_all(of_source, until) AND is_done;
    END IF;
    UPDATE {schema}.sources SET is_thinned = is_done WHERE source = of_source AND is_thinned <> is_done;
    RETURN NULL;
END;
$$;

-- The same for a run: whatever goes wrong in it is told, and costs no backup.
CREATE OR REPLACE FUNCTION {schema}.prune(of_source text, wanted_days integer, wanted_all interval, wanted_hourly interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
    RETURN {schema}.prune_or_fail(of_source, wanted_days, wanted_all, wanted_hourly);
EXCEPTION WHEN query_canceled OR others THEN
    RETURN format('history was not thinned (%s). The next run tries again.', SQLERRM);
END;
$$;
