-- Packing the undo log: what runs have logged between two points that stay, and no point between them needs.
--
-- `runs.packing` says how far that is, of what lies between a point and the one before it: NULL where there is nothing to do, empty where it
-- has not begun, else a block of records, as the record before it and its last one, and the record up to which later ones have been compared
-- with it. Each step reads two blocks at most, of so many records, lines and bytes, so that a step is short however much there is; the steps go
-- on in later runs.

-- Records between two marks that runs have logged, and which of them are a block: the first ones, of so many records, lines and bytes, or one
-- alone. Records by hand stay as they are, and so do those of many lines and bytes at once, which older releases have logged: to compare them
-- takes too long. `part` numbers what lies between two of these: none is moved past one.
CREATE OR REPLACE FUNCTION {schema}.block(of_source text, after bigint, up_to bigint)
RETURNS TABLE (record bigint, part bigint) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH logged AS NOT MATERIALIZED (
        SELECT undo_log.*, undo_log.run IS NULL OR coalesce(outcome <> 'saved', false) OR key_columns = '{{}}'
            OR row_count > 1 AND octet_length(lines) > 4000000 AS stays
        FROM {schema}.undo_log LEFT JOIN {schema}.runs ON runs.run = undo_log.run
        WHERE undo_log.source = of_source AND record > after AND record <= up_to
    )
    SELECT record, part FROM (
        SELECT record, part, sum(row_count) OVER oldest AS rows, sum(octet_length(lines)) OVER oldest AS bytes, row_number() OVER oldest AS place
        FROM (
            SELECT *, count(*) FILTER (WHERE stays) OVER (PARTITION BY mirror ORDER BY record) AS part FROM (
                SELECT * FROM logged WHERE record >= (SELECT record FROM logged WHERE NOT stays ORDER BY record LIMIT 1)
                ORDER BY record LIMIT 1000
            ) AS first_ones
        ) AS parted
        WHERE NOT stays WINDOW oldest AS (ORDER BY record)
    ) AS counted
    WHERE place = 1 OR rows <= 4000 AND bytes <= 1000000
$$;

