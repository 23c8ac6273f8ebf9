-- Says that a live process has found nothing new in some sources since their last runs.
SELECT {schema}.note_seen(%(sources)s, %(runs)s)
