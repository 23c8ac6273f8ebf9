-- What the proof on the server has found of every source that has not been given up; nothing where it has no last run.
SELECT source, CASE WHEN last_run IS NOT NULL THEN {proof} END FROM {schema}.sources AS asked WHERE retired_at IS NULL ORDER BY source
