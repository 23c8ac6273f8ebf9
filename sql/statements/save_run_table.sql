-- Records what a run did to one table and how the table was left.
INSERT INTO {schema}.run_tables (run, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
SELECT %(run)s, (found->>'label'), (found->>'rows')::bigint, (found->>'inserted')::bigint, (found->>'updated')::bigint,
    (found->>'deleted')::bigint, (found->>'misfits')::bigint, (found->>'digest')::numeric,
    (found->>'bytes_sent')::bigint, (found->>'seconds')::double precision
FROM jsonb_array_elements(%(tables)s::jsonb) AS found
