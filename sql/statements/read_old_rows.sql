-- Reads the rows that were changed or deleted since the mark, as they were then: for each key the oldest record decides.
COPY (
    SELECT line FROM (
        SELECT DISTINCT ON (key) operation, line FROM (
            SELECT operation, line, record, place,
                (SELECT jsonb_object_agg(name, line::json -> name) FROM unnest(key_columns) AS name) AS key
            FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) WITH ORDINALITY AS given (line, place)
            WHERE source = {source} AND mirror = {label} AND record > {mark} AND {of_table}
        ) AS changes
        ORDER BY key, record, place
    ) AS oldest
    WHERE operation <> 'insert'
) TO STDOUT
