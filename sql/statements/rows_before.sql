-- How many rows each table had when the source was last known to be good: after the last saved run, or as it was restored.
SELECT table_name, rows FROM {schema}.sources CROSS JOIN LATERAL {schema}.left_by(coalesce(restored_run, last_run))
WHERE sources.source = %(source)s AND table_name NOT LIKE E'sqlite\\_%%'
