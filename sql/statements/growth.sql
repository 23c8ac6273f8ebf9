-- How large the source's file was at its last backup, and by how many bytes a day the database has grown in the last 30 days.
-- By the order of the runs, not of their times: clocks are set back.
SELECT
    coalesce((
        SELECT snapshot_bytes FROM {schema}.runs
        WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)), 0),
    (SELECT (last_bytes - first_bytes) * 86400.0 / nullif(greatest(extract(epoch FROM last_at - first_at), 0), 0)
     FROM (
        SELECT DISTINCT
            first_value(database_bytes) OVER known AS first_bytes, first_value(finished_at) OVER known AS first_at,
            last_value(database_bytes) OVER known AS last_bytes, last_value(finished_at) OVER known AS last_at
        FROM {schema}.runs
        WHERE outcome = 'saved' AND database_bytes IS NOT NULL AND finished_at > clock_timestamp() - interval '30 days'
        WINDOW known AS (ORDER BY run ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
     ) AS grown)::float8
