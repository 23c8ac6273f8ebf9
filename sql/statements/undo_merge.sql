-- Takes back what was merged in this transaction, staging tables included; the source stays locked.
ROLLBACK TO SAVEPOINT merging
