-- Takes back all that a transaction has done; a rehearsal always ends so.
ROLLBACK
