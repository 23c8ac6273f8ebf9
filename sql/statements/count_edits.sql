-- Counts what became of the edits of some sources, as long as they are kept.
SELECT source, jsonb_object_agg(outcome, many) FROM (
    SELECT source, outcome, count(*) AS many FROM {schema}.edits WHERE source = ANY (%(sources)s) GROUP BY source, outcome
) AS counted GROUP BY source
