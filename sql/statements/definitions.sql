-- Each definition that a source has had, with the mark of the first run that left it, oldest first.
SELECT undo_mark, definition
FROM (
    SELECT run, undo_mark, source_schema, lag(source_schema) OVER (ORDER BY run) AS before
    FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved'
) AS saved JOIN {schema}.source_schemas USING (source_schema)
WHERE before IS DISTINCT FROM source_schema ORDER BY run
