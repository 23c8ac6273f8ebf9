-- The condition that no undo record after the mark names the row's key; records of an earlier key do not concern it.
WHERE NOT EXISTS (
    SELECT FROM (
        SELECT DISTINCT key.*
        FROM {schema}.undo_log
        CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) AS line
        CROSS JOIN LATERAL json_to_record(line::json) AS key ({key_types})
        WHERE source = {source} AND undo_log.mirror = {label} AND record > {mark} AND key_columns = {key_columns}::text[]
    ) AS touched
    WHERE {same_key}
)
