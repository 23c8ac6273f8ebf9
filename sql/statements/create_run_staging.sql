-- What a run needs besides the staging tables for much: one that all tables share of which little is sent, with the number of each table
-- (below nought where a line is a key that vanished; nought where it is a misfit), and one for what the merges count.
-- Where changed rows turn out not to be enough, the run goes back to here and sends every row.
SAVEPOINT merging;
CREATE TEMPORARY TABLE staged (part integer, {cells}) ON COMMIT DROP;
CREATE TEMPORARY TABLE merged (table_name text, inserted bigint, updated bigint, deleted bigint, total numeric) ON COMMIT DROP;
