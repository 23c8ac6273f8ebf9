-- Computes the digest of one table's kept rows, from their lines and not from the stored hash.
SELECT count(*),
    coalesce(sum(('x' || left(pg_catalog.md5(line), 16))::bit(64)::bigint), 0)
FROM {schema}.misfit_rows
WHERE source = %(source)s AND table_name = %(table)s
