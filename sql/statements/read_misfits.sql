-- Reads the misfits of one table, each as one line of COPY's text format, but not those that were changed since the state that is rebuilt:
-- {unchanged} leaves them out.
COPY (SELECT line FROM {schema}.misfit_rows AS mirror WHERE source = {source} AND table_name = {label} AND {unchanged}) TO STDOUT
