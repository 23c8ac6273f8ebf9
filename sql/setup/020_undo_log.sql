-- The undo log: what each run, and everybody else, changed in the mirrors, so that an earlier state can be rebuilt.
--
-- A record holds up to a thousand rows as JSON lines, which TOAST compresses: old rows for updates and deletes, only the keys
-- for inserts. A record without a run was made by hand, and gets its number when its transaction commits. To see a state as of
-- an earlier mark, take for each key the oldest record after that mark: an insert means that the row was not there, anything
-- else holds the row as it was; keys without a record are as the mirror has them.
--
-- Every function of ours has `SET search_path = pg_catalog, pg_temp`: with an empty path, types would still be looked for in the
-- caller's pg_temp first, and what he puts there would run with the owner's rights. Every trigger is ENABLE ALWAYS, or
-- session_replication_role = replica would switch it off.

CREATE TABLE IF NOT EXISTS {schema}.undo_log (
    record          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run             bigint,
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by      text NOT NULL DEFAULT session_user,
    source          text NOT NULL,
    mirror          text NOT NULL,
    operation       text NOT NULL CHECK (operation IN ('insert', 'update', 'delete')),
    key_columns     text[] NOT NULL,
    row_count       integer NOT NULL,
    lines           text NOT NULL
);
-- The transaction that wrote the record, and for an insert, which of its statements.
ALTER TABLE {schema}.undo_log ADD COLUMN IF NOT EXISTS xact xid8;
ALTER TABLE {schema}.undo_log ALTER COLUMN xact SET DEFAULT pg_current_xact_id();
ALTER TABLE {schema}.undo_log ADD COLUMN IF NOT EXISTS command bigint;
CREATE INDEX IF NOT EXISTS undo_log_by_mirror ON {schema}.undo_log (source, mirror, record);

-- The mirrors whose first load is over: that one is not logged, because there is nothing to go back to.
CREATE TABLE IF NOT EXISTS {schema}.loaded_mirrors (
    source          text NOT NULL,
    mirror          text NOT NULL,
    PRIMARY KEY (source, mirror)
);

-- Whether the first load of a mirror is over: what a run has left there counts, whatever somebody deletes from the list.
CREATE OR REPLACE FUNCTION {schema}.is_loaded(of_source text, of_mirror text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM {schema}.loaded_mirrors WHERE source = of_source AND mirror = of_mirror)
        OR EXISTS (
            SELECT FROM {schema}.sources JOIN {schema}.run_tables ON run = last_run
            WHERE sources.source = of_source AND table_name = of_mirror)
$$;

-- The advisory lock of a source: whoever has it alone may write its mirrors as a run does.
CREATE OR REPLACE FUNCTION {schema}.source_lock(of_source text) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT hashtextextended({schema_name} || '.' || of_source, 0)
$$;

