-- The role that may only back up and restore, with a password of its own, and without what it may have set for itself.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_name}) THEN
        CREATE ROLE {writer} LOGIN NOINHERIT;
    END IF;
    EXECUTE format('ALTER ROLE {writer} IN DATABASE %I RESET ALL', current_database());
END;
$$;
ALTER ROLE {writer} RESET ALL;
ALTER ROLE {writer} PASSWORD {password}
