-- Computes the digests of a source's misfits, from their lines and not from the stored hash.
SELECT table_name, count(*), coalesce(sum({hash}), 0)
FROM {schema}.misfit_rows
WHERE source = {source}
GROUP BY table_name
