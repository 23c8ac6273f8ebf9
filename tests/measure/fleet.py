"""Measure how long it takes to look at many deployments at once, each of two databases with 30 days of runs.

usage: python3 tests/measure/fleet.py [--deployments 200] [--delay 50]

`--delay` is in milliseconds for a round trip.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lib.backing_up import deployments
from lib.postgres.link.connection import Target
from tests.stand_ins import relay, supabase
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import make_database

TABLES = "".join(f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t{n} VALUES (1, 'one');" for n in range(8))
# Thirty days of four runs, each of which has changed two tables, before the one that was made.
EARLIER = """
    INSERT INTO {0}.runs (run, source, outcome, started_at, finished_at, machine, version, source_schema, snapshot_hash,
        snapshot_bytes, undo_mark, rows, database_bytes) OVERRIDING SYSTEM VALUE
    SELECT ago * 10 + run, source, 'saved', started_at + ago * interval '6 hours', finished_at + ago * interval '6 hours',
        machine, version, source_schema, md5(ago::text), snapshot_bytes, 0, rows, database_bytes
    FROM {0}.runs, generate_series(-120, -1) AS ago WHERE outcome = 'saved' AND run > 0;
    INSERT INTO {0}.run_tables (run, source, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT run, source, 't' || n, 1, 0, 1, 0, 0, 0, 9, 0.1 FROM {0}.runs, generate_series(1, 2) AS n WHERE run < 0"""


def main(count: int, delay: float) -> None:
    with supabase.running() as server, tempfile.TemporaryDirectory() as folder, make_database(server, "fleet") as url:
        for number in range(count):
            set_up(Path(folder), url, f"bot_{number}")
        bot = Bot(Path(folder), url)
        port = URL.fullmatch(url)["port"]
        with relay.running("127.0.0.1", int(port)) as (standing, listens):
            bot.write_env(SUPABASE_DB_URL=url.replace(f":{port}/", f":{listens}/"))
            standing.delay = relay.each_way(delay / 2000)
            print(
                f"--fleet: {took(lambda: bot.run('backup.py', '--fleet'))}, {standing.carried['down'] / 1000 / 5:.0f} kB received"
            )
        with Target(deployment_settings(Path(folder), url).targets[0], "backup") as target:
            print(f"the one message alone: {took(lambda: deployments.ask(target))}")


def set_up(folder: Path, url: str, schema: str) -> None:
    deployment = Deployment(folder / schema, url, schema, name="shop.db")
    other = deployment.path.with_name("users.db")
    deployment.script(TABLES)
    other.write_bytes(deployment.path.read_bytes())
    deployment.settings = replace(deployment.settings, sources=deployment.settings.sources | {"users": other})
    deployment.set_up()
    deployment.back_up()
    deployment.rows(EARLIER.format(schema))


def deployment_settings(folder: Path, url: str):
    return Deployment(folder / "look", url).settings


def took(work) -> str:
    times = []
    for _ in range(5):
        began = time.monotonic()
        work()
        times.append(time.monotonic() - began)
    return f"{statistics.median(times):.2f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--deployments", dest="count", type=int, default=200)
    parser.add_argument("--delay", type=float, default=50)
    main(**vars(parser.parse_args()))
