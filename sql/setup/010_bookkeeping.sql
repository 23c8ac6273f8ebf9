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
-- By how many seconds the server's clock was ahead of the machine's when the run was saved.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS clock_ahead double precision;
-- Whether the run compared every row of every table with its mirror.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS compared_all boolean;
CREATE INDEX IF NOT EXISTS runs_by_source ON {schema}.runs (source, run DESC);
CREATE INDEX IF NOT EXISTS runs_at_work ON {schema}.runs (source) WHERE outcome = 'running';

-- Tables whose mirror was found to be otherwise than the last run had left it, and no undo record said why: what runs before
-- `before_run` left in them may not come back.
CREATE TABLE IF NOT EXISTS {schema}.lost_history (
    source          text NOT NULL,
    table_name      text NOT NULL,
    before_run      bigint NOT NULL,
    PRIMARY KEY (source, table_name)
);

-- What each saved run left in each table; `digest` is the sum of the rows' hashes (see lib/tables/digest.py).
CREATE TABLE IF NOT EXISTS {schema}.run_tables (
    run             bigint NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
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

-- The source's schema, word for word, with its pragmas and where each table's rows are, as JSON; a new row only when it changed.
-- It is text, not jsonb: jsonb refuses what SQLite allows in a name or a comment.
CREATE TABLE IF NOT EXISTS {schema}.source_schemas (
    source_schema   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    definition_hash text NOT NULL,
    definition      text NOT NULL,
    UNIQUE (source, definition_hash)
);

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
