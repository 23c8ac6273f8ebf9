-- Where a source's mirrors are, and whether this user may make and alter mirrors there.
SELECT mirror_schema, has_schema_privilege(mirror_schema, 'CREATE') FROM {schema}.sources WHERE source = %(source)s
