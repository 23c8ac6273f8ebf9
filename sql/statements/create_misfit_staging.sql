-- The misfits of one table, before they are merged.
CREATE TEMPORARY TABLE {staging} (line text NOT NULL) ON COMMIT DROP
