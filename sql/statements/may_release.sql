-- Whether this user may release what is kept, and who he is.
SELECT has_function_privilege(format('%%I.release_runs(text[], bigint)', %(schema)s), 'EXECUTE'), session_user
