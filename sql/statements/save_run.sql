-- Closes a run as saved, in the transaction that wrote its rows, and prunes what is older than the retention; says why it does not.
SELECT {schema}.save_run(%(run)s, %(found)s::jsonb, %(definition)s, %(tables)s::jsonb);
SELECT {schema}.prune(%(source)s, %(keep_days)s)
