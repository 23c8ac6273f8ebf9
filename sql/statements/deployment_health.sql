-- How all sources of one deployment are doing, and which its operator has given up; what a row of the bot's may be quoted in is left out.
SELECT jsonb_build_object('schemas', coalesce(jsonb_agg(mirror_schema), '[]'), 'all', count(*), 'sources', coalesce(jsonb_agg(
    jsonb_build_object('source', asked.source, 'machine', origin_machine, 'warnings', warnings, 'health', {health}) ORDER BY asked.source)
    FILTER (WHERE retired_at IS NULL), '[]'))
FROM {schema}.sources AS asked
