"""Let the history of a bot of 1,200 users grow for 30 days in minutes, and show what it takes in Postgres.

usage: python3 tests/measure/history_size.py [--every MINUTES] [--days 30] [--sleeps]     a line for each day

What a run says to Postgres is said by SQL alone, with a clock of its own: SQLite would take most of the time. Each minute a
message is owned, one is forgotten and a request is renewed; each tenth minute something is sold. `--sleeps`: nothing changes.
Once an hour the books are vacuumed, as Postgres itself does.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psycopg2

from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.trying import sample_bot
from tests.stand_ins import supabase
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import make_database

SIZES = """SELECT pg_total_relation_size('backup.undo_log') / 1000,
    (pg_total_relation_size('backup.runs') + pg_total_relation_size('backup.run_tables')) / 1000,
    (SELECT count(*) FROM backup.runs), (SELECT count(*) FROM backup.undo_log)"""
BOOKS = "backup.undo_log, backup.runs, backup.run_tables, backup.sources, backup.misfit_rows"
CLOCK = """CREATE TABLE public.clock (now timestamptz); INSERT INTO public.clock VALUES (clock_timestamp());
CREATE FUNCTION public.clock() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now FROM public.clock'"""
# What a run does, given its source, its time, what it changes and the tables of which it says so.
RUN = """BEGIN; UPDATE public.clock SET now = {now};
SELECT backup.take_source(run) FROM backup.open_run('{source}', 'here', '1'); {changes};
SELECT backup.save_run(run, jsonb_build_object(
    'machine_time', extract(epoch FROM {now}), 'definition_hash', definition_hash, 'lost', '[]'::jsonb,
    'snapshot_hash', repeat(md5('{hash}'), 2), 'snapshot_bytes', 1000000, 'rows', 1000, 'bytes_sent', {sent},
    'origin', 'a', 'machine', 'here', 'path', '/'), NULL, '{tables}')
FROM backup.runs JOIN (SELECT source, definition_hash FROM backup.source_schemas) AS known USING (source)
WHERE source = '{source}' AND outcome = 'running' AND xact = pg_current_xact_id();
SELECT backup.prune('{source}', 30, '24h', '7d'); COMMIT"""
ANSWER = """INSERT INTO {asked}.message_owners SELECT last + n, -100, 1, 2, last + n
FROM generate_series(1, {count}) AS n,
    (SELECT max(greatest(message_id, rowid)) AS last FROM {asked}.message_owners) AS newest;
DELETE FROM {asked}.message_owners WHERE message_id IN (
    SELECT message_id FROM {asked}.message_owners ORDER BY message_id LIMIT {count});
UPDATE {asked}.user_requests SET minute = minute + 1 WHERE (user_id, chat_id, gift_name) IN (
    SELECT user_id, chat_id, gift_name FROM {asked}.user_requests ORDER BY md5(rowid || '{first}') LIMIT {count})"""
SELL = """DELETE FROM {paid}.premium_subscriptions WHERE id IN (
    SELECT id FROM {paid}.premium_subscriptions ORDER BY id LIMIT {count});
INSERT INTO {paid}.premium_subscriptions
    (id, owner_id, group_id, payment_id, telegram_payment_charge_id, stars_amount, created_at)
    SELECT last + n, n, -1000000000000 - {first} * 1000 - n, 'payment_' || n, 'stx' || md5(n::text), 99, 1763800000
    FROM generate_series(1, {count}) AS n, (SELECT max(id) AS last FROM {paid}.premium_subscriptions) AS newest;
INSERT INTO {paid}.payment_history (id, owner_id, payment_id, stars_amount, status, created_at)
    SELECT last + n, n, 'payment_' || n, 99, 'completed', 1763800000
    FROM generate_series(1, {count}) AS n, (SELECT max(id) AS last FROM {paid}.payment_history) AS newest;
UPDATE {paid}.refunds SET processed_by = md5('{first}') WHERE id IN (
    SELECT id FROM {paid}.refunds ORDER BY md5(id || '{first}') LIMIT {count});
DELETE FROM backup.misfit_rows WHERE source = 'premium_system' AND table_name = 'sqlite_sequence';
INSERT INTO backup.misfit_rows (source, table_name, line_hash, copy, line)
    SELECT 'premium_system', 'sqlite_sequence', md5(line), 1, line FROM (SELECT '"tx",i{first}' AS line) AS a"""