-- The statement that logs rows, given the query that makes their JSON lines: records of at most a thousand rows and some 16 MB.
-- Its parameters are the source, the mirror, the operation, the key columns and the command. The record is a run's only if the run
-- is at work in this very transaction, which nobody can merely claim.
CREATE OR REPLACE FUNCTION {schema}.undo_statement(query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($statement$
        INSERT INTO {schema}.undo_log (run, source, mirror, operation, key_columns, command, row_count, lines)
        SELECT (SELECT run FROM {schema}.runs WHERE runs.source = $1 AND outcome = 'running' AND xact = pg_current_xact_id()),
            $1, $2, $3, $4, $5, count(*), string_agg(line, E'\n' ORDER BY place)
        FROM (
            SELECT line, place, sum(length(line)) OVER (ORDER BY place) / 16000000 AS part
            FROM (SELECT line, row_number() OVER () AS place FROM (%s) AS given) AS numbered
        ) AS placed
        GROUP BY (place - 1) / 1000, part
        ORDER BY min(place)
    $statement$, query)
$$;

-- Whether this transaction has logged inserts into a mirror.
CREATE OR REPLACE FUNCTION {schema}.has_logged_inserts(of_source text, of_mirror text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM {schema}.undo_log
        WHERE source = of_source AND mirror = of_mirror AND operation = 'insert' AND xact = pg_current_xact_id())
$$;

-- Puts the inserts of a statement behind the old rows that it has just logged: one statement may delete a key and insert it again,
-- and Postgres may tell of the insert first. A key that was taken away and is there all the same was inserted by that statement.
CREATE OR REPLACE FUNCTION {schema}.put_inserts_last(of_source text, of_mirror text, of_command bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.undo_log SET record = DEFAULT
    WHERE source = of_source AND mirror = of_mirror AND operation = 'insert' AND xact = pg_current_xact_id() AND command = of_command
$$;

-- The trigger of every mirror; its arguments are the source, the mirror and the key columns. What it reads is always named with its
-- table: the bot's columns may have any name.
-- extra_float_digits: a session of Supabase would round the doubles that it changes by hand.
CREATE OR REPLACE FUNCTION {schema}.log_undo() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    is_loaded boolean;
    keys text[];
    key_list text;
    old_keys text;
    new_keys text;
    place text;
    inserted_by text;
    with_key text;
    moved bigint := 1;
    command bigint;
BEGIN
    -- As a rule a merge changes nothing. Then this ends here: every expression below is a plan that stays with the trigger, and each
    -- table that a run drops at its end is looked for in all of them, which with a thousand mirrors took minutes.
    IF TG_OP = 'INSERT' THEN
        is_loaded := {schema}.is_loaded(TG_ARGV[0], TG_ARGV[1]);
        IF is_loaded AND NOT EXISTS (SELECT FROM new_rows) THEN
            RETURN NULL;
        END IF;
    ELSIF TG_OP <> 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM old_rows) THEN
            RETURN NULL;
        END IF;
    END IF;
    keys := TG_ARGV[2:];
    key_list := (SELECT string_agg(quote_ident(key), ', ') FROM unnest(keys) AS key);
    old_keys := 'SELECT ' || key_list || ' FROM old_rows';
    new_keys := 'SELECT ' || key_list || ' FROM new_rows';
    place := quote_ident(TG_TABLE_SCHEMA) || '.' || quote_ident(TG_TABLE_NAME);
    inserted_by := 'SELECT mirror.cmin::text::bigint FROM ' || place || ' AS mirror JOIN (';
    with_key := ') AS given USING (' || key_list || ') LIMIT 1';
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE {schema}.undo_statement('SELECT row_to_json(mirror.*)::text AS line FROM ' || place || ' AS mirror')
        USING TG_ARGV[0], TG_ARGV[1], 'delete', keys, command;
        RETURN NULL;
    ELSIF TG_OP IN ('DELETE', 'UPDATE') THEN
        EXECUTE {schema}.undo_statement('SELECT row_to_json(old_rows.*)::text AS line FROM old_rows')
        USING TG_ARGV[0], TG_ARGV[1], lower(TG_OP), keys, command;
    ELSIF is_loaded THEN
        EXECUTE inserted_by || new_keys || ' LIMIT 1' || with_key INTO command;
        EXECUTE {schema}.undo_statement('SELECT row_to_json(given.*)::text AS line FROM (' || new_keys || ') AS given')
        USING TG_ARGV[0], TG_ARGV[1], 'insert', keys, command;
    ELSE
        INSERT INTO {schema}.loaded_mirrors (source, mirror) VALUES (TG_ARGV[0], TG_ARGV[1]) ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP = 'UPDATE' THEN  -- a run never changes a key; people do, and the new one was not there before
        EXECUTE {schema}.undo_statement('SELECT row_to_json(given.*)::text AS line FROM (' || new_keys || ' EXCEPT ' || old_keys || ') AS given')
        USING TG_ARGV[0], TG_ARGV[1], 'insert', keys, command;
        GET DIAGNOSTICS moved = ROW_COUNT;
        old_keys := old_keys || ' EXCEPT ' || new_keys;
    END IF;
    IF TG_OP <> 'INSERT' AND moved > 0 AND {schema}.has_logged_inserts(TG_ARGV[0], TG_ARGV[1]) THEN
        EXECUTE inserted_by || old_keys || with_key INTO command;
        PERFORM {schema}.put_inserts_last(TG_ARGV[0], TG_ARGV[1], command);
    END IF;
    RETURN NULL;
END;
$$;

-- The same for the misfits, whose rows say themselves to which source they belong.
CREATE OR REPLACE FUNCTION {schema}.log_misfit_undo() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys text[] := ARRAY['table_name', 'line_hash', 'copy'];
    owner text;
    command bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        FOR owner IN SELECT DISTINCT source FROM {schema}.misfit_rows LOOP
            EXECUTE {schema}.undo_statement('SELECT row_to_json(kept.*)::text AS line FROM {schema}.misfit_rows AS kept WHERE source = $1')
            USING owner, 'misfit_rows', 'delete', keys, command;
        END LOOP;
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        FOR owner IN SELECT DISTINCT source FROM old_rows LOOP
            EXECUTE {schema}.undo_statement('SELECT row_to_json(old_rows.*)::text AS line FROM old_rows WHERE source = $1')
            USING owner, 'misfit_rows', lower(TG_OP), keys, NULL::bigint;
        END LOOP;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        FOR owner IN SELECT DISTINCT source FROM new_rows LOOP
            command := (
                SELECT kept.cmin::text::bigint FROM {schema}.misfit_rows AS kept
                JOIN (SELECT * FROM new_rows WHERE source = owner LIMIT 1) AS given USING (source, table_name, line_hash, copy));
            EXECUTE {schema}.undo_statement('SELECT row_to_json(given.*)::text AS line
                FROM (SELECT table_name, line_hash, copy FROM new_rows WHERE source = $1) AS given')
            USING owner, 'misfit_rows', 'insert', keys, command;
        END LOOP;
    END IF;
    IF TG_OP = 'DELETE' THEN
        FOR owner IN SELECT DISTINCT source FROM old_rows LOOP
            IF {schema}.has_logged_inserts(owner, 'misfit_rows') THEN
                PERFORM {schema}.put_inserts_last(owner, 'misfit_rows', (
                    SELECT kept.cmin::text::bigint FROM {schema}.misfit_rows AS kept
                    JOIN old_rows USING (source, table_name, line_hash, copy) WHERE kept.source = owner LIMIT 1));
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END;
$$;

-- Lets the numbers of records rise above every mark, also where somebody has set the sequence back (TRUNCATE … RESTART IDENTITY).
CREATE OR REPLACE FUNCTION {schema}.keep_records_rising() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place regclass := pg_get_serial_sequence('{schema}.undo_log', 'record');
    highest bigint := (
        SELECT max(greatest(pruned_to, undo_mark)) FROM {schema}.sources LEFT JOIN {schema}.runs ON runs.run = last_run);
BEGIN
    IF coalesce(pg_sequence_last_value(place), 0) < highest THEN
        PERFORM setval(place, highest);
    END IF;
END;
$$;

-- A change by hand is numbered when it commits, and none commits while a run has the source. So every number up to a run's mark is
-- of a change that the run could see, and every later one of a change that the run's state does not have, however long the
-- transaction had been open. It does not wait: the run may be waiting for the very row.
CREATE OR REPLACE FUNCTION {schema}.number_hand_edit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared({schema}.source_lock(NEW.source)) THEN
        RAISE EXCEPTION '% is being backed up; nothing was changed', NEW.source
        USING ERRCODE = 'lock_not_available', HINT = 'Do it again when the backup has ended.';
    END IF;
    PERFORM {schema}.keep_records_rising();
    -- All that this transaction has logged, in its order: it may have put some inserts behind. Then nothing is left for the next call.
    FOR number IN
        SELECT record FROM {schema}.undo_log
        WHERE record >= NEW.record AND source = NEW.source AND xact = NEW.xact AND run IS NULL
            AND EXISTS (SELECT FROM {schema}.undo_log AS this WHERE this.record = NEW.record)
        ORDER BY record
    LOOP
        UPDATE {schema}.undo_log SET record = DEFAULT, changed_at = clock_timestamp() WHERE record = number;
    END LOOP;
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS number_hand_edits ON {schema}.undo_log;
CREATE CONSTRAINT TRIGGER number_hand_edits AFTER INSERT ON {schema}.undo_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.run IS NULL) EXECUTE FUNCTION {schema}.number_hand_edit();

-- Until version 3, a run that found the log pruned to nothing got the mark 0, below what had been pruned, and could not be restored.
-- No mark is lower than an earlier one, and what is older than `pruned_to` has been pruned with its records.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = '{schema}.undo_log'::regclass AND tgname = 'note_lost_deletes') THEN
        UPDATE {schema}.runs SET undo_mark = risen.mark
        FROM (
            SELECT run, greatest(max(undo_mark) OVER (PARTITION BY source ORDER BY run), pruned_to) AS mark
            FROM {schema}.runs JOIN {schema}.sources USING (source) WHERE outcome = 'saved'
        ) AS risen
        WHERE runs.run = risen.run AND runs.undo_mark < risen.mark;
    END IF;
