-- What a run needs besides the staging tables: a place for the misfits of all tables, and one for what the merges count.
-- Where changed rows turn out not to be enough, the run goes back to here and sends every row.
SAVEPOINT merging;
CREATE TEMPORARY TABLE misfits (
    table_name text COLLATE "C" NOT NULL, line text NOT NULL, line_hash text COLLATE "C" GENERATED ALWAYS AS (md5(line)) STORED
) ON COMMIT DROP;
CREATE TEMPORARY TABLE merged (table_name text, inserted bigint, updated bigint, deleted bigint, total numeric) ON COMMIT DROP;
