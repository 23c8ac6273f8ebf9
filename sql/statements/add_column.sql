-- Gives a mirror a column that the source has got.
ALTER TABLE {mirror} ADD COLUMN {column} {kind};
