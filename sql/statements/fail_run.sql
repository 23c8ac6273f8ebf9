-- Closes a run that did not get through, after its transaction was rolled back.
SELECT {schema}.fail_run(%(run)s, %(error)s)
