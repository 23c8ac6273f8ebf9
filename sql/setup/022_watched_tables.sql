-- What lets the undo log see every change: the triggers on the misfits and on each mirror, and whether they are all there; and the log
-- as people read it.

DROP TRIGGER IF EXISTS undo_begin ON {schema}.misfit_rows;
CREATE TRIGGER undo_begin BEFORE INSERT OR UPDATE OR DELETE ON {schema}.misfit_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.begin_statement();
DROP TRIGGER IF EXISTS undo_insert ON {schema}.misfit_rows;
CREATE TRIGGER undo_insert AFTER INSERT ON {schema}.misfit_rows REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo('', 'misfit_rows', 'table_name', 'line_hash', 'copy');
DROP TRIGGER IF EXISTS undo_update ON {schema}.misfit_rows;
CREATE TRIGGER undo_update AFTER UPDATE ON {schema}.misfit_rows REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo('', 'misfit_rows', 'table_name', 'line_hash', 'copy');
DROP TRIGGER IF EXISTS undo_delete ON {schema}.misfit_rows;
CREATE TRIGGER undo_delete AFTER DELETE ON {schema}.misfit_rows REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo('', 'misfit_rows', 'table_name', 'line_hash', 'copy');
DROP TRIGGER IF EXISTS undo_truncate ON {schema}.misfit_rows;
CREATE TRIGGER undo_truncate BEFORE TRUNCATE ON {schema}.misfit_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo('', 'misfit_rows', 'table_name', 'line_hash', 'copy');
ALTER TABLE {schema}.misfit_rows ENABLE ALWAYS TRIGGER undo_begin,
    ENABLE ALWAYS TRIGGER undo_insert, ENABLE ALWAYS TRIGGER undo_update, ENABLE ALWAYS TRIGGER undo_delete, ENABLE ALWAYS TRIGGER undo_truncate;

-- The triggers that a watched table has, as pg_trigger numbers them: AFTER INSERT, UPDATE and DELETE, BEFORE TRUNCATE, and before each of
-- the first three the one that notes that a statement begins; each for the whole statement, unconditional, in no mode switched off.
CREATE OR REPLACE FUNCTION {schema}.watchers(relation oid, by_function regprocedure, arguments bytea) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(DISTINCT tgtype) FROM pg_trigger
    WHERE tgrelid = relation AND tgenabled = 'A' AND tgqual IS NULL AND (
        tgfoid = by_function AND tgargs = arguments AND tgtype IN (4, 8, 16, 34)
        OR tgfoid = '{schema}.begin_statement()'::regprocedure AND tgtype = 30)
$$;

-- The key of a mirror, in its order.
CREATE OR REPLACE FUNCTION {schema}.key_of(relation oid) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(attname::text ORDER BY place)
    FROM pg_constraint CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = part.number
    WHERE conrelid = relation AND contype = 'p'
$$;

-- A trigger's arguments as pg_trigger keeps them.
CREATE OR REPLACE FUNCTION {schema}.as_arguments(arguments text[]) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(convert_to(argument, 'UTF8') || decode('00', 'hex'), ''::bytea ORDER BY place)
    FROM unnest(arguments) WITH ORDINALITY AS given (argument, place)
$$;

-- Whether the undo log sees every change of a mirror.
CREATE OR REPLACE FUNCTION {schema}.is_watched(of_source text, relation oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT {schema}.watchers(relation, '{schema}.log_undo()'::regprocedure,
        {schema}.as_arguments(ARRAY[of_source, relname::text] || {schema}.key_of(relation))) = 5
    FROM pg_class WHERE oid = relation
$$;

-- Whether the books themselves are watched: the misfits, and the undo log.
CREATE OR REPLACE FUNCTION {schema}.are_books_watched() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT {schema}.watchers('{schema}.misfit_rows'::regclass, '{schema}.log_undo()'::regprocedure,
        {schema}.as_arguments(ARRAY['', 'misfit_rows', 'table_name', 'line_hash', 'copy'])) = 5
        AND {schema}.watchers('{schema}.undo_log'::regclass, '{schema}.note_lost_records()'::regprocedure, ''::bytea) = 3
        AND EXISTS (
            SELECT FROM pg_trigger WHERE tgrelid = '{schema}.undo_log'::regclass AND tgenabled = 'A' AND tgtype = 5
                AND tgfoid = '{schema}.number_hand_edit()'::regprocedure)
$$;

-- Puts the triggers on a mirror, with its present key, unless they are there. Called when a mirror is made or mended.
CREATE OR REPLACE FUNCTION {schema}.watch(source text, schema_name text, mirror text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := format('%I.%I', schema_name, mirror);
    arguments text := (
        SELECT string_agg(quote_literal(argument), ', ') FROM unnest(ARRAY[source, mirror] || {schema}.key_of(place::regclass)) AS argument);
    event text;
    tables text;
BEGIN
    IF {schema}.is_watched(source, place::regclass) THEN
        RETURN;
    END IF;
    EXECUTE format('DROP TRIGGER IF EXISTS undo_begin ON %s', place);
    EXECUTE format('CREATE TRIGGER undo_begin BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT
        EXECUTE FUNCTION {schema}.begin_statement()', place);
    FOREACH event IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
        tables := concat_ws(' ',
            CASE WHEN event <> 'INSERT' THEN 'OLD TABLE AS old_rows' END, CASE WHEN event <> 'DELETE' THEN 'NEW TABLE AS new_rows' END);
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', 'undo_' || lower(event), place);
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo(%s)',
            'undo_' || lower(event), event, place, tables, arguments);
    END LOOP;
    EXECUTE format('DROP TRIGGER IF EXISTS undo_truncate ON %s', place);
    EXECUTE format('CREATE TRIGGER undo_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo(%s)',
        place, arguments);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER undo_begin, ENABLE ALWAYS TRIGGER undo_insert, ENABLE ALWAYS TRIGGER undo_update,
        ENABLE ALWAYS TRIGGER undo_delete, ENABLE ALWAYS TRIGGER undo_truncate', place);
END;
$$;
