-- Probe: temporary tables, into which a run loads what has changed, with unique constraints that wait until the end of it.
CREATE TEMPORARY TABLE probed (x integer, UNIQUE (x) DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP
