-- What the proof on the server has found of a source, as an expression: when the oldest of its tables was looked at, of how many, what differs and
-- was not compared by a later run, which mends it, and what could not be told. An older release's sources have none.
(
    SELECT jsonb_build_object('at', min(at), 'tables', count(*),
        'different', coalesce(jsonb_object_agg(key, value->>'said') FILTER (WHERE value ? 'said' AND after_run >= compared), '{{}}'),
        'unproven', coalesce(jsonb_object_agg(key, value->>'unproven') FILTER (WHERE value ? 'unproven'), '{{}}'))
    FROM (VALUES (NULL::jsonb)) AS older (proofs)
    CROSS JOIN LATERAL (SELECT proofs AS known FROM {schema}.sources WHERE source = {of_source}) AS this
    CROSS JOIN LATERAL jsonb_each(known)
    CROSS JOIN LATERAL (SELECT (value->>'at')::float8, (value->>'last')::bigint) AS ended (at, after_run)
    CROSS JOIN LATERAL (SELECT coalesce((
        SELECT run FROM {schema}.runs WHERE source = {of_source} AND outcome = 'saved' AND compared_all ORDER BY run DESC LIMIT 1), 0)) AS last (compared)
    WHERE value ? 'at' HAVING count(*) > 0
)
