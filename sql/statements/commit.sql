-- Ends a run's transaction: from here on its rows are saved.
COMMIT
