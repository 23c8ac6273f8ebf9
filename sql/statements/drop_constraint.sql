-- Lets a mirror have rows that the source no longer forbids.
ALTER TABLE {mirror} DROP CONSTRAINT {constraint};
