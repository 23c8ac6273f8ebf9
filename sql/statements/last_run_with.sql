-- The newest saved run of any of these sources whose definition has a table of that name, in whatever case.
SELECT max(run) FROM {schema}.runs JOIN {schema}.source_schemas USING (source_schema)
WHERE runs.source = ANY (%(sources)s) AND outcome = 'saved' AND EXISTS (
    SELECT FROM jsonb_path_query(definition::jsonb, '$.tables[*].name') AS name WHERE lower(name #>> '{{}}') = lower(%(table)s))
