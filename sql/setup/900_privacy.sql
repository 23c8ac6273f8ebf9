-- Closes a schema and all that is in it to everybody but its owner: Supabase's Data API works as anon, authenticated or
-- service_role, and PUBLIC may execute new functions. Row level security is on as well, so that exposing the schema by
-- mistake still opens nothing. Called by setup, and by a run that had to create a mirror. Roles may be missing: plain Postgres
-- has none of Supabase's.
CREATE OR REPLACE FUNCTION {schema}.make_private(schema_name text) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    outsider text;
    outsiders text := 'PUBLIC';
    open_table text;
BEGIN
    FOR outsider IN
        SELECT quote_ident(rolname) FROM pg_catalog.pg_roles
        WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator')
    LOOP
        outsiders := outsiders || ', ' || outsider;
    END LOOP;
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %s', schema_name, outsiders);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %s', schema_name, outsiders);
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM %s', schema_name, outsiders);
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %I FROM %s', schema_name, outsiders);
    FOR open_table IN
        SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname = schema_name AND relkind IN ('r', 'p') AND NOT relrowsecurity
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', schema_name, open_table);
    END LOOP;
END;
$$;

SELECT {schema}.make_private({schema_name});
