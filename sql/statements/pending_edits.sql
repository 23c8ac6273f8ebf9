-- Takes the source, and reads the edits that nobody has judged, and since when which ones are accepted.
SELECT {schema}.take_pending(%(source)s)
