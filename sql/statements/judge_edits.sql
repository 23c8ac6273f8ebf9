-- Keeps what became of the edits that were read in this transaction.
SELECT {schema}.judge_edits(%(source)s, %(judged)s::jsonb)
