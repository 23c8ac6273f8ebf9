-- From PostgreSQL 15 on, the views of a schema read with the rights of who asks; before, that cannot be had, and the schema is
-- closed to others all the same.
DO $$
DECLARE
    found text;
BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN
        FOR found IN SELECT viewname FROM pg_catalog.pg_views WHERE schemaname = {schema_name} LOOP
            EXECUTE format('ALTER VIEW %I.%I SET (security_invoker = on)', {schema_name}, found);
        END LOOP;
    END IF;
END;
$$
