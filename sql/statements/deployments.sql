-- The deployments in this database, by the comments that setup has written on their schemas; no scratch schema of a trial. `shows` is the
-- function by which one tells how it is doing, with its owner's rights: another function would run with those of whoever looks. `is_trusted`
-- says whether that owner may act as whoever looks anyway; the viewer, who sees no row, trusts everybody.
SELECT nspname AS schema, rolname AS owner, (
        SELECT pg_proc.oid FROM pg_proc
        WHERE pronamespace = pg_namespace.oid AND proname = 'seen' AND pronargs = 0 AND prosecdef AND proowner = nspowner) AS shows,
    coalesce(nullif(substring(comment, length(ours) + 1), ''), ', version 1') AS version,
    current_user = {viewer} OR CASE WHEN current_setting('server_version_num')::integer >= 160000
        THEN pg_has_role(nspowner, current_user, 'SET') OR pg_has_role(nspowner, current_user, 'MEMBER WITH ADMIN OPTION')
        ELSE pg_has_role(nspowner, current_user, 'MEMBER')
            OR rolcreaterole AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) END AS is_trusted
FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner CROSS JOIN LATERAL obj_description(pg_namespace.oid, 'pg_namespace') AS comment
CROSS JOIN LATERAL (SELECT 'Hybrid backup: bookkeeping, BACKUP_SCHEMA ' || nspname) AS named (ours)
WHERE comment = ours OR starts_with(comment, ours || ', version ') AND comment NOT LIKE '%; %'
