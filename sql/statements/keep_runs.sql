-- Keeps the newest saved run up to a number for ever, of each source that is named, and says which these are, and what each lacks to be a
-- restore point: where one lacks something, none is kept.
SELECT source, run, lacks FROM {schema}.keep_runs(%(sources)s, %(run)s, %(reason)s) ORDER BY run
