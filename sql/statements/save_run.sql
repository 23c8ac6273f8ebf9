-- Closes a run as saved, in the transaction that wrote its rows, and thins and prunes what the retention gives up; says why it does not.
-- The plans go first: every mirror's trigger keeps some, and each staging table that the commit drops would be looked for in all of them.
DISCARD PLANS;
SELECT {schema}.save_run(%(run)s, %(snapshot)s::jsonb, %(definition)s, %(tables)s::jsonb);
SELECT {schema}.prune(%(source)s, %(keep_days)s, %(keep_all)s, %(keep_hourly)s)
