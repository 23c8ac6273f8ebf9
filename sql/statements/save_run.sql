-- Closes a run as saved, in the transaction that wrote its rows, and prunes what is older than the retention; says why it does not.
-- The plans go first: every mirror's trigger keeps some, and each staging table that the commit drops would be looked for in all of them.
DISCARD PLANS;
SELECT {schema}.save_run(%(run)s, %(snapshot)s::jsonb, %(definition)s, %(tables)s::jsonb);
SELECT {schema}.prune(%(source)s, %(keep_days)s)
