-- Looks whether there are as many rows as the last run has left, before anything is sent, or the run is saved; if not, the run goes back to
-- here and sends every row.
SAVEPOINT merging;
SELECT {schema}.refuse_other_counts({source});
