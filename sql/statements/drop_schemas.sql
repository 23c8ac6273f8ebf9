-- Removes the scratch schemas of test_backup.py; only ever called with what scratch_schemas.sql has found.
DROP SCHEMA IF EXISTS {schemas} CASCADE
