-- All that --status tells of a source, as an expression: times are Unix seconds, and `now` is the database's clock.
-- Rows and changes are those of the bot's tables, not of SQLite's own. What failed without an error has given way to another run, and is
-- no failure. What an older release's runs have no columns for has the names of `older`.
jsonb_build_object(
    'now', extract(epoch FROM clock_timestamp())::float8,
    'last_success', (
        SELECT jsonb_build_object(
            'run', run, 'at', extract(epoch FROM finished_at)::float8, 'rows', coalesce((
                SELECT rows FROM {schema}.runs AS noted
                WHERE noted.source = {of_source} AND noted.run <= runs.run AND snapshot_hash IS NOT NULL ORDER BY noted.run DESC LIMIT 1), 0),
            'changes', (
                SELECT coalesce(sum(inserted + updated + deleted), 0)::bigint FROM {schema}.run_tables
                WHERE run_tables.run = runs.run AND table_name NOT LIKE E'sqlite\\_%%'),
            'bytes_sent', coalesce(bytes_sent, 0),
            'seconds', round(extract(epoch FROM finished_at - started_at)::numeric, 1)::float8)
        FROM {schema}.runs
        WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = {of_source})),
    'last_failure', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM coalesce(finished_at, started_at))::float8, 'error', {error})
        FROM {schema}.runs WHERE source = {of_source} AND outcome = 'failed' AND error IS NOT NULL ORDER BY run DESC LIMIT 1),
    'pace', {pace},
    'live_at', (
        SELECT extract(epoch FROM this.live_at)::float8 FROM (VALUES (NULL::timestamptz)) AS older (live_at) CROSS JOIN LATERAL (
            SELECT live_at FROM {schema}.sources WHERE source = {of_source}) AS this),
    'last_start', (
        SELECT extract(epoch FROM started_at)::float8 FROM {schema}.runs
        WHERE source = {of_source} AND outcome = 'saved' ORDER BY run DESC LIMIT 1),
    'compared', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8)
        FROM {schema}.runs WHERE source = {of_source} AND outcome = 'saved' AND compared_all ORDER BY run DESC LIMIT 1),
    'proven', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8, 'seconds', seconds, 'by', noted_by, 'machine', machine)
        FROM {schema}.drills WHERE source = {of_source} AND error IS NULL ORDER BY drill DESC LIMIT 1),
    'failed_drill', (
        SELECT jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8, 'error', {error})
        FROM {schema}.drills WHERE drill = (SELECT max(drill) FROM {schema}.drills WHERE source = {of_source}) AND error IS NOT NULL),
    'proof', {proof}
)
