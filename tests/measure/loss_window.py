"""Measure what live backups lose: a bot commits numbered rows, and it, the live process and the connection are killed at once.

usage: python3 tests/measure/loss_window.py [--kills 20] [--delay 50] [--megabytes 2] [--lanes 4] [--mode wal|delete]

The kill comes at any moment after the process's first batch. Then the database is restored into another folder from Postgres
alone. What is lost is the time from the first commit that is missing to the kill; a hole, or a row that was never committed,
ends it with an error. `--delay` is in milliseconds for a round trip.
"""

import argparse
import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from tests.measure.measure_bot import grow
from tests.stand_ins import relay, supabase
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.living import Living, saved
from tests.stand_ins.supabase import make_database

# The bot: a row at a time, and now and then several at once; what is committed it notes with the time.
BOT = """
import random, sqlite3, sys, time
path, noted, mean = sys.argv[1], sys.argv[2], float(sys.argv[3])
database = sqlite3.connect(path, timeout=60, isolation_level=None)
database.execute("PRAGMA synchronous = NORMAL")
number = database.execute("SELECT coalesce(max(number), 0) FROM numbered").fetchone()[0]
with open(noted, "a", buffering=1) as file:
    while True:
        time.sleep(random.expovariate(1 / mean))
        for _ in range(random.choice((1, 1, 1, 5))):
            number += 1
            database.execute("INSERT INTO numbered VALUES (?, ?)", (number, "x" * random.randrange(200)))
            file.write(f"{number} {time.monotonic()}\\n")
"""
MEANS = (0.05, 0.3, 1.0, 3.0)


def main(kills: int, delay: float, megabytes: int, lanes: int, mode: str) -> None:
    with (
        supabase.running() as server,
        tempfile.TemporaryDirectory() as folder,
        futures.ThreadPoolExecutor(lanes) as pool,
    ):
        share = [kills // lanes + (lane < kills % lanes) for lane in range(lanes)]
        running = [
            pool.submit(lambda lane, count: list(lost(server, Path(folder) / f"lane{lane}", count, delay, megabytes, mode)), *one)
            for one in enumerate(share)
        ]
        times = sorted(time for one in running for time in one.result())
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
        none = sum(time == 0 for time in times)
        print(
            f"{megabytes} MB, {mode}, {delay:g} ms: {len(times)} kills, nothing lost in {none}; "
            f"p50 {p50:.2f} s, p99 {p99:.2f} s, worst {times[-1]:.2f} s"
        )


def lost(server, folder: Path, kills: int, delay: float, megabytes: int, mode: str) -> Iterator[float]:
    """Yield for each kill how long before it the first commit was made that is lost; 0 where none is."""
    with make_database(server, folder.name) as url:
        bot = Bot.make(folder, url, users=1200)
        grow(bot.requests, megabytes)
        bot.sqlite(bot.requests, f"PRAGMA journal_mode = {mode}; CREATE TABLE numbered (number INTEGER PRIMARY KEY, what TEXT)")
        bot.run("setup_supabase.py").expect(0)
        straight, port = Bot(bot.folder, url), URL.fullmatch(url)["port"]
        with relay.running("127.0.0.1", int(port)) as (standing, listens):
            for _ in range(kills):
                standing.reset(delay=relay.each_way(delay / 2000))
                bot.write_env(SUPABASE_DB_URL=url.replace(f":{port}/", f":{listens}/"))
                killed = killed_at(bot, standing, folder / "noted")
                straight.write_env()
                yield missing(straight, folder, killed)


def killed_at(bot: Bot, standing, noted: Path) -> float:
    """Let the bot commit beside a live process, kill all at a random moment, and return that."""
    command = [sys.executable, "-c", BOT, str(bot.requests), str(noted), str(random.choice(MEANS))]
    before, writing = len(saved(bot)), subprocess.Popen(command)
    live = Living(bot, interval="2s")
    try:
        live.until(lambda: len(saved(bot)) > before + len(bot.databases), 300)  # its first run of each, and a batch
        time.sleep(random.uniform(1, 8))
    finally:
        killed = time.monotonic()
        for process in random.sample([writing, live.process], 2):
            process.send_signal(signal.SIGKILL)
        standing.cut()
        writing.wait()
        live.process.wait()
    return killed


def missing(bot: Bot, folder: Path, killed: float) -> float:
    out = folder / "restored"
    shutil.rmtree(out, ignore_errors=True)
    bot.run("restore.py", "--yes", "--to", str(out), "--database", bot.requests.stem).expect(0)
    with contextlib.closing(sqlite3.connect(out / bot.requests.name)) as database:
        numbers = [number for (number,) in database.execute("SELECT number FROM numbered ORDER BY number")]
    committed = dict(map(str.split, (folder / "noted").read_text().splitlines()))
    newest = max(map(int, committed), default=0)
    # The very last commit may have been made and not noted.
    assert numbers == list(range(1, len(numbers) + 1)), "a hole"
    assert len(numbers) <= newest + 1, "a row that nobody has committed"
    first = next(
        (float(committed[str(number)]) for number in range(len(numbers) + 1, newest + 1) if str(number) in committed), killed
    )
    return max(killed - first, 0.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--delay", type=float, default=50)
    parser.add_argument("--megabytes", type=int, default=2)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--mode", default="wal")
    main(**vars(parser.parse_args()))
