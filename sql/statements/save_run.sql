-- Closes a run as saved, inside the transaction that wrote its rows: the run is saved exactly if its rows are.
WITH saved AS (
    UPDATE {schema}.runs
    SET outcome = %(outcome)s, finished_at = clock_timestamp(), source_schema = %(source_schema)s,
        snapshot_hash = %(snapshot_hash)s, rows = %(rows)s, bytes_sent = %(bytes_sent)s
    WHERE run = %(run)s
)
UPDATE {schema}.sources SET last_run = %(run)s WHERE source = %(source)s
