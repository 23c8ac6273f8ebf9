-- What a deployment shows of itself to whoever looks at all of them (backup.py --fleet), the viewer role among them: how each source is doing,
-- with its owner's rights, and no row of the bot's.
CREATE OR REPLACE FUNCTION {schema}.seen() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    {deployment_health}
$$;
