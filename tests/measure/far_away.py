"""Measure what a backup costs over a long way: time, round trips and bytes, TLS and login included.

usage: python3 tests/measure/far_away.py [--delay 50] [--times 3] [--pooler]

Two databases with nine tables, the bot of 1,200 users. `--delay` is in milliseconds for a round trip; `--pooler` goes through
PgBouncer in transaction mode. Medians; round trips are those of each source, login not counted.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import trustme

from lib.postgres.link.connection import Target
from lib.settings import config
from lib.trying import sample_bot, trial
from tests.stand_ins import pooler, relay, supabase, tls
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.supabase import make_database

Measured = tuple[float, list[int], int, int]


def main(delay: float, times: int, through_pooler: bool) -> None:
    found: dict[str, list[Measured]] = {}
    with (
        supabase.running(tls.binaries()) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        authority = trustme.CA()
        tls.show(server, authority.issue_cert("127.0.0.1"))
        authority.cert_pem.write_to_path(Path(folder) / "ca.crt")
        for number in range(times):
            with make_database(server, f"far_{number}") as url:
                for what, measured in far(Path(folder), f"bot{number}", url, delay, through_pooler):
                    found.setdefault(what, []).append(measured)
    for what, all_measured in found.items():
        seconds, trips, sent, received = zip(*all_measured, strict=True)
        print(
            f"{what}: {statistics.median(seconds):.2f} s; round trips {trips[0]}; "
            f"{statistics.median(sent)} bytes sent, {statistics.median(received)} received"
        )


def far(folder: Path, name: str, url: str, delay: float, through_pooler: bool):
    """Yield what each kind of backup of one deployment has cost."""
    bot = Bot.make(folder / name, url, users=1200)
    bot.write_env(SUPABASE_DB_SSLROOTCERT=str(folder / "ca.crt"))
    settings = config.load(str(bot.folder / ".env"))
    with Target(settings.targets[0], settings.schema) as target:
        trial.set_up(target, settings)
    with contextlib.ExitStack() as stack:
        if through_pooler:
            url = stack.enter_context(pooler.running(folder / f"pooler-{name}", url, "transaction")).url
        port = URL.fullmatch(url)["port"]
        standing, listens = stack.enter_context(relay.running("127.0.0.1", int(port)))
        standing.delay = relay.each_way(delay / 2000)
        there = {} if through_pooler else {"SUPABASE_DB_SSLROOTCERT": str(folder / "ca.crt")}
        bot.write_env(SUPABASE_DB_URL=url.replace(f":{port}/", f":{listens}/"), **there)
        yield "first backup after setup", backed_up(bot)
        yield "nothing changed", backed_up(bot)
        sample_bot.live(bot.data, 1)
        yield "a day's changes", backed_up(bot)
        yield "nothing changed, again", backed_up(bot)
        yield "--full", backed_up(bot, "--full")


def backed_up(bot: Bot, *flags: str) -> Measured:
    began = time.monotonic()
    done = bot.run("backup.py", "--json", *flags).expect(0)
    took, runs = time.monotonic() - began, json.loads(done.stdout)["runs"]
    return took, [run["round_trips"] for run in runs], *(sum(run[f"bytes_{way}"] for run in runs) for way in ("sent", "received"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--delay", type=float, default=50)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pooler", action="store_true", dest="through_pooler")
    main(**vars(parser.parse_args()))
