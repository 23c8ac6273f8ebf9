-- Closes a run that did not get through, after its transaction was rolled back.
UPDATE {schema}.runs SET outcome = 'failed', finished_at = clock_timestamp(), error = %(error)s WHERE run = %(run)s
