-- Opens a transaction with all its settings, in one round trip. SET LOCAL, because a pooler in transaction mode would hand
-- a session's settings to the next client. Supabase runs with extra_float_digits = 0, which rounds doubles, and with a
-- statement_timeout of two minutes. Where it can, a server that works on a statement looks now and then whether its client is still
-- alive: a killed run's lock is then free within seconds, not when the statement has ended.
BEGIN ISOLATION LEVEL {isolation};
SET LOCAL search_path = '';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL timezone = 'UTC';
SET LOCAL statement_timeout = {statement_timeout};
SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '10min';
SELECT set_config(name, '1s', true) FROM pg_catalog.pg_settings
WHERE name = 'client_connection_check_interval' AND pg_catalog.version() LIKE '%linux%';
SET LOCAL client_min_messages = warning
