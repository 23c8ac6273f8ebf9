-- What the proof on the server has found of every source that has a last run.
SELECT source, {proof} FROM {schema}.sources AS asked WHERE retired_at IS NULL AND last_run IS NOT NULL ORDER BY source
