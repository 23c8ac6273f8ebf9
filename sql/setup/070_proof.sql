-- The proof on the server: the digest of every mirror against what the last run has noted of it, computed by Postgres alone, in pieces that
-- keep statement and load small. It needs neither the bot's machine nor its file.

-- By table: {{run, record, file, next, rows, total, restarts}} of one that is being looked at, with `at` (Unix seconds) once that has ended:
-- then `said` says in what it is not what the last run has noted, `unproven` why that could not be told. `run` and `record` are the newest
-- that have changed the table.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS proofs jsonb;

-- The expression of a row's line, given the columns of a table's plan: what a column's type makes of its cell is {{c}}.
CREATE OR REPLACE FUNCTION {schema}.line_of(columns json) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(replace({digest_cells}::jsonb ->> (item->>'mirror_type'), '{{c}}', quote_ident(item->>'mirror_name')),
        ' || '','' || ' ORDER BY number)
    FROM json_array_elements(columns) WITH ORDINALITY AS given (item, number)
$$;

-- Looks at one more piece of a table of the last run, of so many blocks of its mirror, and returns what is known by then, given what was
-- before. Where the table was changed meanwhile, it begins anew, and gives up after the fifth time, as it does where people have edited the
-- source since its last run. All is read as of one moment.
CREATE OR REPLACE FUNCTION {schema}.proven(of_source text, label text, before jsonb, most_blocks bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    held record;
    place regclass;
    state jsonb;
    begins bigint;
    blocks bigint := 0;
    piece record;
BEGIN
    SELECT noted.run, noted.rows, noted.digest, item, (
        SELECT max(record) FROM {schema}.undo_log WHERE undo_log.source = of_source AND undo_log.mirror = item->>'mirror') AS record,
        mirror_schema, EXISTS (SELECT FROM {schema}.undo_log WHERE undo_log.source = of_source AND record > last.undo_mark) AS is_edited
    INTO STRICT held
    FROM {schema}.sources JOIN {schema}.runs AS last ON last.run = last_run JOIN {schema}.source_schemas USING (source_schema)
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.run_tables
        WHERE run_tables.source = of_source AND table_name = label AND run_tables.run <= last_run ORDER BY run_tables.run DESC LIMIT 1) AS noted
    LEFT JOIN LATERAL (
        SELECT given AS item FROM json_array_elements(definition::json->'tables') AS given
        WHERE given->>'mirror' = mirrors::json->>label LIMIT 1) AS planned ON true
    WHERE sources.source = of_source;
    place := CASE WHEN held.item IS NOT NULL THEN format('%I.%I', held.mirror_schema, held.item->>'mirror')::regclass END;
    state := jsonb_build_object('run', held.run, 'record', held.record, 'file', pg_relation_filenode(place));
    IF before IS NULL OR before ? 'at' OR NOT before @> state THEN
        state := state || jsonb_build_object('next', 0, 'rows', 0, 'total', 0,
            'restarts', CASE WHEN before ? 'at' THEN 0 ELSE coalesce((before->>'restarts')::integer + 1, 0) END);
    ELSE
        state := before;
    END IF;
    IF held.is_edited OR (state->>'restarts')::integer > 5 THEN
        RETURN state || jsonb_build_object('at', extract(epoch FROM clock_timestamp()), 'unproven',
            CASE WHEN held.is_edited THEN 'somebody has edited since the last run' ELSE 'written too often to be read in pieces' END);
    END IF;
    IF place IS NOT NULL THEN
        blocks := pg_relation_size(place) / current_setting('block_size')::bigint;
        begins := (state->>'next')::bigint;
        EXECUTE format('SELECT count(*) AS rows, coalesce(sum(%s), 0) AS total FROM ONLY %s WHERE ctid >= %L AND ctid < %L',
            format({row_hash}, {schema}.line_of(held.item->'columns')), place,
            format('(%s,0)', begins), format('(%s,0)', least(begins + most_blocks, 4294967295))) INTO piece;
        state := state || jsonb_build_object('next', begins + most_blocks, 'rows', (state->>'rows')::bigint + piece.rows,
            'total', (state->>'total')::numeric + piece.total);
    END IF;
    IF (state->>'next')::bigint < blocks THEN
        RETURN state;
    END IF;
    SELECT (state->>'rows')::bigint + count(*) AS rows, (state->>'total')::numeric + coalesce(sum({misfit_hash}), 0) AS total INTO piece
    FROM {schema}.misfit_rows WHERE source = of_source AND table_name = label;
    RETURN state || jsonb_build_object('at', extract(epoch FROM clock_timestamp())) || CASE
        WHEN (piece.rows, piece.total) = (held.rows, held.digest) THEN '{{}}'
        ELSE jsonb_build_object('said', CASE WHEN piece.rows = held.rows THEN 'other rows than run ' || held.run || ' has left'
            ELSE piece.rows || ' rows, where run ' || held.run || ' has left ' || held.rows END)
        END;
EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception THEN
    RETURN jsonb_build_object('at', extract(epoch FROM clock_timestamp()), 'said', 'its mirror cannot be read: ' || SQLERRM);
END;
$$;

-- Goes on with the proof of all tables that were not looked at since a moment (Unix seconds), for so many seconds and one piece
-- at least, and returns how many are left. Two at once would do the same twice: the second one does nothing, and returns NULL.
CREATE OR REPLACE FUNCTION {schema}.prove(since double precision, most_blocks bigint DEFAULT 4096, for_seconds double precision DEFAULT 1)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ends timestamptz := clock_timestamp() + for_seconds * interval '1 second';
    known jsonb;
    of_source text;
    one record;
    left_over integer := 0;
    has_begun boolean := false;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended({schema_name} || '; proof', 0)) THEN
        RETURN NULL;
    END IF;
    FOR of_source IN SELECT source FROM {schema}.sources WHERE retired_at IS NULL AND last_run IS NOT NULL ORDER BY source LOOP
        known := NULL;
        FOR one IN
            SELECT label, proofs->label AS before
            FROM {schema}.sources JOIN {schema}.runs ON run = last_run JOIN {schema}.source_schemas USING (source_schema)
            CROSS JOIN LATERAL json_object_keys(mirrors::json) AS label
            WHERE sources.source = of_source AND coalesce((proofs->label->>'at')::float8, 0) < since
            ORDER BY proofs->label ? 'at', (proofs->label->>'at')::float8, label
        LOOP
            WHILE coalesce((one.before->>'at')::float8, 0) < since AND (NOT has_begun OR clock_timestamp() < ends) LOOP
                one.before := {schema}.proven(of_source, one.label, one.before, most_blocks);
                has_begun := true;
                known := coalesce(known, '{{}}') || jsonb_build_object(one.label, one.before);
            END LOOP;
            left_over := left_over + (coalesce((one.before->>'at')::float8, 0) < since)::integer;
        END LOOP;
        UPDATE {schema}.sources SET proofs = (
            SELECT jsonb_object_agg(key, value) FROM jsonb_each(coalesce(proofs, '{{}}') || known)
            WHERE key IN (
                SELECT json_object_keys(mirrors::json) FROM {schema}.runs JOIN {schema}.source_schemas USING (source_schema) WHERE run = last_run))
        WHERE source = of_source AND known IS NOT NULL;
    END LOOP;
    RETURN left_over;
END;
$$;
