-- The bookkeeping of one deployment: which sources there are, every run, what each run left, and the rows that no mirror
-- can hold. Applied by setup_supabase.py, in one transaction; running it again changes nothing.
-- {schema} is BACKUP_SCHEMA.

CREATE SCHEMA IF NOT EXISTS {schema};

-- How long the undo log is kept, in days; one row. Stored here so that a role that may only back up cannot shorten it.
CREATE TABLE IF NOT EXISTS {schema}.retention (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    keep_days       integer NOT NULL
);
INSERT INTO {schema}.retention (keep_days) VALUES (30) ON CONFLICT DO NOTHING;

-- One row per SQLite file. `last_run` is the newest saved run: what the mirrors hold now. Undo records up to `pruned_to`
-- are gone: a run with an older mark cannot be restored any more.
CREATE TABLE IF NOT EXISTS {schema}.sources (
    source          text PRIMARY KEY,
    mirror_schema   text NOT NULL UNIQUE,
    last_run        bigint,
    restored_run    bigint,
    pruned_to       bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Where the first run was made under a wrong clock, setup says under a right one that nothing is from the future.
UPDATE {schema}.sources SET created_at = clock_timestamp() WHERE created_at > clock_timestamp();
-- Whose source it is: an id that the bot's folder keeps, and the machine and the path of the file that the last run read.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS origin text;
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS origin_machine text;
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS origin_path text;
-- When a live process has last saved a batch, or found that nothing is new.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS live_at timestamptz;
-- How many warnings there were when the last run was saved, and when its operator took the source out of his settings.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS warnings integer;
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS retired_at timestamptz;
-- The newest undo record when people's edits were last judged (see 060_edits.sql), and when the bot's file was last restored.
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS edits_up_to bigint NOT NULL DEFAULT 0;
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS restored_mark bigint NOT NULL DEFAULT 0;
ALTER TABLE {schema}.sources ADD COLUMN IF NOT EXISTS restored_at timestamptz;
-- Whoever has ended live backups for good says so by running setup.
UPDATE {schema}.sources SET live_at = NULL WHERE live_at < clock_timestamp() - interval '3 minutes';

-- One row per attempt at one source. A row that stays at 'running' belongs to a run that was killed.
-- `undo_mark` is the newest undo record when the run ended: undoing all later ones gives the state that it left.
CREATE TABLE IF NOT EXISTS {schema}.runs (
    run             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    outcome         text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'saved', 'failed')),
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    error           text,
    machine         text,
    version         text NOT NULL,
    source_schema   bigint,
    snapshot_hash   text,
    snapshot_bytes  bigint,
    undo_mark       bigint,
    rows            bigint,
    bytes_sent      bigint
);
-- The size of the whole database when the run ended: how fast the plan fills up.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS database_bytes bigint;
-- The transaction that holds the source's lock and writes the run's rows (see take_source).
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS xact xid8;
-- By what whoever has opened the run finds it again, while it is at work: he may not be told its number.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS ticket text;
-- By how many seconds the server's clock was ahead of the machine's when the run was saved, where that was an hour or more.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS clock_ahead double precision;
-- Whether the run compared every row of every table with its mirror.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS compared_all boolean;
-- Whether it is a live process's batch.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS is_live boolean;
-- What a run of which nothing is new need not say, it leaves empty: `bytes_sent` where nothing was sent, and `snapshot_hash`,
-- `snapshot_bytes` and `rows` where it read the very file that the run before it had read (see snapshot_of). No index has what changes
-- in such a run, so that its versions are one row and two index entries. A run that is at work is younger than its source's last one.
DROP INDEX IF EXISTS {schema}.runs_by_source;
DROP INDEX IF EXISTS {schema}.runs_at_work;
CREATE INDEX IF NOT EXISTS runs_of_source ON {schema}.runs (source, run);
CREATE INDEX IF NOT EXISTS runs_with_snapshot ON {schema}.runs (source, run) WHERE snapshot_hash IS NOT NULL;

-- Tables whose mirror was found to be otherwise than the last run had left it, and no undo record said why: what runs before
-- `before_run` left in them may not come back.
CREATE TABLE IF NOT EXISTS {schema}.lost_history (
    source          text NOT NULL,
    table_name      text NOT NULL,
    before_run      bigint NOT NULL,
    PRIMARY KEY (source, table_name)
);

-- What each saved run left in the tables that it changed, or found for the first time; in the others is what the newest run before it
-- has left there (see left_by). `digest` is the sum of the rows' hashes (see lib/tables/digest.py).
CREATE TABLE IF NOT EXISTS {schema}.run_tables (
    run             bigint NOT NULL,
    table_name      text NOT NULL,
    rows            bigint NOT NULL,
    inserted        bigint NOT NULL,
    updated         bigint NOT NULL,
    deleted         bigint NOT NULL,
    misfits         bigint NOT NULL,
    digest          numeric NOT NULL,
    bytes_sent      bigint NOT NULL,
    seconds         double precision NOT NULL,
    PRIMARY KEY (run, table_name)
);
ALTER TABLE {schema}.run_tables ADD COLUMN IF NOT EXISTS source text;

