-- The newest run of all sources, and the present by the clock of the server or of that run, whichever is later: a clock may have
-- been set back, and a time that is listed is never still to come.
SELECT max(run), greatest(now(), max(finished_at)) FROM {schema}.runs
