-- What people changed in the mirrors since the last saved run, with the keys of some rows: every record since then. What no run
-- wrote was made by hand (see sql/setup/020_undo_log.sql), and one that has a run is of somebody who took the source and saved nothing:
-- what a failed run of ours had written was rolled back.
SELECT mirror, operation, sum(row_count)::bigint, (array_agg(keys ORDER BY record))[1]
FROM (
    SELECT record, mirror, operation, row_count, (
        SELECT string_agg((SELECT string_agg(name || ' = ' || (line::json ->> name), ', ') FROM unnest(key_columns) AS name), '; ')
        FROM unnest((string_to_array(lines, E'\n'))[1:3]) AS line
    ) AS keys
    FROM {schema}.undo_log
    WHERE source = %(source)s AND record > (
        SELECT undo_mark FROM {schema}.runs WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s))
) AS edits
GROUP BY mirror, operation
ORDER BY mirror, operation
