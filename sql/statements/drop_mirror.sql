-- Removes a mirror, and views on it; its rows are deleted first, so that the undo log has them.
DELETE FROM {mirror}; DROP TABLE {mirror} CASCADE;
