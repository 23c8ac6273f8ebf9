-- The condition that a line of the undo log is a misfit of one table: those of all tables are in one.
line::json ->> 'table_name' = {label}
