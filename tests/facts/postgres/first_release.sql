ALTER TABLE backup.runs DROP COLUMN database_bytes; ALTER TABLE backup.run_tables DROP COLUMN source; ALTER TABLE backup.source_schemas DROP COLUMN mirrors;

-- Closes a run as saved, in the transaction that wrote its rows: the run is saved exactly if its rows are.
CREATE OR REPLACE FUNCTION backup.save_run(of_run bigint, snapshot jsonb, given_definition text, tables jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    of_source text;
    hash text := md5(given_definition);
BEGIN
    SELECT source INTO of_source FROM backup.runs WHERE run = of_run AND outcome = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % has ended', of_run;
    END IF;
    INSERT INTO backup.source_schemas (source, definition_hash, definition)
    VALUES (of_source, hash, given_definition) ON CONFLICT DO NOTHING;
    INSERT INTO backup.run_tables (run, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT of_run, item->>'label', (item->>'rows')::bigint, (item->>'inserted')::bigint, (item->>'updated')::bigint,
        (item->>'deleted')::bigint, (item->>'misfits')::bigint, (item->>'digest')::numeric,
        (item->>'bytes_sent')::bigint, (item->>'seconds')::double precision
    FROM jsonb_array_elements(tables) AS item;
    UPDATE backup.runs SET outcome = 'saved', finished_at = clock_timestamp(), snapshot_hash = snapshot->>'snapshot_hash',
        snapshot_bytes = (snapshot->>'snapshot_bytes')::bigint, rows = (snapshot->>'rows')::bigint, bytes_sent = (snapshot->>'bytes_sent')::bigint,
        undo_mark = (SELECT coalesce(max(record), 0) FROM backup.undo_log),
        source_schema = (SELECT source_schema FROM backup.source_schemas WHERE source = of_source AND definition_hash = hash)
    WHERE run = of_run;
    UPDATE backup.sources SET last_run = of_run, restored_run = NULL WHERE source = of_source;
END;
$$;

COMMENT ON SCHEMA backup IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup'
