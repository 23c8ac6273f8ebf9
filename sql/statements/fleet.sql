-- How every deployment in this database is doing, in one message. A name that is only known here cannot be in a query: so a block builds one
-- for each, and leaves the answers in a setting of this transaction. One that cannot be looked at says why, and stops no other.
DO $fleet$
DECLARE
    found jsonb := '[]';
    one record;
    answer jsonb;
    sizes jsonb := (
        WITH ours AS MATERIALIZED (
            SELECT oid, nspname FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE 'Hybrid backup: %'
        )
        SELECT jsonb_object_agg(nspname, bytes) FROM (
            SELECT nspname, sum(pages) * current_setting('block_size')::bigint AS bytes
            FROM ours JOIN pg_class AS own ON own.relnamespace = ours.oid
            CROSS JOIN LATERAL (
                SELECT own.relpages::bigint UNION ALL SELECT relpages FROM pg_class WHERE oid = own.reltoastrelid) AS part (pages)
            GROUP BY nspname) AS schemas);
BEGIN
    SET LOCAL lock_timeout = '1s';
    FOR one IN {deployments} ORDER BY nspname LOOP
        BEGIN
            IF one.is_trusted THEN
                EXECUTE format({deployment_health}, one.schema) INTO answer USING sizes;
            ELSE
                answer := jsonb_build_object('error', format('it belongs to %s, who cannot act as %s anyway', one.owner, current_user));
            END IF;
        EXCEPTION WHEN OTHERS THEN
            answer := jsonb_build_object('error', SQLERRM);
        END;
        found := found || (to_jsonb(one) || answer);
    END LOOP;
    PERFORM set_config('hybrid_backup.fleet', found::text, true);
END
$fleet$;
SELECT current_setting('hybrid_backup.fleet')::jsonb, pg_database_size(current_database())
