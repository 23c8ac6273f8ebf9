"""What stands in for Supabase's extensions where a server has none: under the real signatures, each keeps what it is told.

Sources: github.com/supabase/pg_net (net.http_post), github.com/citusdata/pg_cron (cron.schedule, cron.unschedule), and
github.com/supabase/vault (vault.create_secret, vault.decrypted_secrets).
"""

NET = """
    CREATE SCHEMA net;
    CREATE TABLE net.posted (number bigint GENERATED ALWAYS AS IDENTITY, url text, body jsonb);
    CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}',
        headers jsonb DEFAULT '{"Content-Type": "application/json"}', timeout_milliseconds integer DEFAULT 5000)
    RETURNS bigint LANGUAGE sql AS 'INSERT INTO net.posted (url, body) VALUES ($1, $2) RETURNING number';
"""
CRON = """
    CREATE SCHEMA cron;
    CREATE TABLE cron.job (jobid bigint GENERATED ALWAYS AS IDENTITY, schedule text, command text, jobname text,
        username text DEFAULT current_user);
    CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE sql AS
        'INSERT INTO cron.job (jobname, schedule, command) VALUES ($1, $2, $3) RETURNING jobid';
    CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS boolean LANGUAGE sql AS
        'DELETE FROM cron.job WHERE jobid = $1 RETURNING true';
"""
VAULT = """
    CREATE SCHEMA vault;
    CREATE TABLE vault.secrets (id uuid DEFAULT gen_random_uuid(), name text UNIQUE, description text, secret text);
    CREATE VIEW vault.decrypted_secrets AS SELECT id, name, description, secret AS decrypted_secret FROM vault.secrets;
    CREATE FUNCTION vault.create_secret(new_secret text, new_name text DEFAULT NULL, new_description text DEFAULT '',
        new_key_id uuid DEFAULT NULL) RETURNS uuid LANGUAGE sql AS
        'INSERT INTO vault.secrets (name, description, secret) VALUES ($2, $3, $1) RETURNING id';
"""
