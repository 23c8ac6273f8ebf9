-- Says in the schemas of a trial that they are scratch, and since when by this server's clock. A name would prove nothing: people
-- call a deployment as they like.
DO $$
DECLARE
    scratch text;
BEGIN
    FOR scratch IN SELECT nspname FROM pg_namespace WHERE nspname = ANY ({schemas}::text[]) LOOP
        EXECUTE format('COMMENT ON SCHEMA %I IS %L', scratch, obj_description(to_regnamespace(quote_ident(scratch)), 'pg_namespace')
            || '; scratch schema of test_backup.py since ' || extract(epoch FROM clock_timestamp())::bigint);
    END LOOP;
END;
$$
