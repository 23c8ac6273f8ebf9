-- Every way into the schemas for others, each as a sentence (see sql/setup/900_privacy.sql); no row means: closed.
SELECT {schema}.openings(%(schemas)s)
