-- Counts a source's misfits, by table.
SELECT table_name, count(*) FROM {schema}.misfit_rows WHERE source = {source} GROUP BY table_name
