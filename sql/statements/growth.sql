-- How much of the source's file was in use at its last backup, how many rows it had, how many rows each mirror has now (the cumulative
-- statistics: a mirror that somebody has locked is not waited for), and how large the database was when each run of the last 30 days was
-- saved, and is now: [Unix seconds, bytes], by the order of the runs. Of more than 800 runs, 800 that are spread evenly.
SELECT
    coalesce(last.snapshot_bytes, 0),
    coalesce(last.rows, 0),
    (SELECT coalesce(jsonb_object_agg(relname, pg_stat_get_live_tuples(pg_class.oid)), '{{}}')
     FROM {schema}.sources JOIN pg_namespace ON nspname = mirror_schema JOIN pg_class ON relnamespace = pg_namespace.oid
     WHERE source = %(source)s AND relkind = 'r'),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(extract(epoch FROM finished_at)::float8, database_bytes) ORDER BY run), '[]')
     FROM (
        SELECT DISTINCT ON (part) run, finished_at, database_bytes FROM (
            SELECT run, finished_at, database_bytes, ntile(800) OVER (ORDER BY run) AS part FROM {schema}.runs
            WHERE outcome = 'saved' AND database_bytes IS NOT NULL AND finished_at > clock_timestamp() - interval '30 days'
        ) AS parts ORDER BY part, run
     ) AS spread)
    || jsonb_build_array(jsonb_build_array(extract(epoch FROM clock_timestamp())::float8, pg_database_size(current_database())))
FROM (SELECT) AS always LEFT JOIN LATERAL (
    SELECT noted.snapshot_bytes, noted.rows FROM {schema}.sources, {schema}.snapshot_of(last_run) AS noted WHERE sources.source = %(source)s
) AS last ON true
