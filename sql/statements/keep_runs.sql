-- Keeps the newest restore point up to a run for ever, of each source that is named, and says which these are.
SELECT source, run FROM {schema}.keep_runs(%(sources)s, %(run)s, %(reason)s) ORDER BY run
