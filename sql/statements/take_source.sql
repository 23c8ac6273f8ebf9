-- Takes the source for this run until the transaction ends (see take_source in sql/setup/030_runs.sql). A run that asks for the lock asks
-- for nothing more, but what it is told then.
SELECT {schema}.take_source({schema}.opened_run(%(source)s, %(ticket)s));
