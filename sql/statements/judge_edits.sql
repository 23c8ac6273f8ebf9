-- Keeps what became of the edits that were read in this transaction, or before a crash.
SELECT {schema}.judge_edits(%(source)s, %(judged)s::jsonb, %(up_to)s)
