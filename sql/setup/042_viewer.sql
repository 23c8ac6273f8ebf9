-- The viewer role: it may see how every deployment in the database is doing, and no row of any bot: of the books it has runs and drills,
-- not the undo log, not what no mirror can hold, no definition, no origin by which a bot is known, and no mirror.
CREATE OR REPLACE FUNCTION {schema}.let_view(viewer text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    book text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA {schema} TO %I', viewer);
    EXECUTE format('GRANT SELECT ON {schema}.runs, {schema}.run_tables, {schema}.drills TO %I', viewer);
    EXECUTE format('GRANT SELECT (source, mirror_schema, last_run, origin_machine, live_at, warnings, retired_at) ON {schema}.sources TO %I', viewer);
    FOR book IN
        SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace({schema_name}) AND relname IN ('runs', 'run_tables', 'drills', 'sources')
            AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'viewer')
    LOOP
        EXECUTE format('CREATE POLICY viewer ON {schema}.%I FOR SELECT TO %I USING (true)', book, viewer);
    END LOOP;
END;
$$;
