-- The runs of some sources that somebody keeps.
SELECT source, run FROM {schema}.runs WHERE source = ANY (%(sources)s) AND kept_at IS NOT NULL ORDER BY run
