-- What a rehearsal asks in place of lock_source.sql: it keeps no run from its work.
SELECT {last} FROM {schema}.sources LEFT JOIN {schema}.runs AS last ON last.run = last_run WHERE sources.source = %(source)s
