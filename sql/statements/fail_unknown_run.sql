-- Leaves a trace of a run that did not get as far as being told its number.
SELECT {schema}.fail_run(run, %(error)s) FROM ({open_run}) AS opened
