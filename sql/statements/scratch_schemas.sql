-- The schemas that test_backup.py may remove: of its own form, this user's own, and with its own note that they are scratch (see
-- mark_scratch.sql): those of this trial, and those that killed ones have left long ago by the server's clock.
SELECT nspname FROM pg_namespace
CROSS JOIN LATERAL substring(
    obj_description(oid, 'pg_namespace') FROM '^Hybrid backup: .*; scratch schema of test_backup[.]py since ([0-9]{{1,15}})$') AS since
WHERE nspname ~ '^backup_test_[0-9]{{10}}_[0-9a-f]{{6}}(_.*)?$' AND nspowner = to_regrole(quote_ident(current_user))
    AND (nspname = ANY (%(ours)s) OR since::bigint < extract(epoch FROM clock_timestamp()) - %(old)s)
ORDER BY nspname
