-- Reads the misfits of one table, each as one line of COPY's text format.
COPY (SELECT line FROM {schema}.misfit_rows AS mirror {unchanged}) TO STDOUT
