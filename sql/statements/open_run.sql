-- Opens a run. No source, no run: setup has not been done. A schema of another release is left alone; what follows a semicolon in its
-- comment is a note of test_backup.py.
SELECT run FROM {schema}.open_run(%(source)s, %(machine)s, %(version)s, %(ticket)s)
WHERE split_part(obj_description(%(schema)s::regnamespace, 'pg_namespace'), ';', 1) = %(comment)s
