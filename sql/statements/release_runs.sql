-- Lets the retention have again what is kept of the sources that are named, and says which runs these are.
SELECT source, run FROM {schema}.release_runs(%(sources)s, %(run)s) ORDER BY run
