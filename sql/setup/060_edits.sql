-- Edits that people make in the mirrors, and what became of them: those of columns that the operator accepts come back to the bot.
--
-- The undo log has what stood there before an edit, the mirror what stands there now, and the bot's own file what it has made of the
-- row meanwhile. Which of the three wins is decided beside that file, by a run, under the source's lock.

-- One row per edited row. `record` is the oldest undo record of its key, `base` and `theirs` are the row as JSON before and after, `columns`
-- those in which the two differ. Without a key it is all that was done to a mirror, because it is too much, or cannot be told row by row.
-- `run` is the saved run that has sent what became of it. `undoes` is the edit that this one has taken back.
CREATE TABLE IF NOT EXISTS {schema}.edits (
    edit            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    mirror          text NOT NULL,
    record          bigint NOT NULL,
    key             text,
    columns         text[] NOT NULL,
    base            text,
    theirs          text,
    made_at         timestamptz,
    made_by         text,
    found_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome         text NOT NULL CHECK (outcome IN ('applied', 'merged', 'conflict', 'refused')),
    reason          text NOT NULL,
    run             bigint,
    undoes          bigint
);
CREATE INDEX IF NOT EXISTS edits_of_source ON {schema}.edits (source, edit);
CREATE INDEX IF NOT EXISTS edits_without_run ON {schema}.edits (source) WHERE run IS NULL;

-- What BACKUP_ACCEPT_EDITS accepts, and the newest undo record when that was first known here: an older edit was made without it.
CREATE TABLE IF NOT EXISTS {schema}.accepted_edits (
    source          text NOT NULL,
    item            text NOT NULL,
    since           bigint NOT NULL,
    PRIMARY KEY (source, item)
);

CREATE OR REPLACE FUNCTION {schema}.newest_record() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(max(record), 0) FROM {schema}.undo_log
$$;

