-- Removes the scratch schemas of test_backup.py; only ever called with names that it made itself.
DROP SCHEMA IF EXISTS {schemas} CASCADE
