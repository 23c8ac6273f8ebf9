-- Reads the kept rows of one table, each as one line of COPY's text format.
COPY (SELECT line FROM {schema}.misfit_rows WHERE source = {source} AND table_name = {table}) TO STDOUT
