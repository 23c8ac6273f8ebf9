-- Where a source's mirrors are.
SELECT mirror_schema FROM {schema}.sources WHERE source = %(source)s
