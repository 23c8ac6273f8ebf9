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
-- The transaction that wrote the record.
ALTER TABLE {schema}.undo_log ADD COLUMN IF NOT EXISTS xact xid8;
ALTER TABLE {schema}.undo_log ALTER COLUMN xact SET DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS undo_log_by_mirror ON {schema}.undo_log (source, mirror, record);

-- The mirrors whose first load is over: that one is not logged, because there is nothing to go back to.
CREATE TABLE IF NOT EXISTS {schema}.loaded_mirrors (
    source          text NOT NULL,
    mirror          text NOT NULL,
    PRIMARY KEY (source, mirror)
);

-- Whether the first load of a mirror is over: what any run has left there counts, whatever somebody deletes from the list.
CREATE OR REPLACE FUNCTION {schema}.is_loaded(of_source text, of_mirror text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM {schema}.loaded_mirrors WHERE source = of_source AND mirror = of_mirror)
        OR EXISTS (SELECT FROM {schema}.run_tables WHERE source = of_source AND table_name = of_mirror)
$$;

-- The advisory lock of a source: whoever has it alone may write its mirrors as a run does.
CREATE OR REPLACE FUNCTION {schema}.source_lock(of_source text) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT hashtextextended({schema_name} || '.' || of_source, 0)
$$;

-- The statements that are changing a watched table at this moment. A row is gone again when its statement ends, so nobody but its
-- own transaction ever sees one; it is here, and no setting, because a caller could change a setting.
CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.open_statements (
    statement       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xact            xid8 NOT NULL DEFAULT pg_current_xact_id(),
    relation        oid NOT NULL,
    operation       text NOT NULL,
    last_record     bigint NOT NULL,
    called_by       text NOT NULL,
    is_interrupted  boolean NOT NULL DEFAULT false
);

-- Notes that a statement on a watched table begins. Of two that are open at once, the parts of one statement (WITH …) have the same
-- callers; one with others is called from within the other, and interrupts it.
CREATE OR REPLACE FUNCTION {schema}.begin_statement() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    callers text;
BEGIN
    GET DIAGNOSTICS callers = PG_CONTEXT;
    PERFORM {schema}.open_statement(TG_RELID, TG_OP, callers);
    RETURN NULL;
END;
$$;