-- The source's schema, word for word, with its pragmas and where each table's rows are, as JSON; a new row only when it changed.
-- It is text, not jsonb: jsonb refuses what SQLite allows in a name or a comment. `mirrors` says which mirror each table has, or none, by
-- the table's name in the bookkeeping. The hash is that of both.
CREATE TABLE IF NOT EXISTS {schema}.source_schemas (
    source_schema   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    definition_hash text NOT NULL,
    definition      text NOT NULL,
    UNIQUE (source, definition_hash)
);
ALTER TABLE {schema}.source_schemas ADD COLUMN IF NOT EXISTS mirrors text;

-- Until version 5 every run had a row for each of its tables, whose source was that of the run.
DO $$
BEGIN
    IF EXISTS (SELECT FROM {schema}.run_tables WHERE source IS NULL) THEN
        UPDATE {schema}.run_tables SET source = runs.source FROM {schema}.runs WHERE runs.run = run_tables.run;
        UPDATE {schema}.source_schemas SET mirrors = (
            SELECT json_object_agg(table_name, table_name) FROM {schema}.run_tables
            WHERE run = (SELECT max(run) FROM {schema}.runs WHERE runs.source_schema = source_schemas.source_schema AND outcome = 'saved'))
        WHERE mirrors IS NULL;
        UPDATE {schema}.runs SET rows = coalesce((
            SELECT sum(run_tables.rows) FROM {schema}.run_tables WHERE run_tables.run = runs.run AND table_name NOT LIKE E'sqlite\\_%'), rows);
    END IF;
END;
$$;
ALTER TABLE {schema}.run_tables ALTER COLUMN source SET NOT NULL;
CREATE INDEX IF NOT EXISTS run_tables_by_table ON {schema}.run_tables (source, table_name, run);

-- What a run has left in each of its source's tables.
CREATE OR REPLACE FUNCTION {schema}.left_by(of_run bigint) RETURNS SETOF {schema}.run_tables
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT newest.*
    FROM {schema}.runs AS this JOIN {schema}.source_schemas USING (source_schema)
    CROSS JOIN LATERAL json_object_keys(mirrors::json) AS label
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.run_tables
        WHERE run_tables.source = this.source AND table_name = label AND run_tables.run <= of_run ORDER BY run_tables.run DESC LIMIT 1
    ) AS newest
    WHERE this.run = of_run
$$;

-- The run that has noted which file this one has read: itself, or the newest before it that has.
CREATE OR REPLACE FUNCTION {schema}.snapshot_of(of_run bigint) RETURNS SETOF {schema}.runs
LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
    SELECT noted.* FROM {schema}.runs AS this JOIN {schema}.runs AS noted ON noted.source = this.source AND noted.run <= this.run
    WHERE this.run = of_run AND noted.snapshot_hash IS NOT NULL ORDER BY noted.run DESC LIMIT 1
$$;

-- Rows that a mirror's column types cannot hold exactly, and SQLite's own tables (counters, statistics): each kept whole,
-- every cell tagged with its storage class (see lib/sqlite/lines/expressions.py). Equal rows are told apart by `copy`.
CREATE TABLE IF NOT EXISTS {schema}.misfit_rows (
    source          text COLLATE "C" NOT NULL,
    table_name      text COLLATE "C" NOT NULL,
    line_hash       text COLLATE "C" NOT NULL,
    copy            bigint NOT NULL,
    line            text NOT NULL,
    PRIMARY KEY (source, table_name, line_hash, copy)
);

-- Whoever edits a line by hand must not leave it under another's hash. Rows that were edited before there was this constraint are put
-- right by the next run, which compares the lines themselves: hence NOT VALID.
ALTER TABLE {schema}.misfit_rows DROP CONSTRAINT IF EXISTS line_has_its_hash;
ALTER TABLE {schema}.misfit_rows ADD CONSTRAINT line_has_its_hash CHECK (line_hash = md5(line)) NOT VALID;

-- Every rehearsal of a restore: which run was rebuilt, whether it was right, and how long it took.
CREATE TABLE IF NOT EXISTS {schema}.drills (
    drill           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    run             bigint NOT NULL,
    finished_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    seconds         double precision NOT NULL,
    rows            bigint NOT NULL,
    error           text
);
-- Who says so, and where it was: whoever may back up may write one.
ALTER TABLE {schema}.drills ADD COLUMN IF NOT EXISTS noted_by text NOT NULL DEFAULT session_user;
ALTER TABLE {schema}.drills ADD COLUMN IF NOT EXISTS machine text;
