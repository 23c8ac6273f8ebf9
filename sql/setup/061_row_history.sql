-- One row's story in SQL, for people; restore.py --history tells it, too.

-- How a row's key begins in a line of the undo log. To look for that in a record is twenty times faster than to read its lines.
CREATE OR REPLACE FUNCTION {schema}.beginning_of(key jsonb, keys text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_json(keys[1])::text || ':' || (key -> keys[1])::text
$$;

-- The row that an insert has made, from the next record that has it as it was before, or from the mirror.
CREATE OR REPLACE FUNCTION {schema}.row_inserted(of_source text, of_mirror text, keys text[], of_key jsonb, line text, inserted bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    later text := (
        SELECT old_row FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) AS old_row
        WHERE source = of_source AND mirror = of_mirror AND record > inserted AND key_columns = keys AND operation <> 'insert'
            AND strpos(lines, {schema}.beginning_of(of_key, keys)) > 0
            AND (SELECT jsonb_object_agg(name, old_row::json -> name) FROM unnest(keys) AS name) = of_key
        ORDER BY record LIMIT 1);
BEGIN
    RETURN coalesce(later, (
        SELECT {schema}.held_now(CASE of_mirror WHEN 'misfit_rows' THEN {schema_name} ELSE mirror_schema END, of_mirror, keys, line)
        FROM {schema}.sources WHERE source = of_source))::jsonb;
EXCEPTION WHEN invalid_text_representation THEN  -- somebody has altered the mirror
    RETURN NULL;
END;
$$;

-- One row per row version. `old_row` is the row as it was before; of an insert it is the key, and `new_row` the row.
CREATE OR REPLACE VIEW {schema}.row_history AS
SELECT changed_at, coalesce('run ' || run, 'by hand: ' || changed_by) AS changed_in, source, mirror AS table_name, operation,
    key, line::jsonb AS old_row, record,
    CASE operation WHEN 'insert' THEN {schema}.row_inserted(source, mirror, key_columns, key, line, record) END AS new_row
FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) AS line
CROSS JOIN LATERAL (SELECT jsonb_object_agg(name, line::jsonb -> name) FROM unnest(key_columns) AS name) AS named (key);

-- The story of one row, which is named by the mirror's key columns: SELECT * FROM row_history_of('payment_history', '{{"id": 7}}').
CREATE OR REPLACE FUNCTION {schema}.row_history_of(of_table text, of_key jsonb) RETURNS SETOF {schema}.row_history
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM {schema}.row_history WHERE table_name = of_table AND key = of_key AND record = ANY (ARRAY(
        SELECT record FROM {schema}.undo_log WHERE mirror = of_table AND strpos(lines, {schema}.beginning_of(of_key, key_columns)) > 0))
    ORDER BY record
$$;
