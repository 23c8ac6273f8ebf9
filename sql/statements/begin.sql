-- Opens a transaction with all its settings, in one round trip: own_settings.sql, and what limits its statements, which Supabase ends
-- after two minutes.
-- Where it can, a server that works on a statement looks now and then whether its client is still alive: a killed run's lock is then
-- free within seconds, not when the statement has ended.
BEGIN ISOLATION LEVEL {isolation};
{own_settings}
{limit}SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '10min';
SELECT set_config(name, CASE name WHEN 'transaction_timeout' THEN '0' ELSE '1s' END, true) FROM pg_catalog.pg_settings
WHERE name = 'transaction_timeout' OR name = 'client_connection_check_interval' AND strpos(pg_catalog.version(), 'linux') > 0;