END;
$$;

-- What is gone from the undo log, or is no longer what was written there, cannot be undone, whoever did it: the runs before it are no
-- restore points any more. That a transaction gives its own records other numbers is no loss.
CREATE OR REPLACE FUNCTION {schema}.note_lost_records() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE {schema}.sources SET pruned_to = lost.record
        FROM (SELECT source, max(record) AS record FROM {schema}.undo_log GROUP BY source) AS lost
        WHERE sources.source = lost.source AND pruned_to < lost.record;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE {schema}.sources SET pruned_to = lost.record
        FROM (SELECT source, max(record) AS record FROM old_rows GROUP BY source) AS lost
        WHERE sources.source = lost.source AND pruned_to < lost.record;
    ELSE
        UPDATE {schema}.sources SET pruned_to = lost.record
        FROM (
            SELECT source, max(record) AS record FROM old_rows
            WHERE xact IS DISTINCT FROM pg_current_xact_id() OR NOT EXISTS (
                SELECT FROM new_rows WHERE new_rows.xact = old_rows.xact AND new_rows.lines = old_rows.lines
                    AND new_rows.run IS NOT DISTINCT FROM old_rows.run
                    AND (new_rows.source, new_rows.mirror, new_rows.operation, new_rows.key_columns)
                        = (old_rows.source, old_rows.mirror, old_rows.operation, old_rows.key_columns))
            GROUP BY source
        ) AS lost
        WHERE sources.source = lost.source AND pruned_to < lost.record;
    END IF;
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS note_lost_deletes ON {schema}.undo_log;
CREATE TRIGGER note_lost_deletes AFTER DELETE ON {schema}.undo_log REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_lost_records();
DROP TRIGGER IF EXISTS note_lost_updates ON {schema}.undo_log;
CREATE TRIGGER note_lost_updates AFTER UPDATE ON {schema}.undo_log REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_lost_records();
DROP TRIGGER IF EXISTS note_lost_truncate ON {schema}.undo_log;
CREATE TRIGGER note_lost_truncate BEFORE TRUNCATE ON {schema}.undo_log
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_lost_records();
ALTER TABLE {schema}.undo_log
    ENABLE ALWAYS TRIGGER number_hand_edits, ENABLE ALWAYS TRIGGER note_lost_deletes,
    ENABLE ALWAYS TRIGGER note_lost_updates, ENABLE ALWAYS TRIGGER note_lost_truncate;

