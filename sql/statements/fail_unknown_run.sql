-- Leaves a trace of a run that did not get as far as being told its number: of the one that it has opened, else of one that is opened for it.
SELECT {schema}.fail_run(coalesce({schema}.opened_run(%(source)s, %(ticket)s), (SELECT run FROM ({open_run}) AS opened)), %(error)s)
