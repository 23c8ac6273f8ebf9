-- Goes on with the proof on the server for some seconds, and returns how many tables are left (see sql/setup/070_proof.sql).
SELECT {schema}.prove(%(since)s)
