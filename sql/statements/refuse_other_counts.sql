-- What is left to be seen where nothing is sent; if it is otherwise, the run goes back to here and sends every row.
SAVEPOINT merging;
SELECT {schema}.refuse_other_counts(%(source)s);
