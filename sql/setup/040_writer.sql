-- The writer role: it may back up and restore, and cannot remove history. It changes rows of the mirrors, whose triggers belong to
-- somebody else and log every change; runs and undo records it reaches only through the functions of 030_runs.sql and 035_thinning.sql.
-- Row level security is on, so it needs policies of its own.
CREATE OR REPLACE FUNCTION {schema}.let_write(writer text, schema_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mirror text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, writer);
    -- Table by table, and only what is missing, as in make_private: there may be thousands.
    FOR mirror IN
        SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname = schema_name AND relkind IN ('r', 'v', 'm', 'p', 'f') AND pg_has_role(relowner, 'USAGE') AND EXISTS (
            SELECT FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
            WHERE NOT has_table_privilege(writer, pg_class.oid, needed))
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', schema_name, mirror, writer);
    END LOOP;
    FOR mirror IN
        SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname = schema_name AND relkind = 'r' AND pg_has_role(relowner, 'USAGE')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = pg_class.oid AND polname = 'writer')
    LOOP
        EXECUTE format('CREATE POLICY writer ON %I.%I TO %I USING (true) WITH CHECK (true)', schema_name, mirror, writer);
    END LOOP;
END;
$$;

CREATE OR REPLACE FUNCTION {schema}.let_keep_books(writer text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    book text;
    allowed text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA {schema} TO %I', writer);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO %I', writer);
    IF to_regclass(format('%I.watch_url', {schema_name})) IS NOT NULL THEN
        EXECUTE format('REVOKE ALL ON {schema}.watch_url FROM %I', writer);
    END IF;
    EXECUTE format('GRANT INSERT, DELETE ON {schema}.misfit_rows TO %I', writer);
    FOREACH allowed IN ARRAY ARRAY[
        'open_run(text, text, text, text)', 'take_source(bigint)', 'fail_run(bigint, text)',
        'save_run(bigint, jsonb, text, jsonb)', 'note_restore(text, bigint, text, text, text)',
        'note_drill(text, bigint, double precision, bigint, text, text)', 'note_seen(text[], bigint[])',
        'prune(text, integer, interval, interval)', 'keep_runs(text[], bigint, text)', 'left_by(bigint)', 'snapshot_of(bigint)',
        'openings(text[])', 'watchers(oid, regprocedure, bytea)', 'key_of(oid)', 'as_arguments(text[])', 'is_watched(text, oid)',
        'are_books_watched()', 'opened_run(text, text)', 'mirrors(text, text)', 'hash_of_tables(bigint)', 'last_saved(text)',
        'hand_edits(text)', 'told(text, text, text, text)', 'other_counts(text)', 'refuse_other_counts(text)', 'tell(text)',
        'newest_record()', 'unjudged_since(text)', 'is_edited(text)', 'edited(text[])', 'accept_edits(text, text[])',
        'held_now(text, text, text[], text)', 'pending_edits(text)', 'take_pending(text)', 'put_back(text, text)',
        'judge_edits(text, jsonb, bigint)', 'beginning_of(jsonb, text[])',
        'row_inserted(text, text, text[], jsonb, text, bigint)', 'row_history_of(text, jsonb)', 'source_lock(text)', 'seen()',
        'prove(double precision, bigint, double precision)'
    ] LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION {schema}.%s TO %I', allowed, writer);
    END LOOP;
    FOR book IN
        SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname = {schema_name} AND relkind = 'r' AND relname <> 'watch_url'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = pg_class.oid AND polname = 'writer')
    LOOP
        EXECUTE format('CREATE POLICY writer ON {schema}.%I FOR %s TO %I USING (true) %s', book,
            CASE book WHEN 'misfit_rows' THEN 'ALL' ELSE 'SELECT' END, writer, CASE book WHEN 'misfit_rows' THEN 'WITH CHECK (true)' END);
    END LOOP;
END;
$$;
