-- All that --status tells of a source, in one round trip: times are Unix seconds, and `now` is the database's clock.
-- Rows and changes are those of the bot's tables, not of SQLite's own. What failed without an error has given way to another run, and is
-- no failure. `pace` is the usual time between two runs: the median of the last twenty pauses between saved ones, of which none was thinned. What an older release's runs
-- have no columns for has the names of `older`.
SELECT jsonb_build_object(
    'now', extract(epoch FROM clock_timestamp())::float8,
    'database_bytes', pg_database_size(current_database()),
    'last_success', (
        SELECT jsonb_build_object(
            'run', run, 'at', extract(epoch FROM finished_at)::float8, 'rows', own.rows, 'changes', own.changes, 'bytes_sent', coalesce(bytes_sent, 0),
            'seconds', round(extract(epoch FROM finished_at - started_at)::numeric, 1)::float8)
        FROM {schema}.runs, LATERAL (
            SELECT coalesce(sum(held.rows), 0)::bigint AS rows,
                coalesce(sum(inserted + updated + deleted) FILTER (WHERE held.run = runs.run), 0)::bigint AS changes
            FROM {schema}.left_by(runs.run) AS held WHERE table_name NOT LIKE E'sqlite\\_%%') AS own
        WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)),
    'last_failure', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM coalesce(finished_at, started_at))::float8, 'error', error)
        FROM {schema}.runs WHERE source = %(source)s AND outcome = 'failed' AND error IS NOT NULL ORDER BY run DESC LIMIT 1),
    'pace', (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY pause) FROM (
            SELECT extract(epoch FROM started_at - lag(started_at) OVER (ORDER BY run)) AS pause, newest.waited
            FROM (VALUES (NULL::interval)) AS older (waited) CROSS JOIN LATERAL (
                SELECT run, started_at, waited FROM {schema}.runs
                WHERE source = %(source)s AND outcome = 'saved' ORDER BY run DESC LIMIT 21) AS newest
            ORDER BY run DESC LIMIT 20
        ) AS pauses WHERE waited IS NULL HAVING count(pause) >= 2),
    'live_at', (
        SELECT extract(epoch FROM this.live_at)::float8 FROM (VALUES (NULL::timestamptz)) AS older (live_at) CROSS JOIN LATERAL (
            SELECT live_at FROM {schema}.sources WHERE source = %(source)s) AS this),
    'last_start', (
        SELECT extract(epoch FROM started_at)::float8 FROM {schema}.runs
        WHERE source = %(source)s AND outcome = 'saved' ORDER BY run DESC LIMIT 1),
    'restore_points', (
        SELECT jsonb_build_object('count', count, 'oldest', oldest, 'kept', kept, 'at', (
            SELECT extract(epoch FROM finished_at)::float8 FROM {schema}.runs WHERE run = oldest))
        FROM (VALUES (NULL::timestamptz)) AS older (kept_at) CROSS JOIN LATERAL (
            SELECT count(*) AS count, min(run) AS oldest, count(kept) AS kept FROM (
                SELECT run, kept_at AS kept FROM {schema}.runs JOIN {schema}.sources USING (source)
                WHERE source = %(source)s AND outcome = 'saved' AND {lacks} IS NULL) AS each) AS points),
    'compared', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8)
        FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved' AND compared_all ORDER BY run DESC LIMIT 1),
    'proven', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8, 'seconds', seconds, 'by', noted_by, 'machine', machine)
        FROM {schema}.drills WHERE source = %(source)s AND error IS NULL ORDER BY drill DESC LIMIT 1),
    'failed_drill', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8, 'error', error)
        FROM {schema}.drills WHERE drill = (SELECT max(drill) FROM {schema}.drills WHERE source = %(source)s) AND error IS NOT NULL),
    'runs', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'run', run, 'outcome', outcome, 'at', extract(epoch FROM coalesce(finished_at, started_at))::float8, 'error', error
        ) ORDER BY run DESC), '[]')
        FROM (SELECT * FROM {schema}.runs WHERE source = %(source)s AND (outcome <> 'failed' OR error IS NOT NULL)
            ORDER BY run DESC LIMIT %(most)s) AS newest)
)
