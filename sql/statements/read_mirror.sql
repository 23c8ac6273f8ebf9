-- Reads a mirror's rows in the order in which SQLite stores them, as COPY's text format: one line a row, tabs between cells, \N
-- for NULL. {unchanged} leaves out the rows that were changed since the state that is rebuilt.
COPY (SELECT {cells} FROM {mirror} AS mirror {unchanged} ORDER BY {order}) TO STDOUT
