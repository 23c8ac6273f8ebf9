-- A role of ours, the writer, the editor or the viewer, with a password of its own, and without what it may have set for itself.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_name}) THEN
        CREATE ROLE {role} LOGIN NOINHERIT;
    END IF;
    EXECUTE format('ALTER ROLE {role} IN DATABASE %I RESET ALL', current_database());
END;
$$;
ALTER ROLE {role} RESET ALL;
ALTER ROLE {role} PASSWORD {password}
