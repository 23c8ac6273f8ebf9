-- What people changed in the mirrors since the last saved run began: records without a run, with the keys of some rows.
-- That run has seen those from before it looked, but not those from while it worked.
WITH last AS (
    SELECT started_at, undo_mark, (
        SELECT coalesce(max(earlier.undo_mark), 0) FROM {schema}.runs AS earlier
        WHERE earlier.source = %(source)s AND earlier.run < runs.run) AS earlier_mark
    FROM {schema}.runs WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)
)
SELECT mirror, operation, sum(row_count)::bigint, (array_agg(keys ORDER BY record))[1]
FROM (
    SELECT record, mirror, operation, row_count, (
        SELECT string_agg((SELECT string_agg(name || ' = ' || (line::json ->> name), ', ') FROM unnest(key_columns) AS name), '; ')
        FROM unnest((string_to_array(lines, E'\n'))[1:3]) AS line
    ) AS keys
    FROM {schema}.undo_log, last
    WHERE source = %(source)s AND run IS NULL
        AND record > earlier_mark AND (record > undo_mark OR changed_at > started_at)
) AS edits
GROUP BY mirror, operation
ORDER BY mirror, operation
