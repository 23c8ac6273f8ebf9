-- Reads what became of the newest edits of some sources, or of those that no run has sent yet.
SELECT source, run, jsonb_build_object('mirror', mirror, 'record', record, 'key', key, 'base', base, 'theirs', theirs,
        'made_at', to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'made_by', made_by, 'undoes', undoes),
    columns, outcome, reason
FROM {schema}.edits WHERE source = ANY (%(sources)s) AND (run IS NULL OR NOT %(unsent)s) ORDER BY edit DESC LIMIT %(most)s
