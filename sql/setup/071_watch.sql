-- The watch on the other side: Postgres itself looks whether backups come and whether the mirrors are as they were left, by pg_cron, and posts what
-- is wrong, by pg_net. Both are Supabase's extensions; where they are missing, nothing here is ever called.

-- When what was told, by kind, in Unix seconds.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS watch_told jsonb NOT NULL DEFAULT '{{}}';
-- Since when it is on, and where it posts to where there is no Vault for that. No role has a right to it, nor has the writer.
CREATE TABLE IF NOT EXISTS {schema}.watch_url (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    url             text,
    since           timestamptz NOT NULL DEFAULT clock_timestamp()
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
    FROM (
        SELECT extract(epoch FROM clock_timestamp()) - coalesce(
            (SELECT min(coalesce((value->>'at')::float8, (value->'so_far'->>'begun')::float8)) FROM jsonb_each(proofs)),
            extract(epoch FROM greatest(since, created_at))) AS age
        FROM {schema}.sources CROSS JOIN {schema}.watch_url WHERE source = of_source AND last_run IS NOT NULL
    ) AS looked
    WHERE age > 7 * 86400
$$;

-- What pg_cron calls: it posts what is wrong, the same once a day, and of a source of which nothing is wrong any more that it works again. Returns
-- what it has posted. What cannot be posted is told the next time. A second one at the same time does nothing.
CREATE OR REPLACE FUNCTION {schema}.watch() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_here double precision := extract(epoch FROM clock_timestamp());
    one record;
    kept jsonb;
    news text[] := '{{}}';
    said text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended({schema_name} || '; watch', 0)) THEN
        RETURN NULL;
    END IF;
    UPDATE {schema}.sources SET watch_told = '{{}}' WHERE retired_at IS NOT NULL AND watch_told <> '{{}}';
    FOR one IN
        SELECT source, coalesce(origin_machine, 'unknown machine') AS machine, watch_told, (
            SELECT coalesce(jsonb_object_agg(kind, what), '{{}}') FROM {schema}.ills(source) WHERE what IS NOT NULL) AS ills
        FROM {schema}.sources WHERE retired_at IS NULL ORDER BY source
    LOOP
        -- What was told within a day, and is still so, is not told again.
        kept := (SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(one.watch_told)
            WHERE one.ills ? key AND value::float8 BETWEEN now_here - 85800 AND now_here);
        news := news || ARRAY(SELECT format('%s (%s): %s', one.source, one.machine, value) FROM jsonb_each_text(one.ills)
            WHERE NOT kept ? key ORDER BY key) || CASE
            WHEN one.ills = '{{}}' AND one.watch_told <> '{{}}' THEN ARRAY[format('%s works again.', one.source)] ELSE '{{}}' END;
        kept := kept || (SELECT coalesce(jsonb_object_agg(key, now_here), '{{}}') FROM jsonb_each(one.ills) WHERE NOT kept ? key);
        UPDATE {schema}.sources SET watch_told = kept WHERE source = one.source AND watch_told <> kept;
    END LOOP;
    IF news <> '{{}}' THEN
        said := format(E'Hybrid backup, the watch in Postgres over %s:\n%s', {schema_name}, array_to_string(news, E'\n'));
        said := replace(left(said, 1800), '<', '‹');
        EXECUTE 'SELECT net.http_post(url := $1, body := $2)' USING {schema}.watched_by(),
            jsonb_build_object('text', said, 'content', said, 'allowed_mentions', jsonb_build_object('parse', '[]'::jsonb));
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

-- Switches the watch and the proof of each night on where an address was put into watch_url, and off where none was. An address is in no
-- statement, which others might read. Deployments begin at other minutes: there may be many in one database.
CREATE OR REPLACE FUNCTION {schema}.set_watch() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    has_vault boolean := EXISTS (
        SELECT FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = 'vault' AND proname = 'create_secret');
    address text := (SELECT url FROM {schema}.watch_url);
    job text := {schema}.watch_secret();
    minutes text := format('%s-59/15', abs(hashtext({schema_name}) % 15));
BEGIN
    EXECUTE 'SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = ANY ($1) AND username = current_user' USING ARRAY[job, job || '_proof'];
    IF has_vault THEN
        EXECUTE 'DELETE FROM vault.secrets WHERE name = $1' USING job;
        UPDATE {schema}.watch_url SET url = NULL;
        IF address IS NOT NULL THEN
            EXECUTE 'SELECT vault.create_secret($1, $2, $3)' USING address, job, 'Hybrid backup: where the watch over ' || {schema_name} || ' posts to';
        END IF;
    END IF;
    IF address IS NOT NULL THEN
        EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job, minutes || ' * * * *', format('SELECT %I.watch()', {schema_name});
        EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job || '_proof', minutes || ' 0-5 * * *', format(
            'SELECT %I.prove(extract(epoch FROM date_trunc(''day'', now() AT TIME ZONE ''UTC'') AT TIME ZONE ''UTC'')::float8)', {schema_name});
    END IF;
END;
$$;
