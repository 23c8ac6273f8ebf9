-- Records a rehearsal of a restore.
SELECT {schema}.note_drill(%(source)s, %(run)s, %(seconds)s, %(rows)s, %(error)s, %(machine)s)
