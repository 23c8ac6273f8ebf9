-- Reads the edits that a run has sent after they came into the bot's file, and that are still in it: what takes one back can be taken back itself.
WITH RECURSIVE backs AS (
    SELECT edit AS of_edit, edit FROM {schema}.edits WHERE run = %(run)s
    UNION ALL
    SELECT of_edit, this.edit FROM backs JOIN {schema}.edits AS this ON undoes = backs.edit
    WHERE outcome IN ('applied', 'merged') AND reason <> %(already)s
)
SELECT source, mirror, edit, key, base, theirs, columns FROM {schema}.edits AS this
WHERE run = %(run)s AND outcome IN ('applied', 'merged') AND reason <> %(already)s
    AND (SELECT count(*) FROM backs WHERE of_edit = this.edit) %% 2 = 1
ORDER BY edit DESC
