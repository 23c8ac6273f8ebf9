"""Measure what bots take of a project that they share: bytes, messages, and how long a connection is held.

usage: python3 tests/measure/many_bots.py [--bots 10] [--users 1200] [--days 20]

Each bot is set up, and backs up four times a day, one of which has something to send.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lib.base.words import size
from lib.trying import sample_bot
from tests.stand_ins import supabase
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import make_database

DATABASE = "SELECT pg_database_size(current_database())"
OWN = """SELECT sum(pg_total_relation_size(pg_class.oid)) FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind = 'r' AND (nspname = '{0}' OR nspname IN (SELECT mirror_schema FROM {0}.sources))"""


def main(bots: int, users: int, days: int) -> None:
    with supabase.running() as server, tempfile.TemporaryDirectory() as folder, make_database(server, "many") as url:
        made = [_made(Path(folder) / f"bot_{number}", url, f"bot_{number}", users) for number in range(bots)]
        before = _number(made[0], DATABASE)
        for bot in made:
            bot.set_up()
        empty = _number(made[0], DATABASE)
        trips, seconds = [], []
        for bot in made:
            bot.back_up()
        for day in range(days):
            for bot in made:
                sample_bot.live(bot.folder, day)
                for _ in range(4):
                    bot.back_up()
            trips += [bot.round_trips for bot in made]
            seconds += [bot.seconds for bot in made]
        after = _number(made[0], DATABASE)
        own = statistics.median(_number(bot, OWN.format(bot.settings.schema)) for bot in made)
        print(f"an empty project: {size(before)}; each bot after setup: {size((empty - before) // bots)} more")
        print(f"each bot after {days} days: {size((after - before) // bots)} more, {size(int(own))} of it in its own schemas")
        print(f"a quiet run of one source: {statistics.median(trips)} messages, {statistics.median(seconds):.2f} s")


def _made(folder: Path, url: str, schema: str, users: int) -> Deployment:
    bot = Deployment(folder, url, schema)
    premium, requests = sample_bot.make(folder, users)
    sources = {path.stem: path for path in (premium, requests)}
    bot.settings = replace(bot.settings, sources=sources)
    return bot


def _number(bot: Deployment, query: str) -> int:
    return int(bot.rows(query)[0][0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--bots", type=int, default=10)
    parser.add_argument("--users", type=int, default=1200)
    parser.add_argument("--days", type=int, default=20)
    main(**vars(parser.parse_args()))
