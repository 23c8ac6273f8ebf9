-- Views for people who query the backup, in a schema of their own. They read the mirrors, so they are as old as the last run, and
-- they leave out the few rows that no mirror can hold (see misfit_rows).
CREATE SCHEMA IF NOT EXISTS {analytics};

-- Unix seconds as a time; NULL for what is no time between the years 1 and 9999, which must not break a whole view.
CREATE OR REPLACE FUNCTION {analytics}.moment(seconds bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN seconds BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(seconds) END
$$;