DROP TRIGGER IF EXISTS undo_insert ON {schema}.misfit_rows;
CREATE TRIGGER undo_insert AFTER INSERT ON {schema}.misfit_rows REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();
DROP TRIGGER IF EXISTS undo_update ON {schema}.misfit_rows;
CREATE TRIGGER undo_update AFTER UPDATE ON {schema}.misfit_rows REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();
DROP TRIGGER IF EXISTS undo_delete ON {schema}.misfit_rows;
CREATE TRIGGER undo_delete AFTER DELETE ON {schema}.misfit_rows REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();
DROP TRIGGER IF EXISTS undo_truncate ON {schema}.misfit_rows;
CREATE TRIGGER undo_truncate BEFORE TRUNCATE ON {schema}.misfit_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();
ALTER TABLE {schema}.misfit_rows
    ENABLE ALWAYS TRIGGER undo_insert, ENABLE ALWAYS TRIGGER undo_update, ENABLE ALWAYS TRIGGER undo_delete, ENABLE ALWAYS TRIGGER undo_truncate;

-- The four triggers that a watched table has, as pg_trigger numbers them: AFTER INSERT, UPDATE and DELETE, BEFORE TRUNCATE, each for
-- the whole statement; unconditional, in no mode switched off.
CREATE OR REPLACE FUNCTION {schema}.watchers(relation oid, by_function regprocedure, arguments bytea) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(DISTINCT tgtype) FROM pg_trigger
    WHERE tgrelid = relation AND tgfoid = by_function AND tgargs = arguments AND tgenabled = 'A' AND tgqual IS NULL
        AND tgtype IN (4, 8, 16, 34)
$$;

-- The key of a mirror, in its order.
CREATE OR REPLACE FUNCTION {schema}.key_of(relation oid) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(attname::text ORDER BY place)
    FROM pg_constraint CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = part.number
    WHERE conrelid = relation AND contype = 'p'
$$;

-- Whether the undo log sees every change of a mirror.
CREATE OR REPLACE FUNCTION {schema}.is_watched(of_source text, relation oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT {schema}.watchers(relation, '{schema}.log_undo()'::regprocedure, (
        SELECT string_agg(convert_to(argument, 'UTF8') || decode('00', 'hex'), ''::bytea ORDER BY place)
        FROM unnest(ARRAY[of_source, relname::text] || {schema}.key_of(relation)) WITH ORDINALITY AS given (argument, place))) = 4
    FROM pg_class WHERE oid = relation
$$;

-- Whether the books themselves are watched: the misfits, and the undo log.
CREATE OR REPLACE FUNCTION {schema}.are_books_watched() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT {schema}.watchers('{schema}.misfit_rows'::regclass, '{schema}.log_misfit_undo()'::regprocedure, ''::bytea) = 4
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
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER undo_insert, ENABLE ALWAYS TRIGGER undo_update,
        ENABLE ALWAYS TRIGGER undo_delete, ENABLE ALWAYS TRIGGER undo_truncate', place);
END;
$$;

-- For people: one row per row version. `old_row` is the row as it was; for an insert it is the key of what is new.
CREATE OR REPLACE VIEW {schema}.row_history AS
SELECT changed_at, coalesce('run ' || run, 'by hand: ' || changed_by) AS changed_in, source, mirror AS table_name, operation,
    (SELECT jsonb_object_agg(name, line::jsonb -> name) FROM unnest(key_columns) AS name) AS key, line::jsonb AS old_row, record
FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) AS line;
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN
        ALTER VIEW {schema}.row_history SET (security_invoker = on);
    END IF;
END;
$$;
