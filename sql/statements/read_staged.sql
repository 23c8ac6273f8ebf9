-- Reads one table's lines, or its keys, from what several tables share.
(SELECT {cells} FROM pg_temp.staged WHERE part = {part})