-- The lines of some records, each with its key, as text: what differs as text may be the same key, and is only kept.
CREATE OR REPLACE FUNCTION {schema}.keyed(records bigint[])
RETURNS TABLE (record bigint, line text, place bigint, key text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT record, line, place,
        mirror || key_columns::text || (SELECT string_agg(coalesce((line::json -> name)::text, 'null'), ',') FROM unnest(key_columns) AS name) COLLATE "C"
    FROM {schema}.undo_log CROSS JOIN LATERAL unnest(string_to_array(lines, E'\n')) WITH ORDINALITY AS given (line, place)
    WHERE record = ANY (records)
$$;

-- Leaves of a block the first line of each key, in few records. What is left of a record is not torn: so each new one has a number of its
-- own, and with it its place.
CREATE OR REPLACE FUNCTION {schema}.pack(of_source text, records bigint[], parts bigint[], for_run bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH first_lines AS (
        SELECT DISTINCT ON (key) record, line, place FROM {schema}.keyed(records) ORDER BY key, record, place
    ), gone AS (
        DELETE FROM {schema}.undo_log USING unnest(records, parts) AS block (number, part) WHERE record = number RETURNING undo_log.*, part
    ), left_over AS (
        SELECT record, count(*) AS rows, sum(octet_length(line)) AS bytes, string_agg(line, E'\n' ORDER BY place) AS lines
        FROM first_lines GROUP BY record
    ), placed AS (
        SELECT left_over.*, mirror, operation, key_columns, changed_at, changed_by, part,
            CASE WHEN rows > 500 OR bytes > 1000000 THEN record END AS alone,
            div(sum(rows) OVER alike - rows, 500) AS rows_before, div(sum(bytes) OVER alike - bytes, 1000000) AS bytes_before
        FROM left_over JOIN gone USING (record)
        WINDOW alike AS (PARTITION BY mirror, operation, key_columns, changed_by, part ORDER BY record)
    )
    INSERT INTO {schema}.undo_log (record, run, changed_at, changed_by, source, mirror, operation, key_columns, row_count, lines)
    OVERRIDING SYSTEM VALUE
    SELECT min(record), for_run, max(changed_at), changed_by, of_source, mirror, operation, key_columns, sum(rows),
        string_agg(lines, E'\n' ORDER BY record)
    FROM placed
    GROUP BY mirror, operation, key_columns, changed_by, part, alone, rows_before, bytes_before;
$$;

-- Takes from later records the lines of keys that a block has, whose records these are. What stays between them, by hand or large, is not
-- read: each step would read it again.
CREATE OR REPLACE FUNCTION {schema}.take_known(of_source text, after bigint, up_to bigint, later bigint[], for_run bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH lines AS (
        SELECT keyed.*, key IN (SELECT key FROM {schema}.keyed(ARRAY(
            SELECT record FROM {schema}.undo_log WHERE source = of_source AND record > after AND record <= up_to
                AND run IS NOT NULL AND NOT (row_count > 1 AND octet_length(lines) > 4000000))) WHERE key IS NOT NULL) AS is_known
        FROM {schema}.keyed(later)
    ), left_over AS (
        SELECT record, count(*) FILTER (WHERE NOT is_known) AS rows, string_agg(line, E'\n' ORDER BY place) FILTER (WHERE NOT is_known) AS rest
        FROM lines GROUP BY record HAVING bool_or(is_known)
    ), gone AS (
        DELETE FROM {schema}.undo_log USING left_over WHERE undo_log.record = left_over.record RETURNING undo_log.*, rows, rest
    )
    INSERT INTO {schema}.undo_log (record, run, changed_at, changed_by, source, mirror, operation, key_columns, row_count, lines)
    OVERRIDING SYSTEM VALUE
    SELECT record, for_run, changed_at, changed_by, source, mirror, operation, key_columns, rows, rest FROM gone WHERE rows > 0
$$;

-- Does one step of what lies between a point and the one before it, and notes how far it is. The records up to `pruned_to` no point needs.
CREATE OR REPLACE FUNCTION {schema}.pack_step(point {schema}.runs) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    after bigint := greatest(point.packing[1], (SELECT pruned_to FROM {schema}.sources WHERE source = point.source), (
        SELECT undo_mark FROM {schema}.runs WHERE source = point.source AND outcome = 'saved' AND run < point.run ORDER BY run DESC LIMIT 1));
    block_end bigint := point.packing[2];
    compared_to bigint := point.packing[3];
    ours bigint;
    records bigint[];
    parts bigint[];
BEGIN
    INSERT INTO {schema}.open_statements (relation, operation, last_record, called_by)
    VALUES ('{schema}.undo_log'::regclass, 'DELETE', point.undo_mark, 'pack') RETURNING statement INTO ours;
    SELECT array_agg(record ORDER BY record), array_agg(part ORDER BY record) INTO records, parts
    FROM {schema}.block(point.source, coalesce(compared_to, after), point.undo_mark);
    IF compared_to IS NOT NULL THEN
        PERFORM {schema}.take_known(point.source, after, block_end, records, point.run);
    ELSIF records IS NOT NULL THEN
        IF cardinality(records) > 1 THEN  -- one alone has each key once
            PERFORM {schema}.pack(point.source, records, parts, point.run);
        END IF;
        block_end := records[cardinality(records)];
    END IF;
    -- Where no later record is left, the next block is compared; and where there is no block, all is packed.
    UPDATE {schema}.runs SET packing = CASE WHEN records IS NOT NULL THEN ARRAY[after, block_end, records[cardinality(records)]]
        WHEN block_end IS NOT NULL THEN ARRAY[block_end] END
    WHERE run = point.run;
    DELETE FROM {schema}.open_statements WHERE statement = ours;
END;
$$;

-- Packs what there is to pack, the newest first, because the oldest may be too much for days; returns whether nothing is left. What cannot
-- be read, because somebody has changed it unseen, stays as it is.
CREATE OR REPLACE FUNCTION {schema}.pack_all(of_source text, until timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    point {schema}.runs;
BEGIN
    LOOP
        SELECT * INTO point FROM {schema}.runs WHERE source = of_source AND packing IS NOT NULL ORDER BY run DESC LIMIT 1;
        IF NOT FOUND OR clock_timestamp() > until THEN
            RETURN point.run IS NULL;
        END IF;
        BEGIN
            PERFORM {schema}.pack_step(point);
        EXCEPTION WHEN data_exception THEN
            UPDATE {schema}.runs SET packing = NULL WHERE run = point.run;
            PERFORM {schema}.tell(format('what was logged up to run %s cannot be packed (%s). It stays until its retention ends.', point.run, SQLERRM));
        END;
    END LOOP;
END;
$$;
