-- The role that may only back up and restore, with a password of its own.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_name}) THEN
        CREATE ROLE {writer} LOGIN NOINHERIT;
    END IF;
END;
$$;
ALTER ROLE {writer} PASSWORD {password}
