-- Lets the viewer role see the books of every other deployment of this user's in the database, and returns those that older scripts have set
-- up: they have no function for it. The user that owns them may act as the viewer, which so trusts them (see deployments.sql).
GRANT {role} TO CURRENT_USER;
DO $$
DECLARE
    other text;
BEGIN
    FOR other IN
        SELECT schema FROM ({deployments}) AS here WHERE pg_has_role(owner, 'USAGE') AND is_trusted
            AND EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace(quote_ident(schema)) AND proname = 'let_view')
    LOOP
        EXECUTE format('SELECT %I.let_view(%L)', other, {role_name});
    END LOOP;
END;
$$;
SELECT schema FROM ({deployments}) AS here WHERE NOT has_schema_privilege({role_name}, schema, 'USAGE') ORDER BY schema
