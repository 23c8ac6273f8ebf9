-- The watch on the other side: Postgres itself looks whether backups come and whether the mirrors are as they were left, by pg_cron, and posts what
-- is wrong, by pg_net. Both are Supabase's extensions; where they are missing, nothing here is ever called.

-- When what was told, by kind, in Unix seconds.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS watch_told jsonb NOT NULL DEFAULT '{{}}';
-- Where it posts to, where there is no Vault for that. No role has a right to it, nor has the writer.
CREATE TABLE IF NOT EXISTS {schema}.watch_url (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    url             text NOT NULL
);

CREATE OR REPLACE FUNCTION {schema}.told_age(seconds double precision) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count || ' ' || unit || CASE WHEN count <> 1 THEN 's' ELSE '' END
    FROM (VALUES (86400, 'day'), (3600, 'hour'), (60, 'minute')) AS units (size, unit) CROSS JOIN LATERAL (SELECT floor(seconds / size)) AS counted (count)
    WHERE count > 0 OR unit = 'minute' ORDER BY size DESC LIMIT 1
$$;

-- In what a source is late, as lib/backing_up/health.py judges it; NULL where it is not.
CREATE OR REPLACE FUNCTION {schema}.late(of_source text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN retired_at IS NOT NULL OR now - seen < 180 THEN NULL
        WHEN last_run IS NULL THEN CASE WHEN now - extract(epoch FROM created_at) > 86400 THEN 'never backed up.' END
        WHEN now - started > coalesce(pace, 172800) + greatest(coalesce(pace, 172800) / 2, 3600)
            THEN 'the last success is ' || {schema}.told_age(now - finished) || ' old.'
        WHEN now - seen > 900 THEN 'live backups were last seen ' || {schema}.told_age(now - seen) || ' ago.'
    END
    FROM {schema}.sources LEFT JOIN {schema}.runs ON run = last_run
    CROSS JOIN LATERAL (SELECT extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM live_at)::float8,
        extract(epoch FROM started_at)::float8, greatest(extract(epoch FROM finished_at), extract(epoch FROM live_at))::float8,
        {pace}) AS known (now, seen, started, finished, pace)
    WHERE sources.source = of_source
$$;

-- What is to be told of a source, by kind: that it is late, that a mirror is not as it was left, that the proof does not get through.
CREATE OR REPLACE FUNCTION {schema}.ills(of_source text) RETURNS TABLE (kind text, what text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'late', {schema}.late(of_source)
    UNION ALL
    SELECT 'different', 'the proof on the server found ' || string_agg(key || ': ' || value, ', ' ORDER BY key) || '.'
    FROM (SELECT {proof}) AS told (proof) CROSS JOIN LATERAL jsonb_each_text(proof->'different')
    UNION ALL
    SELECT 'stuck', 'the proof on the server has not got through for ' || {schema}.told_age(age) || '.'
    FROM (SELECT {proof}) AS told (proof) CROSS JOIN LATERAL (SELECT extract(epoch FROM clock_timestamp()) - (proof->>'at')::float8) AS since (age)
    WHERE age > 7 * 86400
$$;

-- What pg_cron calls: it posts what is wrong, the same once a day, and that it is right again; then, at night, it goes on with the proof, of which
-- nothing may stop the rest. Returns what it has posted. What cannot be posted is told the next time. A second one at the same time does nothing.
CREATE OR REPLACE FUNCTION {schema}.watch() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_here double precision := extract(epoch FROM clock_timestamp());
    one record;
    news text[] := '{{}}';
    said text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended({schema_name} || '; watch', 0)) THEN
        RETURN NULL;
    END IF;
    UPDATE {schema}.sources SET watch_told = '{{}}' WHERE retired_at IS NOT NULL AND watch_told <> '{{}}';
    FOR one IN
        SELECT source, origin_machine, kind, string_agg(what, ' ') AS what, (watch_told->>kind)::float8 AS told_at
        FROM {schema}.sources CROSS JOIN LATERAL (
            SELECT kind, what FROM {schema}.ills(source) UNION ALL SELECT told, NULL FROM jsonb_object_keys(watch_told) AS told) AS ill
        WHERE retired_at IS NULL GROUP BY source, kind HAVING count(what) > 0 OR bool_or(watch_told ? kind) ORDER BY source, kind
    LOOP
        IF one.what IS NULL THEN
            news := news || format('%s works again.', one.source);
            UPDATE {schema}.sources SET watch_told = watch_told - one.kind WHERE source = one.source;
        ELSIF coalesce(one.told_at, 0) NOT BETWEEN now_here - 85800 AND now_here THEN
            news := news || format('%s (%s): %s', one.source, coalesce(one.origin_machine, 'unknown machine'), one.what);
            UPDATE {schema}.sources SET watch_told = watch_told || jsonb_build_object(one.kind, now_here) WHERE source = one.source;
        END IF;
    END LOOP;
    IF news <> '{{}}' THEN
        said := format(E'Hybrid backup, the watch in Postgres over %s:\n%s', {schema_name}, array_to_string(news, E'\n'));
        said := replace(left(said, 1800), '<', '‹');
        EXECUTE 'SELECT net.http_post(url := $1, body := $2)' USING {schema}.watched_by(),
            jsonb_build_object('text', said, 'content', said, 'allowed_mentions', jsonb_build_object('parse', '[]'::jsonb));
    END IF;
    IF extract(hour FROM now() AT TIME ZONE 'UTC') < 6 THEN
        BEGIN
            PERFORM {schema}.prove(extract(epoch FROM date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::float8);
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            RAISE WARNING 'the proof on the server: %', SQLSTATE;
        END;
    END IF;
    RETURN said;
END;
$$;

-- Where to post: the name of the secret in Vault is this.
CREATE OR REPLACE FUNCTION {schema}.watch_secret() RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT 'hybrid_backup_watch_' || {schema_name} $$;

CREATE OR REPLACE FUNCTION {schema}.watched_by() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    address text := (SELECT url FROM {schema}.watch_url);
BEGIN
    IF address IS NULL THEN
        EXECUTE 'SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = $1' INTO STRICT address USING {schema}.watch_secret();
    END IF;
    RETURN address;
END;
$$;

-- Switches the watch on where an address was put into watch_url, and off where none was. An address is in no statement, which others might read
-- of. Deployments begin at other minutes: there may be many in one database.
DROP FUNCTION IF EXISTS {schema}.set_watch(text);
CREATE OR REPLACE FUNCTION {schema}.set_watch() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    has_vault boolean := EXISTS (
        SELECT FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = 'vault' AND proname = 'create_secret');
    address text := (SELECT url FROM {schema}.watch_url);
    job text := {schema}.watch_secret();
BEGIN
    EXECUTE 'SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = $1 AND username = current_user' USING job;
    IF has_vault THEN
        EXECUTE 'DELETE FROM vault.secrets WHERE name = $1' USING job;
        DELETE FROM {schema}.watch_url;
        IF address IS NOT NULL THEN
            EXECUTE 'SELECT vault.create_secret($1, $2, $3)' USING address, job, 'Hybrid backup: where the watch over ' || {schema_name} || ' posts to';
        END IF;
    END IF;
    IF address IS NOT NULL THEN
        EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job, format('%s-59/15 * * * *', abs(hashtext({schema_name}) % 15)),
            format('SELECT %I.watch()', {schema_name});
    END IF;
END;
$$;
