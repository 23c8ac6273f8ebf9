-- How old a run is: the times between it and the newest one say, not a clock.
--
-- `runs.lived` says how much time had counted when a run was made, from a beginning of the source's own, of one run in a thousand; what lies
-- between two of these is added up where it is needed. So nothing that is asked reads more than WALK runs, however many there are, and what
-- has not been looked through yet nobody knows to be old.

ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS lived interval;
-- It begins otherwise than the other indexes: what is sorted by it is read from it, whatever Postgres believes.
CREATE INDEX IF NOT EXISTS runs_by_lived ON {schema}.runs (source, lived, run) WHERE lived IS NOT NULL;
-- How much time counts between a run and the one before it, where there have been others in between.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS waited interval;
DROP FUNCTION IF EXISTS {schema}.ages(text);

-- The most runs that one look reads.
CREATE OR REPLACE FUNCTION {schema}.walk() RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'SELECT 2000';

-- The newest saved runs after one and up to another, so many at most, and how much time counts before each. Of a time that no run has seen
-- pass only so much counts as is usual, nothing where it is so long that a clock may have been wrong.
CREATE OR REPLACE FUNCTION {schema}.steps(of_source text, after bigint, up_to bigint, most integer, pause interval)
RETURNS TABLE (run bigint, step interval, counted interval) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT run, step, coalesce(waited, CASE WHEN step <= greatest(interval '8 days', 2 * pause)
        THEN least(step, greatest(interval '1 day', pause)) ELSE interval '0' END)
    FROM (
        SELECT run, waited, finished_at - lead(finished_at) OVER (ORDER BY run DESC) AS step FROM (
            SELECT run, waited, finished_at FROM {schema}.runs
            WHERE source = of_source AND outcome = 'saved' AND run >= after AND run <= up_to ORDER BY run DESC LIMIT most + 1
        ) AS taken
    ) AS newest
    WHERE run > after ORDER BY run DESC LIMIT most
$$;

-- The usual time between two runs.
CREATE OR REPLACE FUNCTION {schema}.usual_pause(of_source text, up_to bigint) RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY step) FROM {schema}.steps(of_source, 0, up_to, 1000, NULL)
$$;

-- Notes of one run in a thousand what is known of them all: the time that had counted at `up_to`, and at each before it.
CREATE OR REPLACE FUNCTION {schema}.note_lived(of_source text, after bigint, up_to bigint, lived_then interval, pause interval) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.runs SET lived = back.lived FROM (
        SELECT run, lived_then + counted - sum(counted) OVER back AS lived, row_number() OVER back AS place
        FROM {schema}.steps(of_source, after, up_to, {schema}.walk(), pause) WINDOW back AS (ORDER BY run DESC)
    ) AS back
    WHERE runs.run = back.run AND back.place % 1000 = 0
$$;

-- How much time had counted when the newest run was made, NULL where nobody knows yet: then the next call looks further.
CREATE OR REPLACE FUNCTION {schema}.lived_by(of_source text, newest bigint, pause interval) RETURNS interval
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    noted record;
    up_to bigint;
    since record;
BEGIN
    SELECT run, lived INTO noted FROM {schema}.runs
    WHERE source = of_source AND lived IS NOT NULL AND outcome = 'saved' AND run <= newest ORDER BY lived DESC, run DESC LIMIT 1;
    IF noted.run IS NULL THEN
        UPDATE {schema}.runs SET lived = '0' WHERE run = newest;
        RETURN '0';
    END IF;
    up_to := coalesce((
        SELECT run FROM {schema}.runs WHERE source = of_source AND outcome = 'saved' AND run > noted.run AND run < newest
        ORDER BY run OFFSET {schema}.walk() - 1 LIMIT 1), newest);
    SELECT count(*) AS runs, noted.lived + coalesce(sum(counted), '0') AS lived INTO since
    FROM {schema}.steps(of_source, noted.run, up_to, {schema}.walk(), pause);
    IF since.runs >= 1000 THEN
        PERFORM {schema}.note_lived(of_source, noted.run, up_to, since.lived, pause);
    END IF;
    RETURN CASE WHEN up_to = newest THEN since.lived END;
END;
$$;

-- The newest saved run before which so much time had counted and no more, 0 where there is none, NULL where nobody knows yet: then the next
-- call looks further.
CREATE OR REPLACE FUNCTION {schema}.newest_before(of_source text, moment interval, newest bigint, lived_now interval, pause interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    later record;
    earlier bigint;
    found_run bigint;
    walked bigint;
BEGIN
    SELECT run, lived INTO later FROM (
        (SELECT run, lived FROM {schema}.runs
        WHERE source = of_source AND lived >= moment AND outcome = 'saved' AND run < newest ORDER BY lived, run LIMIT 1)
        UNION ALL SELECT newest, lived_now
    ) AS noted ORDER BY run LIMIT 1;
    earlier := (SELECT run FROM {schema}.runs
        WHERE source = of_source AND lived < moment AND outcome = 'saved' AND run < later.run ORDER BY lived DESC, run DESC LIMIT 1);
    IF lived_now IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT max(run) FILTER (WHERE lived < moment), count(*) INTO found_run, walked FROM (
        SELECT run, later.lived + counted - sum(counted) OVER (ORDER BY run DESC) AS lived
        FROM {schema}.steps(of_source, coalesce(earlier, 0), later.run, {schema}.walk(), pause)
    ) AS back;
    IF found_run IS NULL AND walked = {schema}.walk() THEN
        PERFORM {schema}.note_lived(of_source, coalesce(earlier, 0), later.run, later.lived, pause);
        RETURN NULL;
    END IF;
    RETURN coalesce(found_run, earlier, 0);
END;
$$;

-- Up to which runs a source has outlived each time that is kept, 0 where none or nobody knows yet; its usual pause, and whether all is known.
CREATE OR REPLACE FUNCTION {schema}.bounds(of_source text, newest bigint, kept {schema}.retention,
    OUT pause interval, OUT every_after bigint, OUT hourly_after bigint, OUT oldest bigint, OUT is_known boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    days interval := make_interval(days => kept.keep_days);
    lived_now interval;
BEGIN
    pause := {schema}.usual_pause(of_source, newest);
    lived_now := {schema}.lived_by(of_source, newest, pause);
    every_after := {schema}.newest_before(of_source, lived_now - least(kept.keep_all, days), newest, lived_now, pause);
    IF every_after IS NOT NULL THEN
        hourly_after := {schema}.newest_before(of_source, lived_now - least(kept.keep_hourly, days), newest, lived_now, pause);
        oldest := {schema}.newest_before(of_source, lived_now - days, newest, lived_now, pause);
    END IF;
    is_known := every_after + hourly_after + oldest IS NOT NULL;
    every_after := coalesce(every_after, 0);
    hourly_after := coalesce(hourly_after, 0);
    oldest := coalesce(oldest, 0);
END;
$$;