CREATE OR REPLACE FUNCTION {schema}.open_statement(on_relation oid, by_operation text, callers text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What it changes, it changes within the statement that it follows, whose old rows are then not only those from before.
    IF EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = on_relation AND contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')))
    THEN
        RAISE EXCEPTION '% has a foreign key with ON DELETE or ON UPDATE, which changes rows unseen; nothing was changed', on_relation::regclass
        USING ERRCODE = 'triggered_data_change_violation', HINT = 'Drop the foreign key, or its ON DELETE and ON UPDATE.';
    END IF;
    UPDATE {schema}.open_statements SET is_interrupted = true
    WHERE xact = pg_current_xact_id() AND relation = on_relation AND called_by <> callers;
    INSERT INTO {schema}.open_statements (relation, operation, last_record, called_by)
    VALUES (on_relation, by_operation, coalesce((SELECT max(record) FROM {schema}.undo_log), 0), callers);
END;
$$;

-- Puts what has been logged since a statement began, up to its own old rows, behind these: whatever a part of it or a statement within
-- it has inserted, and whatever these have changed, was otherwise before.
CREATE OR REPLACE FUNCTION {schema}.put_behind(of_mirror text, since bigint, up_to bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    FOR number IN
        SELECT record FROM {schema}.undo_log
        WHERE mirror = of_mirror AND record > since AND record <= up_to AND xact = pg_current_xact_id() ORDER BY record
    LOOP
        UPDATE {schema}.undo_log SET record = DEFAULT WHERE record = number;
    END LOOP;
END;
$$;

-- Refuses keys that a statement has inserted while one within it changed rows of the same keys: which of the two came first, nobody knows.
CREATE OR REPLACE FUNCTION {schema}.refuse_meeting(of_mirror text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%: a statement inserted rows, and another one within it changed them; nothing was changed', of_mirror
    USING ERRCODE = 'triggered_data_change_violation', HINT = 'Do one after the other.';
END;
$$;

-- The statement that logs rows, given the query that makes their sources and JSON lines: records of at most a thousand rows and a
-- megabyte, so that a run can pack one in passing; a line of more than half of that is alone. They are in no order, because a key comes
-- once in a statement, and to sort took a third of the time. OFFSET 0 lets each line be made once, and not again to ask for its length. A
-- record is a run's only if the run is at work in this very transaction, which nobody can merely claim.
CREATE OR REPLACE FUNCTION {schema}.undo_statement(of_mirror text, operation text, keys text[], query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($statement$
        INSERT INTO {schema}.undo_log (run, source, mirror, operation, key_columns, row_count, lines)
        SELECT (
            SELECT run FROM {schema}.runs JOIN {schema}.sources USING (source)
            WHERE runs.source = placed.source AND run > coalesce(last_run, 0) AND outcome = 'running' AND runs.xact = pg_current_xact_id()),
            source, %L, %L, %L::text[], count(*), string_agg(line, E'\n')
        FROM (
            SELECT source, line, row_number() OVER before - 1 AS place, sum(octet_length(line) + 1) OVER before / 500000 AS part,
                octet_length(line) >= 500000 AS is_alone
            FROM (%s OFFSET 0) AS given
            WINDOW before AS (ROWS UNBOUNDED PRECEDING)
        ) AS placed
        GROUP BY source, place / 1000, part, is_alone;
    $statement$, of_mirror, lower(operation), keys, query)
$$;

-- The statement that refuses keys, given the query that makes their sources and JSON lines, which are among the old rows that statements
-- within this one have logged since it began.
CREATE OR REPLACE FUNCTION {schema}.meeting_statement(of_mirror text, since bigint, keys text[], query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($statement$
        SELECT {schema}.refuse_meeting(%1$L) WHERE EXISTS (
            SELECT FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) AS old_row
            WHERE mirror = %1$L AND record > %2$s AND operation <> 'insert' AND xact = pg_current_xact_id()
                AND (source, (SELECT jsonb_object_agg(name, old_row::json -> name) FROM unnest(%3$L::text[]) AS name)) IN (
                    SELECT source, (SELECT jsonb_object_agg(name, line::json -> name) FROM unnest(%3$L::text[]) AS name) FROM (%4$s) AS given));
    $statement$, of_mirror, since, keys, query)
$$;

-- What logs the rows that a statement has changed, for the trigger to execute, which alone can see them. `arguments` are the trigger's:
-- the source ('' where the rows themselves name it), the mirror and the key columns. What is read is always named with its table: the
-- bot's columns may have any name.
CREATE OR REPLACE FUNCTION {schema}.undo_script(by_operation text, on_relation oid, arguments text[]) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_mirror text := arguments[1];
    keys text[] := arguments[2:];
    lines_of text := 'SELECT ' || CASE arguments[0] WHEN '' THEN 'given.source' ELSE quote_literal(arguments[0]) || '::text AS source' END
        || ', row_to_json(given.*)::text AS line FROM ';
    key_of text := 'SELECT ' || (
        SELECT string_agg('part.' || quote_ident(key), ', ')
        FROM unnest(CASE arguments[0] WHEN '' THEN ARRAY['source'] END || arguments[2:]) AS key) || ' FROM ';
    inserted text := key_of || 'new_rows AS part';
    ended {schema}.open_statements;
    newest bigint := (SELECT max(record) FROM {schema}.undo_log);
    script text := '';
BEGIN
    IF by_operation = 'TRUNCATE' THEN
        -- It takes every row, and would log those that its snapshot shows.
        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
            RAISE EXCEPTION 'TRUNCATE takes rows that this transaction cannot see; nothing was changed'
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Do it in a transaction that is READ COMMITTED.';
        END IF;
        RETURN {schema}.undo_statement(of_mirror, 'delete', keys, lines_of || on_relation::regclass || ' AS given');
    END IF;
    DELETE FROM {schema}.open_statements WHERE statement = (  -- the one of this kind that began last is the one that ends now
        SELECT max(statement) FROM {schema}.open_statements
        WHERE xact = pg_current_xact_id() AND relation = on_relation AND operation = by_operation)
    RETURNING * INTO ended;
    IF by_operation = 'INSERT' AND arguments[0] <> '' AND NOT {schema}.is_loaded(arguments[0], of_mirror) THEN
        INSERT INTO {schema}.loaded_mirrors (source, mirror) VALUES (arguments[0], of_mirror) ON CONFLICT DO NOTHING;
        RETURN '';
    END IF;
    IF by_operation <> 'INSERT' THEN
        script := {schema}.undo_statement(of_mirror, by_operation, keys, lines_of || 'old_rows AS given');
        IF newest > ended.last_record THEN
            script := script || format('SELECT {schema}.put_behind(%L, %s, %s);', of_mirror, ended.last_record, newest);
        END IF;
    END IF;
    IF by_operation <> 'DELETE' THEN
        IF by_operation = 'UPDATE' THEN  -- a run changes no key; people do
            inserted := inserted || ' EXCEPT ' || key_of || 'old_rows AS part';
        END IF;
        inserted := lines_of || '(' || inserted || ') AS given';
        IF ended.is_interrupted THEN
            script := {schema}.meeting_statement(of_mirror, ended.last_record, keys, inserted) || script;
        END IF;
        script := script || {schema}.undo_statement(of_mirror, 'insert', keys, inserted);
    END IF;
    RETURN script;
END;
$$;

-- The trigger of every mirror and of the misfits. Each table's trigger keeps a plan of each expression here, so there are few: with a
-- thousand mirrors they were half a gigabyte, and every table that a run drops was looked for in all of them.
-- extra_float_digits: a session of Supabase would round the doubles that it changes by hand.
CREATE OR REPLACE FUNCTION {schema}.log_undo() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
BEGIN
    EXECUTE {schema}.undo_script(TG_OP, TG_RELID, TG_ARGV);
    RETURN NULL;
END;
$$;
