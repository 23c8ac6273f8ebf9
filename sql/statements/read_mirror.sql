-- Reads a mirror's rows as COPY's text format: one line a row, tabs between cells, \N for NULL. In no order: SQLite stores
-- them as they come, and a sort would let it wait. {unchanged} leaves out the rows that were changed since the state that is
-- rebuilt.
COPY (SELECT {cells} FROM {only} {mirror} AS mirror WHERE {unchanged}) TO STDOUT
