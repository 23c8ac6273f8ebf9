-- Probe: triggers that see all rows of a statement, from which the undo log is written; in a schema that is rolled back.
CREATE SCHEMA {schema};
CREATE TABLE {schema}.probed (x integer);
CREATE FUNCTION {schema}.probe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER probe AFTER UPDATE ON {schema}.probed
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {schema}.probe()
