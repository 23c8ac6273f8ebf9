"""Measure how long one row takes to be found as it was at the oldest point of a long history, and to have its story told.

usage: python3 tests/measure/find_rows.py [--rows 404000] [--runs 200] [--changed 1000] [--delay 50]

Each run changes so many rows. `--delay` is in milliseconds for a round trip.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.stand_ins import relay, supabase
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import make_database

TABLE = """CREATE TABLE payments (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, stars INTEGER, status TEXT);
    INSERT INTO payments WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
    SELECT i, i % 5000, i % 700, 'paid' FROM n"""
CHANGE = "UPDATE payments SET stars = stars + 1 WHERE id % {step} = {number} % {step}"


def main(rows: int, runs: int, changed: int, delay: float) -> None:
    with supabase.running() as server, tempfile.TemporaryDirectory() as folder, make_database(server, "found") as url:
        deployment = Deployment(Path(folder) / "bot" / "sqlite_data", url, name="shop.db")
        deployment.script(TABLE.format(rows=rows))
        deployment.set_up()
        deployment.back_up()
        first = deployment.run
        for number in range(runs - 1):
            deployment.script(CHANGE.format(step=rows // changed, number=number))
            deployment.back_up()
        bot = Bot(Path(folder) / "bot", url)
        port = URL.fullmatch(url)["port"]
        with relay.running("127.0.0.1", int(port)) as (standing, listens):
            settings = {"SUPABASE_DB_URL": url.replace(f":{port}/", f":{listens}/"), "SQLITE_DATABASES": "sqlite_data/shop.db"}
            bot.write_env(**settings)
            standing.delay = relay.each_way(delay / 2000)
            for flags in (("--find", "payments", "--at", str(first)), ("--find", "payments"), ("--history", "payments")):
                for where in ("id", "owner"):
                    what = f"{flags[0]}{' --at the oldest' if '--at' in flags else ''} --where {where}=…"
                    print(f"{what}: {took(bot, flags, where, rows)}")


def took(bot: Bot, flags: tuple[str, ...], column: str, rows: int) -> str:
    times = []
    for _ in range(5):
        began = time.monotonic()
        done = bot.run("restore.py", *flags, "--where", f"{column}={random.randrange(1, min(rows, 4999))}", "--json").expect(0)
        times.append(time.monotonic() - began)
    return f"{statistics.median(times):.2f} s ({len(done.json['rows'])} rows, {len(done.stdout) / 1000:.1f} kB)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--rows", type=int, default=404_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--changed", type=int, default=1000)
    parser.add_argument("--delay", type=float, default=50)
    main(**vars(parser.parse_args()))
