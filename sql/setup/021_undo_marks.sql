-- The numbers of undo records, which marks are compared with: they only ever rise, a change by hand gets its own when it commits, and
-- what is lost from the log ends the history that needed it.

-- Lets the numbers of records rise above every mark, also where somebody has set the sequence back (TRUNCATE … RESTART IDENTITY).
CREATE OR REPLACE FUNCTION {schema}.keep_records_rising() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place regclass := pg_get_serial_sequence('{schema}.undo_log', 'record');
    highest bigint := (
        SELECT max(greatest(pruned_to, undo_mark)) FROM {schema}.sources LEFT JOIN {schema}.runs ON runs.run = last_run);
BEGIN
    IF coalesce(pg_sequence_last_value(place), 0) < highest THEN
        PERFORM setval(place, highest);
    END IF;
END;
$$;

-- A change by hand is numbered when it commits, and none commits while a run has the source. So every number up to a run's mark is
-- of a change that the run could see, and every later one of a change that the run's state does not have, however long the
-- transaction had been open. It does not wait: the run may be waiting for the very row.
CREATE OR REPLACE FUNCTION {schema}.number_hand_edit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared({schema}.source_lock(NEW.source)) THEN
        RAISE EXCEPTION '% is being backed up; nothing was changed', NEW.source
        USING ERRCODE = 'lock_not_available', HINT = 'Do it again when the backup has ended.';
    END IF;
    PERFORM {schema}.keep_records_rising();
    -- All that this transaction has logged, in its order: it may have put some inserts behind. Then nothing is left for the next call.
    FOR number IN
        SELECT record FROM {schema}.undo_log
        WHERE record >= NEW.record AND source = NEW.source AND xact = NEW.xact AND run IS NULL
            AND EXISTS (SELECT FROM {schema}.undo_log AS this WHERE this.record = NEW.record)
        ORDER BY record
    LOOP
        UPDATE {schema}.undo_log SET record = DEFAULT, changed_at = clock_timestamp() WHERE record = number;
    END LOOP;
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS number_hand_edits ON {schema}.undo_log;
CREATE CONSTRAINT TRIGGER number_hand_edits AFTER INSERT ON {schema}.undo_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.run IS NULL) EXECUTE FUNCTION {schema}.number_hand_edit();

-- Until version 3, a run that found the log pruned to nothing got the mark 0, below what had been pruned, and could not be restored.
-- No mark is lower than an earlier one, and what is older than `pruned_to` has been pruned with its records.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = '{schema}.undo_log'::regclass AND tgname = 'note_lost_deletes') THEN
        UPDATE {schema}.runs SET undo_mark = risen.mark
        FROM (
            SELECT run, greatest(max(undo_mark) OVER (PARTITION BY source ORDER BY run), pruned_to) AS mark
            FROM {schema}.runs JOIN {schema}.sources USING (source) WHERE outcome = 'saved'
        ) AS risen
        WHERE runs.run = risen.run AND runs.undo_mark < risen.mark;
    END IF;
END;
$$;

-- Ends a source's history at a record: the runs before it are no restore points any more.
CREATE OR REPLACE FUNCTION {schema}.end_history(of_source text, at_record bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.sources SET pruned_to = at_record WHERE source = of_source AND pruned_to < at_record
$$;

-- What is gone from the undo log, or is no longer what was written there, cannot be undone, whoever did it: as it was, and as it is, where
-- the points in between would take it for a later change. That a transaction gives its own records other numbers is no loss, nor is what
-- `pack_step` packs, which alone says so in a place where nobody else can.
CREATE OR REPLACE FUNCTION {schema}.note_lost_records() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM {schema}.end_history(source, max(record)) FROM {schema}.undo_log GROUP BY source;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM {schema}.end_history(source, max(record)) FROM old_rows
        WHERE NOT EXISTS (SELECT FROM {schema}.open_statements WHERE xact = pg_current_xact_id() AND relation = TG_RELID)
        GROUP BY source;
    ELSE
        PERFORM {schema}.end_history(source, max(record)) FROM (SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows) AS changed
        WHERE EXISTS (
            SELECT FROM old_rows WHERE xact IS DISTINCT FROM pg_current_xact_id() OR NOT EXISTS (
                SELECT FROM new_rows WHERE new_rows.xact = old_rows.xact AND new_rows.lines = old_rows.lines
                    AND new_rows.run IS NOT DISTINCT FROM old_rows.run
                    AND (new_rows.source, new_rows.mirror, new_rows.operation, new_rows.key_columns)
                        = (old_rows.source, old_rows.mirror, old_rows.operation, old_rows.key_columns)))
        GROUP BY source;
    END IF;
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS note_lost_deletes ON {schema}.undo_log;
CREATE TRIGGER note_lost_deletes AFTER DELETE ON {schema}.undo_log REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_lost_records();
DROP TRIGGER IF EXISTS note_lost_updates ON {schema}.undo_log;
CREATE TRIGGER note_lost_updates AFTER UPDATE ON {schema}.undo_log REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_lost_records();
DROP TRIGGER IF EXISTS note_lost_truncate ON {schema}.undo_log;
CREATE TRIGGER note_lost_truncate BEFORE TRUNCATE ON {schema}.undo_log
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_lost_records();
ALTER TABLE {schema}.undo_log
    ENABLE ALWAYS TRIGGER number_hand_edits, ENABLE ALWAYS TRIGGER note_lost_deletes,
    ENABLE ALWAYS TRIGGER note_lost_updates, ENABLE ALWAYS TRIGGER note_lost_truncate;
