-- How all sources of one deployment are doing that its operator has not given up, and what it takes. What an older release's sources have no
-- columns for has the names of `older`.
SELECT jsonb_build_object('bytes', ($1->>{schema_name})::bigint + coalesce(sum(($1->>mirror_schema)::bigint), 0), 'sources', coalesce(jsonb_agg(jsonb_build_object(
    'source', name, 'machine', machine, 'warnings', asked.warnings, 'health', {health}) ORDER BY name), '[]'))
FROM (VALUES (NULL::timestamptz, NULL::integer)) AS older (retired_at, warnings) CROSS JOIN LATERAL (
    SELECT source AS name, mirror_schema, origin_machine AS machine, retired_at, warnings FROM {schema}.sources) AS asked
WHERE asked.retired_at IS NULL
