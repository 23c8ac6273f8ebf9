-- Lists every way into the schemas for somebody who is not their owner: the Data API's roles and PUBLIC, on schemas, tables,
-- sequences and functions; and every table without row level security. No row means: closed.
WITH ours AS (
    SELECT oid, nspname, nspacl FROM pg_namespace WHERE nspname = ANY (%(schemas)s)
), outsiders AS (
    SELECT oid, rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator')
), objects AS (
    SELECT 'table' AS kind, relname AS name, nspname, relacl AS acl, pg_class.oid
    FROM pg_class JOIN ours ON ours.oid = relnamespace WHERE relkind IN ('r', 'v', 'm', 'p', 'f')
    UNION ALL
    SELECT 'sequence', relname, nspname, relacl, pg_class.oid
    FROM pg_class JOIN ours ON ours.oid = relnamespace WHERE relkind = 'S'
    UNION ALL
    SELECT 'function', proname, nspname, coalesce(proacl, acldefault('f', proowner)), pg_proc.oid
    FROM pg_proc JOIN ours ON ours.oid = pronamespace
    UNION ALL
    SELECT 'schema', nspname, nspname, nspacl, oid FROM ours
)
SELECT rolname || ' can use schema ' || nspname FROM ours CROSS JOIN outsiders
WHERE has_schema_privilege(outsiders.oid, ours.oid, 'USAGE, CREATE')
UNION ALL
SELECT rolname || ' has rights on table ' || nspname || '.' || name FROM objects CROSS JOIN outsiders
WHERE CASE WHEN kind = 'table'
    THEN has_table_privilege(outsiders.oid, objects.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') END
UNION ALL
SELECT rolname || ' has rights on sequence ' || nspname || '.' || name FROM objects CROSS JOIN outsiders
WHERE CASE WHEN kind = 'sequence' THEN has_sequence_privilege(outsiders.oid, objects.oid, 'USAGE, SELECT, UPDATE') END
UNION ALL
SELECT rolname || ' may execute ' || nspname || '.' || name FROM objects CROSS JOIN outsiders
WHERE CASE WHEN kind = 'function' THEN has_function_privilege(outsiders.oid, objects.oid, 'EXECUTE') END
UNION ALL
SELECT 'PUBLIC has ' || privilege_type || ' on ' || kind || ' ' || nspname || '.' || name
FROM objects CROSS JOIN LATERAL aclexplode(acl) WHERE grantee = 0
UNION ALL
SELECT 'row level security is off on ' || nspname || '.' || relname FROM pg_class JOIN ours ON ours.oid = relnamespace
WHERE relkind IN ('r', 'p') AND NOT relrowsecurity
