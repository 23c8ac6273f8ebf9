-- Closes the source's runs that were killed: the lock that this run holds proves them dead.
SELECT {schema}.close_dead_runs(%(source)s, %(run)s)
