-- The table that COPY fills: the mirror's columns and types without its constraints, gone at the end of the transaction.
CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS SELECT {columns} FROM {mirror} WITH NO DATA;
