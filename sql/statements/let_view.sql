-- Lets the viewer role, where there is one that is this user's, see every deployment of this user's in the database; returns those that it does
-- not see. It may call what shows them, and has a right to nothing else.
DO $$
DECLARE
    one record;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = {viewer} AND pg_has_role(oid, 'MEMBER')) THEN
        FOR one IN
            SELECT schema FROM ({deployments}) AS here WHERE shows IS NOT NULL AND pg_has_role(owner, 'USAGE')
                AND NOT (has_schema_privilege({viewer}, schema, 'USAGE') AND has_function_privilege({viewer}, shows, 'EXECUTE'))
        LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', one.schema, {viewer});
            EXECUTE format('GRANT EXECUTE ON FUNCTION %I.seen() TO %I', one.schema, {viewer});
        END LOOP;
    END IF;
END;
$$;
SELECT schema FROM ({deployments}) AS here CROSS JOIN pg_roles
WHERE pg_roles.rolname = {viewer} AND has_function_privilege(pg_roles.oid, shows, 'EXECUTE') IS NOT TRUE ORDER BY schema
