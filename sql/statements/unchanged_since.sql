-- The condition that no undo record after the mark names the row's key; records of an earlier key do not concern it. The bot's columns may
-- be called as ours are: each of ours is named with its table.
NOT EXISTS (
    SELECT FROM (
        SELECT DISTINCT key.*
        FROM {schema}.undo_log
        CROSS JOIN LATERAL unnest(string_to_array(undo_log.lines, E'\n')) AS given (line)
        CROSS JOIN LATERAL json_to_record(given.line::json) AS key ({key_types})
        WHERE undo_log.source = {source} AND undo_log.mirror = {label} AND undo_log.record > {mark}
            AND undo_log.key_columns @> {key_columns}::text[] AND undo_log.key_columns <@ {key_columns}::text[] AND {named}
    ) AS touched
    WHERE {same_key}
)
