-- Opens a transaction with all its settings, in one round trip. SET LOCAL, because a pooler in transaction mode would hand
-- a session's settings to the next client. Supabase runs with extra_float_digits = 0, which rounds doubles, and with a
-- statement_timeout of two minutes.
BEGIN ISOLATION LEVEL {isolation};
SET LOCAL search_path = '';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL timezone = 'UTC';
SET LOCAL statement_timeout = '20min';
SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '10min';
SET LOCAL client_min_messages = warning
