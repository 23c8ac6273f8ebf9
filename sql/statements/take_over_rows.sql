-- Fills a mirror that was made anew with the rows of the one that it replaces, if they were kept and fit; else it stays empty, and gets
-- every row from the source.
DO $$
BEGIN
    INSERT INTO {mirror} ({columns}) SELECT {columns} FROM pg_temp.set_aside;
EXCEPTION WHEN undefined_table OR integrity_constraint_violation OR program_limit_exceeded THEN
END;
$$
