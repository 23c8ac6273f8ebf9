-- Closes a run as saved, in the transaction that wrote its rows, prunes what is older than the retention, or tells why it does not, and
-- commits all of it.
-- The plans go first: every mirror's trigger keeps some, and each staging table that the commit drops would be looked for in all of them.
DISCARD PLANS;
SELECT {schema}.save_run(%(run)s, %(snapshot)s::jsonb, %(definition)s, %(tables)s::jsonb);
SELECT {schema}.tell({schema}.prune(%(source)s, %(keep_days)s));
COMMIT