SCHEMAS = {"asked": "backup_user_requests", "paid": "backup_premium_system"}
SOURCES = {
    "premium_system": (10, SELL, ("premium_subscriptions", "payment_history", "refunds", "sqlite_sequence")),
    "user_requests": (1, ANSWER, ("message_owners", "user_requests")),
}


def run(asked, source: str, minute: int, since: int, sleeps: bool) -> float:
    """Make one run, of all that has happened since another minute; return how many seconds it took."""
    pace, change, tables = SOURCES[source]
    numbers = [] if sleeps else [number for number in range(since, minute) if number % pace == 0]
    said = ", ".join(f'{{"label": "{table}", "rows": "9", "digest": "{minute}", "updated": "1"}}' for table in tables if numbers)
    changes = change.format(first=numbers[0], count=len(numbers), **SCHEMAS) if numbers else "SELECT 1"
    now = f"(SELECT created_at FROM backup.sources LIMIT 1) + interval '{minute} min'"
    told = {
        "now": now,
        "source": source,
        "changes": changes,
        "hash": minute if numbers else 0,
        "sent": 300 * len(numbers),
        "tables": f"[{said}]",
    }
    begun = time.monotonic()
    asked.execute(RUN.format(**told))
    return time.monotonic() - begun


def read_oldest(deployment: Deployment) -> float:
    """Return how many seconds it takes to read every row as of the oldest point."""
    begun = time.monotonic()
    with Target(deployment.settings.targets[0], "backup") as target, target.transaction("REPEATABLE READ READ ONLY"):
        for name in deployment.settings.sources:
            ((oldest,),) = target.rows(f"SELECT min(run) FROM backup.runs WHERE source = '{name}' AND outcome = 'saved'")
            state = saved_state.read_state(target, name, oldest)
            for table in state.tables:
                saved_state.read_rows(target, state, table, lambda _: None, lambda _: None)
                saved_state.read_misfits(target, state, table, lambda _: None, lambda _: None)
    return time.monotonic() - begun


def main(every: int, days: int, sleeps: bool) -> None:
    with supabase.running() as server, tempfile.TemporaryDirectory() as folder, make_database(server, "history_size") as url:
        watching = psycopg2.connect(url)
        watching.autocommit = True
        asked = watching.cursor()
        deployment = Deployment(Path(folder), url)
        made = sample_bot.make(Path(folder) / "sqlite_data", 1200)
        deployment.settings = dataclasses.replace(deployment.settings, sources={path.stem: path for path in made})
        deployment.set_up()
        deployment.back_up()
        asked.execute(CLOCK)
        asked.execute("SELECT pg_get_functiondef('backup.save_run(bigint, jsonb, text, jsonb)'::regprocedure)")
        asked.execute(asked.fetchone()[0].replace("clock_timestamp()", "public.clock()"))
        asked.execute("SET synchronous_commit = off")
        print("day\tundo log kB\trun log kB\truns\trecords\tmean run ms\tlongest ms", flush=True)
        for day in range(1, days + 1):
            took = []
            for minute in range((day - 1) * 1440 + every, day * 1440 + 1, every):
                took += [run(asked, source, minute, minute - every, sleeps) for source in SOURCES]
                if minute % 60 == 0:
                    asked.execute("VACUUM backup.undo_log, backup.runs, backup.run_tables, backup.sources, backup.misfit_rows")
            asked.execute(SIZES)
            print(day, *asked.fetchone(), round(1000 * sum(took) / len(took), 1), round(1000 * max(took)), sep="\t", flush=True)
        print(f"every row as of the oldest points read in {read_oldest(deployment):.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--sleeps", action="store_true")
    given = parser.parse_args()
    main(given.every, given.days, given.sleeps)