-- From which record on nothing has been judged; nothing where no run has been saved yet.
CREATE OR REPLACE FUNCTION {schema}.unjudged_since(of_source text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(undo_mark, edits_up_to) FROM {schema}.sources JOIN {schema}.runs ON run = last_run WHERE sources.source = of_source
$$;

-- Whether people have edited mirrors of a source since they were last judged.
CREATE OR REPLACE FUNCTION {schema}.is_edited(of_source text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM {schema}.undo_log WHERE source = of_source AND record > {schema}.unjudged_since(of_source))
$$;

CREATE OR REPLACE FUNCTION {schema}.edited(of_sources text[]) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(source) FROM unnest(of_sources) AS source WHERE {schema}.is_edited(source)
$$;

-- Notes what is accepted from now on.
CREATE OR REPLACE FUNCTION {schema}.accept_edits(of_source text, items text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM {schema}.accepted_edits WHERE source = of_source AND item <> ALL (items);
    INSERT INTO {schema}.accepted_edits (source, item, since)
    SELECT of_source, item, {schema}.newest_record() FROM unnest(items) AS item
    ON CONFLICT DO NOTHING;
$$;

-- The row that a mirror has now under the key of a line of the undo log, as JSON; what is no mirror any more has none, and what cannot be
-- read, because somebody has altered it, is no JSON.
CREATE OR REPLACE FUNCTION {schema}.held_now(in_schema text, in_mirror text, keys text[], line text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place regclass := to_regclass(quote_ident(in_schema) || '.' || quote_ident(in_mirror));
    held text;
BEGIN
    IF place IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT row_to_json(held.*)::text FROM ONLY %1$s AS held, json_populate_record(NULL::%1$s, $1::json) AS meant WHERE %2$s',
        place, (SELECT string_agg(format('held.%1$I = meant.%1$I', key), ' AND ') FROM unnest(keys) AS key))
    INTO held USING line;
    RETURN held;
EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
    RETURN 'unreadable';
END;
$$;

-- All that has not been judged, oldest first: of each key the row before and now, by whom, in which transactions, and in
-- which of these it left for another key. Of a mirror with more than a thousand changed rows, and of what is kept whole, there is only a summary.
CREATE OR REPLACE FUNCTION {schema}.pending_edits(of_source text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH unjudged AS (
        SELECT *, sum(row_count) OVER (PARTITION BY mirror) > 1000 OR mirror = 'misfit_rows' AS is_summed_up
        FROM {schema}.undo_log WHERE source = of_source AND record > {schema}.unjudged_since(of_source)
    ), changes AS (
        SELECT unjudged.*, key, line, place, lead(operation, 1, '') OVER (PARTITION BY mirror, key ORDER BY record, place) AS next_operation
        FROM unjudged CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) WITH ORDINALITY AS given (line, place)
        CROSS JOIN LATERAL (SELECT jsonb_object_agg(name, line::json -> name) FROM unnest(key_columns) AS name) AS named (key)
        WHERE NOT is_summed_up
    ), edited AS (
        SELECT mirror, NULL::jsonb AS key, min(record) AS record, NULL AS first_operation, NULL AS line, NULL::text[] AS key_columns,
            sum(row_count) AS rows, max(changed_at) AS made_at, string_agg(DISTINCT changed_by, ', ') AS made_by,
            NULL::text[] AS transactions, NULL::text[] AS left_in, NULL::text AS last_update
        FROM unjudged WHERE is_summed_up GROUP BY mirror
        UNION ALL
        SELECT mirror, key, min(record), (array_agg(operation ORDER BY record, place))[1], (array_agg(line ORDER BY record, place))[1],
            min(key_columns), 1, max(changed_at), string_agg(DISTINCT changed_by, ', '),
            array_agg(DISTINCT xact::text),
            -- What was updated, and was not there when a row was added, or is not there now, has got another key.
            array_agg(xact::text) FILTER (WHERE operation = 'update' AND next_operation = 'insert'),
            min(xact::text) FILTER (WHERE operation = 'update' AND next_operation = '')
        FROM changes GROUP BY mirror, key
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'mirror', mirror, 'record', edited.record, 'key', key::text, 'rows', rows,
        'base', CASE WHEN first_operation <> 'insert' THEN line END, 'theirs', theirs,
        'made_at', to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'made_by', made_by,
        'transactions', coalesce(transactions, '{{}}'),
        'left_in', coalesce(left_in, '{{}}') || CASE WHEN theirs IS NULL AND last_update IS NOT NULL THEN ARRAY[last_update] ELSE '{{}}' END,
        'is_older', edited.record <= restored_mark, 'restored_at', to_char(restored_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
        'table_rows', coalesce((SELECT held.rows FROM {schema}.left_by(last_run) AS held WHERE table_name = mirror), 0)
    ) ORDER BY edited.record), '[]')
    FROM edited JOIN {schema}.sources ON sources.source = of_source
    CROSS JOIN LATERAL (
        SELECT CASE WHEN key IS NOT NULL THEN {schema}.held_now(mirror_schema, mirror, key_columns, line) END) AS held (theirs)
$$;

-- Takes the source for this transaction, as a run does, and then reads its edits: what has been committed before the lock was had must be
-- seen, which one statement would not. Nothing where somebody else has it. `place` is this deployment's own, `up_to` the
-- newest record, `last` the newest edit that was judged.
DROP FUNCTION IF EXISTS {schema}.take_edits(text);
CREATE OR REPLACE FUNCTION {schema}.take_pending(of_source text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock({schema}.source_lock(of_source)) THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object(
        'place', (SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') FROM {schema}.sources WHERE source = of_source),
        'found', {schema}.pending_edits(of_source), 'up_to', {schema}.newest_record(),
        'last', (SELECT coalesce(max(edit), 0) FROM {schema}.edits WHERE source = of_source),
        'since', (SELECT coalesce(jsonb_object_agg(item, since), '{{}}') FROM {schema}.accepted_edits WHERE source = of_source));
END;
$$;

-- Makes a mirror again what the last saved run left of it, by the undo log, in a run's transaction: then a run need send no more than what
-- the bot has changed since. False, and nothing is done, where that cannot be done, or is more work than sending it.
CREATE OR REPLACE FUNCTION {schema}.put_back(of_source text, of_mirror text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place regclass;
    keys text[];
    mark bigint;
    changed text := $query$
        SELECT DISTINCT ON (key) operation, line FROM (
            SELECT operation, line, record, place,
                (SELECT jsonb_object_agg(name, line::json -> name) FROM unnest(key_columns) AS name) AS key
            FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) WITH ORDINALITY AS given (line, place)
            WHERE source = $1 AND mirror = $2 AND record > $3
        ) AS changes
        ORDER BY key, record, place$query$;
BEGIN
    SELECT to_regclass(quote_ident(mirror_schema) || '.' || quote_ident(of_mirror)), undo_mark INTO place, mark
    FROM {schema}.sources JOIN {schema}.runs ON run = last_run WHERE sources.source = of_source;
    keys := {schema}.key_of(place);
    IF of_mirror = 'misfit_rows' OR keys IS NULL OR (
        SELECT sum(row_count) FROM {schema}.undo_log WHERE source = of_source AND mirror = of_mirror AND record > mark) > 1000
    THEN
        RETURN false;
    END IF;
    EXECUTE format('DELETE FROM ONLY %1$s AS held USING (%2$s) AS oldest, json_populate_record(NULL::%1$s, line::json) AS meant WHERE %3$s',
        place, changed, (SELECT string_agg(format('held.%1$I = meant.%1$I', key), ' AND ') FROM unnest(keys) AS key))
    USING of_source, of_mirror, mark;
    EXECUTE format('INSERT INTO %1$s SELECT was.* FROM (%2$s) AS oldest, json_populate_record(NULL::%1$s, line::json) AS was WHERE %3$s',
        place, changed, 'operation <> ''insert''')
    USING of_source, of_mirror, mark;
    RETURN true;
EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation THEN
    RETURN false;
END;
$$;

-- Keeps what became of all edits of a source up to a record: whoever calls it has taken the source's lock before he read them.
DROP FUNCTION IF EXISTS {schema}.judge_edits(text, jsonb);
CREATE OR REPLACE FUNCTION {schema}.judge_edits(of_source text, judged jsonb, up_to bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO {schema}.edits (source, mirror, record, key, columns, base, theirs, made_at, made_by, outcome, reason, undoes)
    SELECT of_source, mirror, record, key, columns, base, theirs, made_at AT TIME ZONE 'UTC', made_by, outcome, reason, undoes
    FROM jsonb_to_recordset(judged) AS given (
        mirror text, record bigint, key text, columns text[], base text, theirs text, made_at timestamp, made_by text,
        outcome text, reason text, undoes bigint);
    UPDATE {schema}.sources SET edits_up_to = greatest(edits_up_to, least(up_to, {schema}.newest_record())) WHERE source = of_source;
$$;

-- What became of edits, a line for each column, for people: of a row that was added or deleted there is one line, and no value.
CREATE OR REPLACE VIEW {schema}.edits_for_people AS
    SELECT source, mirror AS table_name, key AS row_key, name AS column_name, base::json ->> name AS base, theirs::json ->> name AS theirs,
        made_by, made_at, found_at, outcome, reason, run
    FROM {schema}.edits LEFT JOIN LATERAL unnest(columns) AS name ON true
    ORDER BY edit DESC;
