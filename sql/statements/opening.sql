-- Opens a run in its own short transaction, so that a crash leaves a trace; what follows in the same message finds it (opened_run).
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL search_path = pg_catalog, pg_temp;
{open_run};
COMMIT;
