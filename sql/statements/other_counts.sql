-- The tables of which there are not as many rows as the last run has left.
SELECT {schema}.other_counts(%(source)s)
