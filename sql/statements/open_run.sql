-- Opens a run in its own short transaction, so that a crash leaves a trace. No source, no run: setup has not been done.
INSERT INTO {schema}.runs (source, machine, version)
SELECT source, %(machine)s, %(version)s FROM {schema}.sources WHERE source = %(source)s
RETURNING run, (SELECT mirror_schema FROM {schema}.sources WHERE source = %(source)s)
