-- Reads all that the undo log holds of the rows of a mirror that meet the conditions now, or have done so, in its order; and these rows as
-- they are now, without a record. What names other keys is not looked at ({named}). {also} are keys of rows of which another life is known.
-- Records of an earlier key of the mirror are all read: they name their rows otherwise. An older release's runs do not tell which are live
-- batches: then the name is that of `older`.
WITH logged AS MATERIALIZED (
    SELECT undo_log.record, undo_log.run, undo_log.changed_at, undo_log.changed_by, undo_log.operation, undo_log.key_columns, given.line, given.place,
        (SELECT jsonb_object_agg(name, given.line::json -> name) FROM unnest(undo_log.key_columns) AS name) AS key,
        undo_log.key_columns @> {key_columns}::text[] AND undo_log.key_columns <@ {key_columns}::text[] AS is_same_kind
    FROM {schema}.undo_log
    CROSS JOIN LATERAL unnest(string_to_array(undo_log.lines, E'\n')) WITH ORDINALITY AS given (line, place)
    WHERE undo_log.source = {source} AND undo_log.mirror = {label} AND {named} AND undo_log.record > (
        SELECT sources.pruned_to FROM {schema}.sources WHERE sources.source = {source})
), wanted (key) AS MATERIALIZED (
    SELECT (SELECT jsonb_object_agg(name, given.line::json -> name) FROM unnest({key_columns}::text[]) AS name)
    FROM logged AS given WHERE given.operation <> 'insert' AND {met_before}
    UNION
    SELECT jsonb_array_elements({also}::jsonb)
    UNION
    SELECT (SELECT jsonb_object_agg(name, row_to_json(mirror.*) -> name) FROM unnest({key_columns}::text[]) AS name)
    FROM {only} {mirror} AS mirror WHERE {met_now}
)
SELECT logged.record, logged.run, extract(epoch FROM logged.changed_at)::double precision, logged.changed_by, logged.operation,
    logged.key_columns, logged.line, (
        SELECT coalesce(this.is_live, false) FROM (VALUES (NULL::boolean)) AS older (is_live) CROSS JOIN LATERAL (
            SELECT is_live FROM {schema}.runs WHERE runs.run = logged.run) AS this), logged.place
FROM logged WHERE NOT logged.is_same_kind OR logged.key IN (SELECT wanted.key FROM wanted)
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, row_to_json(mirror.*)::text, NULL, NULL
FROM {only} {mirror} AS mirror
JOIN (SELECT DISTINCT key.* FROM wanted CROSS JOIN LATERAL jsonb_to_record(wanted.key) AS key ({key_types})) AS touched ON {same_key} AND {of_source}
ORDER BY 1 NULLS LAST, 9
