-- Takes the source, and reads the edits that nobody has judged, and since when which ones are accepted.
SELECT {schema}.take_edits(%(source)s),
    (SELECT coalesce(jsonb_object_agg(item, since), '{{}}') FROM {schema}.accepted_edits WHERE source = %(source)s)
