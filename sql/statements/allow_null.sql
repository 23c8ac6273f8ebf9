-- Lets a mirror have rows without a value in a column that the source has dropped.
ALTER TABLE {mirror} ALTER COLUMN {column} DROP NOT NULL;
