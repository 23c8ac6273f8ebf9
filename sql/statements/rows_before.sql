-- How many rows each table had when the source was last known to be good: after the last saved run, or as it was restored.
SELECT table_name, rows FROM {schema}.run_tables
WHERE run = (SELECT coalesce(restored_run, last_run) FROM {schema}.sources WHERE source = %(source)s)
    AND table_name NOT LIKE E'sqlite\\_%%'
