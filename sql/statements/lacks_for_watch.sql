-- What the watch needs (see sql/setup/071_watch.sql), and is not there.
SELECT extension FROM (VALUES ('pg_cron', 'cron', 'schedule'), ('pg_net', 'net', 'http_post')) AS needed (extension, schema, function)
WHERE NOT EXISTS (
    SELECT FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = schema AND proname = function)
