-- All that setup has made is closed to others, functions as well.
SELECT {schema}.make_private({schema_name});
