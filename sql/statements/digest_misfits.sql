-- Computes the digests of a source's kept rows, from their lines and not from the stored hash.
SELECT table_name, count(*), coalesce(sum(('x' || left(md5(line), 16))::bit(64)::bigint), 0)
FROM {schema}.misfit_rows
WHERE source = {source}
GROUP BY table_name
