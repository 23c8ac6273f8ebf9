-- For what looks up a few rows by their keys.
SET LOCAL enable_nestloop = on;
