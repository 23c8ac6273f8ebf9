-- The proof on the server: the digest of every mirror against what the last run has noted of it, computed by Postgres alone, in pieces that
-- keep statement and load small. It needs neither the bot's machine nor its file, and no run ever waits for more than one piece.

-- By table, what was found: `at` when (Unix seconds), after which run (`last`), and `said` in what it is not what that has noted, or `unproven`
-- why that could not be told. Beside it, where the table is being looked at again, how far that has come: `so_far`, with the run and the undo
-- record that changed the table last, and the file that it is in: where one of these is another, it begins anew.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS proofs jsonb;

-- The expression of a row's line, from the columns that a definition has for a mirror; what a column's type makes of its cell is {{c}}. Bytes that
-- are no text stand in a definition as halves of characters, which no json takes, and in no name.
CREATE OR REPLACE FUNCTION {schema}.line_of(definition text, mirror_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(replace({digest_cells}::jsonb ->> (item->>'mirror_type'), '{{c}}', quote_ident(item->>'mirror_name')),
        ' || '','' || ' ORDER BY number)
    FROM json_array_elements(regexp_replace(replace(definition, '\\', '\u005c'),
        '(?<!\\ud[89ab][0-9a-f]{{2}})\\ud[c-f][0-9a-f]{{2}}|\\ud[89ab][0-9a-f]{{2}}(?!\\ud[c-f])|\\u0000', '?', 'g')::json->'tables') AS planned
    CROSS JOIN LATERAL json_array_elements(planned->'columns') WITH ORDINALITY AS given (item, number)
    WHERE planned->>'mirror' = mirror_name
$$;

-- Looks at one more piece of a table, of so many bytes of its mirror, and returns what was found, or how far it has come. What is changed while
-- it is looked at is begun anew, and given up after the fifth time, as is what people have edited since the last run. All is read as of one moment.
CREATE OR REPLACE FUNCTION {schema}.looked_at(of_source text, label text, so_far jsonb, most_bytes bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    held record;
    place regclass;
    state jsonb;
    verdict jsonb;
    as_line text;
    begins bigint;
    blocks bigint := 0;
    step bigint;
    piece record;
BEGIN
    SELECT noted.run, noted.rows, noted.digest, last_run, mirror_schema, definition, mirrors::json->>label AS mirror,
        (SELECT max(record) FROM {schema}.undo_log WHERE undo_log.source = of_source AND mirror = mirrors::json->>label) AS record,
        EXISTS (SELECT FROM {schema}.undo_log WHERE undo_log.source = of_source AND record > last.undo_mark) AS is_edited
    INTO STRICT held
    FROM {schema}.sources JOIN {schema}.runs AS last ON last.run = last_run JOIN {schema}.source_schemas USING (source_schema)
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.run_tables
        WHERE run_tables.source = of_source AND table_name = label AND run_tables.run <= last_run ORDER BY run_tables.run DESC LIMIT 1) AS noted
    WHERE sources.source = of_source;
    verdict := jsonb_build_object('at', extract(epoch FROM clock_timestamp()), 'last', held.last_run);
    place := to_regclass(quote_ident(held.mirror_schema) || '.' || quote_ident(held.mirror));
    state := jsonb_build_object('run', held.run, 'record', held.record, 'file', pg_relation_filenode(place));
    IF so_far @> state THEN
        state := so_far;
    ELSE
        state := state || jsonb_build_object('next', 0, 'rows', 0, 'total', 0, 'restarts', coalesce((so_far->>'restarts')::integer + 1, 0),
            'begun', coalesce((so_far->>'begun')::float8, extract(epoch FROM clock_timestamp())));
    END IF;
    IF held.is_edited OR (state->>'restarts')::integer > 5 THEN
        RETURN verdict || jsonb_build_object('unproven',
            CASE WHEN held.is_edited THEN 'somebody has edited since the last run' ELSE 'written too often to be read in pieces' END);
    ELSIF held.mirror IS NOT NULL AND place IS NULL THEN
        RETURN verdict || '{{"said": "its mirror is gone"}}';
    ELSIF place IS NOT NULL THEN
        BEGIN
            as_line := {schema}.line_of(held.definition, held.mirror);
        EXCEPTION WHEN data_exception THEN
            as_line := NULL;
        END;
        IF as_line IS NULL THEN
            RETURN verdict || '{{"unproven": "its definition cannot be read"}}';
        END IF;
        blocks := pg_relation_size(place) / current_setting('block_size')::bigint;
        -- Before PostgreSQL 14 each piece would read the whole table.
        step := CASE WHEN current_setting('server_version_num')::integer < 140000 THEN 4294967295
            ELSE greatest(1, most_bytes * blocks / greatest(1, pg_table_size(place))) END;
        begins := (state->>'next')::bigint;
        BEGIN
            EXECUTE format('SELECT count(*) AS rows, coalesce(sum(%s), 0) AS total FROM ONLY %s WHERE ctid >= %L AND ctid < %L',
                format({row_hash}, as_line), place, format('(%s,0)', begins), format('(%s,0)', least(begins + step, 4294967295))) INTO piece;
        EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception THEN
            RETURN verdict || '{{"said": "its mirror has other columns than that run has left"}}';  -- what Postgres says may quote a cell
        END;
        state := state || jsonb_build_object('next', begins + step, 'rows', (state->>'rows')::bigint + piece.rows,
            'total', (state->>'total')::numeric + piece.total);
    END IF;
    IF (state->>'next')::bigint < blocks THEN
        RETURN jsonb_build_object('so_far', state);
    END IF;
    SELECT (state->>'rows')::bigint + count(*) AS rows, (state->>'total')::numeric + coalesce(sum({misfit_hash}), 0) AS total INTO piece
    FROM {schema}.misfit_rows WHERE source = of_source AND table_name = label;
    RETURN verdict || CASE
        WHEN (piece.rows, piece.total) = (held.rows, held.digest) THEN '{{}}'
        WHEN piece.rows = held.rows THEN jsonb_build_object('said', 'other rows than run ' || held.run || ' has left')
        ELSE jsonb_build_object('said', piece.rows || ' rows, where run ' || held.run || ' has left ' || held.rows) END;
END;
$$;

-- Whether what was found of a table is not older than a moment; what is dated later than now was dated by a wrong clock.
CREATE OR REPLACE FUNCTION {schema}.is_looked_at(found jsonb, since double precision) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((found->>'at')::float8 BETWEEN since AND extract(epoch FROM clock_timestamp()), false)
$$;

-- Goes on with the proof of all tables that were not looked at since a moment (Unix seconds), for so many seconds, five at most, and one piece
-- at least, and returns how many are left. The lock on a mirror is given back with each piece, and comes before what is read: so no run waits
-- for longer, and what a run has made anew meanwhile is seen. Two proofs at once would do the same twice: the second one returns NULL.
CREATE OR REPLACE FUNCTION {schema}.prove(since double precision, most_bytes bigint DEFAULT 33554432, for_seconds double precision DEFAULT 5)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    ends timestamptz := clock_timestamp() + least(greatest(for_seconds, 0), 5) * interval '1 second';
    found_of jsonb := '{{}}';
    one record;
    piece jsonb;
    is_locked boolean;
    has_begun boolean := false;
    left_over integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended({schema_name} || '; proof', 0)) THEN
        RETURN NULL;
    END IF;
    FOR one IN
        SELECT sources.source, label, quote_ident(mirror_schema) || '.' || quote_ident(mirrors::json->>label) AS place, coalesce(proofs->label, '{{}}') AS found
        FROM {schema}.sources JOIN {schema}.runs ON run = last_run JOIN {schema}.source_schemas USING (source_schema)
        CROSS JOIN LATERAL json_object_keys(mirrors::json) AS label
        WHERE retired_at IS NULL
        ORDER BY sources.source, coalesce(proofs->label, '{{}}') ? 'so_far' DESC, (proofs->label->>'at')::float8 NULLS FIRST, label
    LOOP
        is_locked := false;
        WHILE NOT ({schema}.is_looked_at(one.found, since) OR is_locked) AND (NOT has_begun OR clock_timestamp() < ends) LOOP
            has_begun := true;
            BEGIN
                IF to_regclass(one.place) IS NOT NULL THEN
                    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', one.place);
                END IF;
                piece := {schema}.looked_at(one.source, one.label, one.found->'so_far', least(greatest(most_bytes, 1), 1000000000));
                one.found := CASE WHEN piece ? 'at' THEN piece ELSE one.found || piece END;
                RAISE EXCEPTION USING ERRCODE = 'HB002';
            EXCEPTION
                WHEN SQLSTATE 'HB002' THEN NULL;  -- what was found stays, the lock does not
                WHEN lock_not_available THEN is_locked := true;
            END;
            found_of := found_of || jsonb_build_object(one.source, coalesce(found_of->one.source, '{{}}') || jsonb_build_object(one.label, one.found));
        END LOOP;
        left_over := left_over + (NOT {schema}.is_looked_at(one.found, since))::integer;
    END LOOP;
    PERFORM set_config('lock_timeout', '10s', true);
    UPDATE {schema}.sources SET proofs = (
        SELECT jsonb_object_agg(key, value) FROM jsonb_each(coalesce(proofs, '{{}}') || told)
        WHERE key IN (
            SELECT json_object_keys(mirrors::json) FROM {schema}.runs JOIN {schema}.source_schemas USING (source_schema) WHERE run = last_run))
    FROM jsonb_each(found_of) AS looked (of_source, told) WHERE sources.source = of_source;
    RETURN left_over;
END;
$$;
