-- The functions of the triggers that may be on a mirror: ours, and the one by which Postgres checks a deferred constraint.
'{schema}.log_undo()'::regprocedure, '{schema}.begin_statement()'::regprocedure, 'unique_key_recheck()'::regprocedure
