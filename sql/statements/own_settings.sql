-- All that what we say to Postgres relies on, before each statement or transaction of ours: the role, the database or a pooler's last
-- client may have set it otherwise. Supabase runs with extra_float_digits = 0, which rounds doubles. SET LOCAL, because a pooler in
-- transaction mode would hand a session's settings to the next client. No name must lead to what others have put into a schema of the
-- role's path. Compiling an expression (jit) takes far longer than our short statements, whose costs are only guessed.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
SET LOCAL transform_null_equals = off;
SET LOCAL array_nulls = on;
SET LOCAL row_security = on;
SET LOCAL jit = off;
SET LOCAL synchronous_commit = on;
SET LOCAL client_min_messages = warning;
