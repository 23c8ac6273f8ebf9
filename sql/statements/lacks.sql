-- What a run of `runs` and `sources` lacks to be a restore point, NULL where nothing: the one test of it, wherever that is asked. Of one that
-- lacks tables, the others come back.
CASE
    WHEN (runs.undo_mark >= sources.pruned_to) IS NOT TRUE THEN 'log'
    WHEN (runs.source_schema IN (SELECT source_schema FROM {schema}.source_schemas)) IS NOT TRUE THEN 'definition'
    WHEN runs.source IN (SELECT source FROM {schema}.lost_history) AND runs.run < (SELECT max(before_run) FROM {schema}.lost_history WHERE lost_history.source = runs.source) THEN 'tables'
END
