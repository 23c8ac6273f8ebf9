-- Where a source's mirrors are, whether this user may make and alter mirrors there, and whose the last saved run was.
SELECT mirror_schema, has_schema_privilege(mirror_schema, 'CREATE'), jsonb_build_object(
    'origin', origin, 'machine', origin_machine, 'path', origin_path,
    'run', last_run, 'at', to_char(last.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
FROM {schema}.sources LEFT JOIN {schema}.runs AS last ON last.run = last_run
WHERE sources.source = %(source)s
