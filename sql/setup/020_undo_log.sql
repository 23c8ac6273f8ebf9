-- The undo log: what each run, and everybody else, changed in the mirrors, so that an earlier state can be rebuilt.
--
-- A record holds up to a thousand rows as JSON lines, which TOAST compresses: old rows for updates and deletes, only the keys
-- for inserts. A record without a run was made by hand, and gets its number when its transaction commits. To see a state as of
-- an earlier mark, take for each key the oldest record after that mark: an insert means that the row was not there, anything
-- else holds the row as it was; keys without a record are as the mirror has them.

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
CREATE INDEX IF NOT EXISTS undo_log_by_mirror ON {schema}.undo_log (source, mirror, record);

-- The mirrors whose first load is over: that one is not logged, because there is nothing to go back to.
CREATE TABLE IF NOT EXISTS {schema}.loaded_mirrors (
    source          text NOT NULL,
    mirror          text NOT NULL,
    PRIMARY KEY (source, mirror)
);

-- The statement that logs rows, given the query that makes their JSON lines: records of at most a thousand rows and some 16 MB.
-- Its parameters are the source, the mirror, the operation and the key columns.
CREATE OR REPLACE FUNCTION {schema}.undo_statement(query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
    SELECT format($statement$
        INSERT INTO {schema}.undo_log (run, source, mirror, operation, key_columns, row_count, lines)
        SELECT nullif(current_setting('hybrid_backup.run', true), '')::bigint, $1, $2, $3, $4,
            count(*), string_agg(line, E'\n' ORDER BY place)
        FROM (
            SELECT line, place, sum(length(line)) OVER (ORDER BY place) / 16000000 AS part
            FROM (SELECT line, row_number() OVER () AS place FROM (%s) AS given) AS numbered
        ) AS placed
        GROUP BY (place - 1) / 1000, part
        ORDER BY min(place)
    $statement$, query)
$$;

-- The trigger of every mirror; its arguments are the source, the mirror and the key columns.
-- extra_float_digits: a session of Supabase would round the doubles that it changes by hand.
CREATE OR REPLACE FUNCTION {schema}.log_undo() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    keys text[] := TG_ARGV[2:];
    key_list text := (SELECT string_agg(format('%I', key), ', ') FROM unnest(TG_ARGV[2:]) AS key);
    is_loaded boolean := EXISTS (SELECT FROM {schema}.loaded_mirrors WHERE source = TG_ARGV[0] AND mirror = TG_ARGV[1]);
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE {schema}.undo_statement(format('SELECT row_to_json(row__)::text AS line FROM %I.%I AS row__', TG_TABLE_SCHEMA, TG_TABLE_NAME))
        USING TG_ARGV[0], TG_ARGV[1], 'delete', keys;
    ELSIF TG_OP IN ('DELETE', 'UPDATE') THEN
        EXECUTE {schema}.undo_statement('SELECT row_to_json(row__)::text AS line FROM old_rows AS row__')
        USING TG_ARGV[0], TG_ARGV[1], lower(TG_OP), keys;
    ELSIF is_loaded THEN
        EXECUTE {schema}.undo_statement(format('SELECT row_to_json(row__)::text AS line FROM (SELECT %s FROM new_rows) AS row__', key_list))
        USING TG_ARGV[0], TG_ARGV[1], 'insert', keys;
    ELSE
        INSERT INTO {schema}.loaded_mirrors (source, mirror) VALUES (TG_ARGV[0], TG_ARGV[1]) ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP = 'UPDATE' THEN  -- a run never changes a key; people do, and the new one was not there before
        EXECUTE {schema}.undo_statement(format(
            'SELECT row_to_json(row__)::text AS line FROM (SELECT %1$s FROM new_rows EXCEPT SELECT %1$s FROM old_rows) AS row__', key_list))
        USING TG_ARGV[0], TG_ARGV[1], 'insert', keys;
    END IF;
    RETURN NULL;
END;
$$;

-- The same for the misfits, whose rows say themselves to which source they belong.
CREATE OR REPLACE FUNCTION {schema}.log_misfit_undo() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    keys text[] := ARRAY['table_name', 'line_hash', 'copy'];
    owner text;
BEGIN
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        FOR owner IN SELECT DISTINCT source FROM old_rows LOOP
            EXECUTE {schema}.undo_statement('SELECT row_to_json(row__)::text AS line FROM old_rows AS row__ WHERE source = $1')
            USING owner, 'misfit_rows', lower(TG_OP), keys;
        END LOOP;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        FOR owner IN SELECT DISTINCT source FROM new_rows LOOP
            EXECUTE {schema}.undo_statement('SELECT row_to_json(row__)::text AS line
                FROM (SELECT table_name, line_hash, copy FROM new_rows WHERE source = $1) AS row__')
            USING owner, 'misfit_rows', 'insert', keys;
        END LOOP;
    END IF;
    RETURN NULL;
END;
$$;

-- A change by hand is numbered when it commits, and none commits while a run has the source. So every number up to a run's mark is
-- of a change that the run could see, and every later one of a change that the run's state does not have, however long the
-- transaction had been open. It does not wait: the run may be waiting for the very row. The lock is that of lock_source.sql.
CREATE OR REPLACE FUNCTION {schema}.number_hand_edit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(hashtextextended({schema_name} || '.' || NEW.source, 0)) THEN
        RAISE EXCEPTION '% is being backed up; nothing was changed', NEW.source
        USING ERRCODE = 'lock_not_available', HINT = 'Do it again when the backup has ended.';
    END IF;
    UPDATE {schema}.undo_log SET record = DEFAULT, changed_at = clock_timestamp() WHERE record = NEW.record;
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS number_hand_edits ON {schema}.undo_log;
CREATE CONSTRAINT TRIGGER number_hand_edits AFTER INSERT ON {schema}.undo_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.run IS NULL) EXECUTE FUNCTION {schema}.number_hand_edit();

-- Puts the triggers on a mirror, with its present key. Called when a mirror is made or mended.
CREATE OR REPLACE FUNCTION {schema}.watch(source text, schema_name text, mirror text) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    keys text[] := (
        SELECT array_agg(attname::text ORDER BY place)
        FROM pg_catalog.pg_constraint
        JOIN pg_catalog.pg_class ON pg_class.oid = conrelid
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_catalog.pg_attribute ON attrelid = conrelid AND attnum = part.number
        WHERE contype = 'p' AND nspname = schema_name AND relname = mirror);
    arguments text := (SELECT string_agg(quote_literal(argument), ', ') FROM unnest(ARRAY[source, mirror] || keys) AS argument);
    event text;
    tables text;
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_trigger
        JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = schema_name AND relname = mirror AND tgname = 'undo_truncate'
            AND right(pg_get_triggerdef(pg_trigger.oid), length(arguments) + 2) = '(' || arguments || ')'
    ) THEN
        RETURN;  -- they are there, for this key
    END IF;
    FOREACH event IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
        tables := concat_ws(' ',
            CASE WHEN event <> 'INSERT' THEN 'OLD TABLE AS old_rows' END, CASE WHEN event <> 'DELETE' THEN 'NEW TABLE AS new_rows' END);
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %I.%I', 'undo_' || lower(event), schema_name, mirror);
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I.%I REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo(%s)',
            'undo_' || lower(event), event, schema_name, mirror, tables, arguments);
    END LOOP;
    EXECUTE format('DROP TRIGGER IF EXISTS undo_truncate ON %I.%I', schema_name, mirror);
    EXECUTE format('CREATE TRIGGER undo_truncate BEFORE TRUNCATE ON %I.%I FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_undo(%s)',
        schema_name, mirror, arguments);
END;
$$;

DROP TRIGGER IF EXISTS undo_insert ON {schema}.misfit_rows;
CREATE TRIGGER undo_insert AFTER INSERT ON {schema}.misfit_rows REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();
DROP TRIGGER IF EXISTS undo_update ON {schema}.misfit_rows;
CREATE TRIGGER undo_update AFTER UPDATE ON {schema}.misfit_rows REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();
DROP TRIGGER IF EXISTS undo_delete ON {schema}.misfit_rows;
CREATE TRIGGER undo_delete AFTER DELETE ON {schema}.misfit_rows REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_misfit_undo();

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
