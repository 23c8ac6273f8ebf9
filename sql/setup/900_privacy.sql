-- Closes a schema and all that is in it to everybody but its owner: Supabase's Data API works as anon, authenticated or
-- service_role, and PUBLIC may execute new functions. Row level security is on as well, so that exposing the schema by
-- mistake still opens nothing. Called by setup, and by a run that had to create a mirror. Roles may be missing: plain Postgres
-- has none of Supabase's.
CREATE OR REPLACE FUNCTION {schema}.make_private(schema_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outsider text;
    outsiders text := 'PUBLIC';
    closed_to oid[] := ARRAY[0::oid] || ARRAY(
        SELECT oid FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator'));
    open_table text;
BEGIN
    FOR outsider IN
        SELECT quote_ident(rolname) FROM pg_catalog.pg_roles WHERE oid = ANY (closed_to)
    LOOP
        outsiders := outsiders || ', ' || outsider;
    END LOOP;
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %s', schema_name, outsiders);
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM %s', schema_name, outsiders);
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %I FROM %s', schema_name, outsiders);
    -- Table by table, and only what is open: each REVOKE writes a row of the catalogue, and there may be thousands of tables.
    FOR open_table IN
        SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname = schema_name AND relkind IN ('r', 'v', 'm', 'p', 'f') AND (
            EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = ANY (closed_to))
            OR EXISTS (
                SELECT FROM pg_catalog.pg_attribute CROSS JOIN aclexplode(attacl)
                WHERE attrelid = pg_class.oid AND grantee = ANY (closed_to)))
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I.%I FROM %s', schema_name, open_table, outsiders);
    END LOOP;
    FOR open_table IN
        SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname = schema_name AND relkind IN ('r', 'p') AND NOT relrowsecurity
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', schema_name, open_table);
    END LOOP;
END;
$$;

-- Lists every way into the schemas for PUBLIC, for the Data API's roles, and for every role that one of these may become: rights on
-- schemas, tables, columns, sequences and functions; and every table without row level security. No row means: closed. Every run
-- asks this.
CREATE OR REPLACE FUNCTION {schema}.openings(schemas text[]) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH api (names) AS (
        VALUES (ARRAY['anon', 'authenticated', 'service_role', 'authenticator'])
    ), outsiders AS (
        SELECT role.oid, role.rolname, api_role.rolname || CASE WHEN role.oid = api_role.oid THEN '' ELSE ', as ' || role.rolname || ',' END AS who
        FROM api CROSS JOIN pg_catalog.pg_roles AS api_role JOIN pg_catalog.pg_roles AS role
            ON role.oid = api_role.oid OR role.rolname <> ALL (names) AND pg_has_role(api_role.oid, role.oid, 'MEMBER')
        WHERE api_role.rolname = ANY (names)
        UNION ALL
        SELECT 0, 'PUBLIC', 'PUBLIC'
    ), ours AS (
        SELECT oid, nspname, nspacl, nspowner FROM pg_catalog.pg_namespace WHERE nspname = ANY (schemas)
    ), relations AS (
        SELECT pg_class.oid, relkind, nspname, nspname || '.' || relname AS name, relacl, relrowsecurity
        FROM pg_catalog.pg_class JOIN ours ON ours.oid = relnamespace WHERE relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
    ), functions AS (
        SELECT pg_proc.oid, nspname || '.' || proname AS name, coalesce(proacl, acldefault('f', proowner)) AS acl
        FROM pg_catalog.pg_proc JOIN ours ON ours.oid = pronamespace
    ), acls AS (
        SELECT 'schema ' || nspname AS what, nspacl AS acl FROM ours
        UNION ALL
        SELECT CASE relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || name, relacl FROM relations
        UNION ALL
        SELECT 'column ' || name || '.' || attname, attacl
        FROM relations JOIN pg_catalog.pg_attribute ON attrelid = relations.oid WHERE attacl IS NOT NULL
        UNION ALL
        SELECT 'function ' || name, acl FROM functions
    )
    SELECT who || ' has ' || privilege_type || ' on ' || what
    FROM acls CROSS JOIN LATERAL aclexplode(acl) JOIN outsiders ON outsiders.oid = grantee
    UNION ALL
    SELECT DISTINCT who || ' reaches schema ' || nspname
    FROM ours JOIN outsiders ON outsiders.oid = nspowner OR rolname IN ('pg_read_all_data', 'pg_write_all_data')
    UNION ALL
    SELECT 'row level security is off on ' || name FROM relations WHERE relkind IN ('r', 'p') AND NOT relrowsecurity
$$;
