-- The scratch schemas of test_backup.py: those of these deployments' names, and those that killed runs left more than an hour ago.
SELECT nspname FROM pg_namespace
WHERE obj_description(oid, 'pg_namespace') LIKE 'Hybrid backup: %%'
    AND (EXISTS (SELECT FROM unnest(%(schemas)s) AS scratch WHERE starts_with(nspname::text, scratch))
        OR nspname ~ '^backup_test_[0-9]{{10}}_'
            AND substr(nspname, 13, 10)::bigint < extract(epoch FROM clock_timestamp()) - 3600)
