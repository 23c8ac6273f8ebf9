-- Reads a mirror's rows in key order, as COPY's text format: one line a row, tabs between cells, \N for NULL.
COPY (SELECT {cells} FROM {mirror} ORDER BY {order}) TO STDOUT
