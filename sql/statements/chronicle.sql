-- What the HTML report draws of a source: its runs of the last 30 days with every table, its drills, and what was changed by hand.
-- Times are Unix seconds; the lists are oldest first; the first run that was saved has sent every row. A run that failed without an error
-- has given way to another one. By hand is what no run wrote (see sql/setup/020_undo_log.sql); hand_edits.sql, which looks no further back
-- than to the last saved run, also knows who took the source and saved nothing.
WITH shown AS (
    SELECT * FROM {schema}.runs
    WHERE source = %(source)s AND started_at > clock_timestamp() - interval '30 days' AND (outcome <> 'failed' OR error IS NOT NULL)
    ORDER BY run DESC LIMIT 400
)
SELECT jsonb_build_object(
    'runs', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'run', run, 'outcome', outcome, 'at', extract(epoch FROM coalesce(finished_at, started_at))::float8, 'rows', (
                SELECT noted.rows FROM {schema}.snapshot_of(run) AS noted),
            'error', error, 'seconds', extract(epoch FROM coalesce(finished_at, started_at) - started_at)::float8,
            'bytes_sent', bytes_sent, 'is_first', run IS NOT DISTINCT FROM (
                SELECT min(run) FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved')) ORDER BY run), '[]')
        FROM shown),
    'tables', (
        SELECT coalesce(jsonb_object_agg(table_name, points), '{{}}') FROM (
            SELECT table_name, jsonb_agg(jsonb_build_object(
                'at', extract(epoch FROM coalesce(finished_at, started_at))::float8, 'rows', held.rows,
                'changes', CASE held.run WHEN shown.run THEN inserted + updated + deleted ELSE 0 END,
                'misfits', misfits) ORDER BY shown.run) AS points
            FROM shown CROSS JOIN LATERAL {schema}.left_by(shown.run) AS held
            WHERE table_name NOT LIKE E'sqlite\\_%%'
            GROUP BY table_name
        ) AS grouped),
    'drills', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('run', run, 'at', extract(epoch FROM finished_at)::float8,
            'seconds', seconds, 'rows', rows, 'error', error) ORDER BY drill), '[]')
        FROM (SELECT * FROM {schema}.drills WHERE source = %(source)s ORDER BY drill DESC LIMIT 10) AS newest),
    'edits', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('table', mirror, 'operation', operation, 'rows', rows, 'by', changed_by,
            'at', extract(epoch FROM at)::float8) ORDER BY at), '[]')
        FROM (
            SELECT mirror, operation, changed_by, sum(row_count) AS rows, max(changed_at) AS at
            FROM {schema}.undo_log WHERE source = %(source)s AND run IS NULL
            GROUP BY mirror, operation, changed_by ORDER BY at DESC LIMIT 20
        ) AS newest)
)
