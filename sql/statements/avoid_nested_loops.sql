-- For what walks through two whole tables: where Postgres has no statistics, or those of an empty table, it expects one row, and
-- would compare all pairs of a million. It stays so until the transaction ends, or until allow_nested_loops.sql.
SET LOCAL enable_nestloop = off;
SET LOCAL enable_hashjoin = on;
