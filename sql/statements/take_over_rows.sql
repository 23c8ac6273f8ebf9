-- Fills a mirror that was made anew with the rows of the one that it replaces, if they fit; else it stays empty, and gets every row from
-- the source.
DO $$
BEGIN
    INSERT INTO {mirror} ({columns}) SELECT {columns} FROM pg_temp.set_aside;
EXCEPTION WHEN OTHERS THEN
END;
$$
