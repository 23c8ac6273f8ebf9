-- What --status tells besides health.sql, as an expression: what takes the longest to find, and needs a line of its own.
jsonb_build_object(
    'restore_points', (
        SELECT jsonb_build_object('count', count, 'oldest', oldest, 'kept', kept, 'at', (
            SELECT extract(epoch FROM finished_at)::float8 FROM {schema}.runs WHERE run = oldest))
        FROM (VALUES (NULL::timestamptz)) AS older (kept_at) CROSS JOIN LATERAL (
            SELECT count(*) AS count, min(run) AS oldest, count(kept) AS kept FROM (
                SELECT run, kept_at AS kept FROM {schema}.runs JOIN {schema}.sources USING (source)
                WHERE source = {of_source} AND outcome = 'saved' AND {lacks} IS NULL) AS each) AS points),
    'runs', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'run', run, 'outcome', outcome, 'at', extract(epoch FROM coalesce(finished_at, started_at))::float8, 'error', error
        ) ORDER BY run DESC), '[]')
        FROM (SELECT * FROM {schema}.runs WHERE source = {of_source} AND (outcome <> 'failed' OR error IS NOT NULL)
            ORDER BY run DESC LIMIT {most}) AS newest)
)
