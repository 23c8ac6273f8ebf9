-- Opens a transaction with all its settings, in one round trip. SET LOCAL, because a pooler in transaction mode would hand
-- a session's settings to the next client; and all that a run relies on, because the role, the database or a pooler's last client may
-- have set it otherwise: Supabase runs with extra_float_digits = 0, which rounds doubles, and with a statement_timeout of two minutes.
-- Where it can, a server that works on a statement looks now and then whether its client is still alive: a killed run's lock is then
-- free within seconds, not when the statement has ended.
BEGIN ISOLATION LEVEL {isolation};
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
SET LOCAL transform_null_equals = off;
SET LOCAL array_nulls = on;
SET LOCAL row_security = on;
SET LOCAL synchronous_commit = on;
SET LOCAL statement_timeout = {statement_timeout};
SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '10min';
SELECT set_config(name, CASE name WHEN 'transaction_timeout' THEN '0' ELSE '1s' END, true) FROM pg_catalog.pg_settings
WHERE name = 'transaction_timeout' OR name = 'client_connection_check_interval' AND pg_catalog.version() LIKE '%linux%';
SET LOCAL client_min_messages = warning
