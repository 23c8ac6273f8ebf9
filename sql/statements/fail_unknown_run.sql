-- Closes as failed a run that did not get as far as being told its number: the one that was opened on this connection, or one that is
-- opened for that, so that there is a trace.
SELECT {schema}.fail_run(coalesce({schema}.opened_run(%(source)s), ({open_run})), %(error)s)
