-- Takes the source for this transaction, as a run does, and reads the edits that nobody has judged; nothing where somebody else has it.
SELECT CASE WHEN pg_try_advisory_xact_lock({schema}.source_lock(%(source)s)) THEN {schema}.pending_edits(%(source)s) END,
    (SELECT coalesce(jsonb_object_agg(item, since), '{{}}') FROM {schema}.accepted_edits WHERE source = %(source)s)
