-- Reads the edits that a run has sent after they came into the bot's file, and that nobody has taken back yet.
SELECT source, mirror, edit, key, base, theirs FROM {schema}.edits AS this
WHERE run = %(run)s AND outcome IN ('applied', 'merged') AND NOT EXISTS (
    SELECT FROM {schema}.edits WHERE undoes = this.edit AND outcome IN ('applied', 'merged'))
ORDER BY edit DESC
