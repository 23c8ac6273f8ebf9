"""Measure what live backups cost: processor time, bytes, and what the bot's commits notice.

usage: python3 tests/measure/live_cost.py [--megabytes 25] [--mode wal] [--pause 1] [--seconds 120] [--delay 50] [--edits 0]

The bot commits one row after each pause, in seconds; 0 is a bot that sleeps. `--delay` is in milliseconds for a round trip. With
`--edits` a person edits a row in Supabase after so many seconds each time, which comes back to the bot.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from tests.measure.measure_bot import grow
from tests.stand_ins import relay, supabase
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.living import living
from tests.stand_ins.supabase import make_database

# The bot: its commits' times in seconds as JSON, when its time is over.
BOT = """
import json, sqlite3, sys, time
path, pause, end = sys.argv[1], float(sys.argv[2]), time.monotonic() + float(sys.argv[3])
database, times, number = sqlite3.connect(path, timeout=30, isolation_level=None), [], time.time_ns()
while pause and time.monotonic() < end:
    time.sleep(pause)
    number, began = number + 1, time.perf_counter()
    database.execute("INSERT INTO user_requests VALUES (?, 0, 'gift', 1)", [number])
    times.append(time.perf_counter() - began)
time.sleep(max(0, end - time.monotonic()))
print(json.dumps(times))
"""
KEPT = """SELECT pg_total_relation_size('backup.undo_log') + pg_total_relation_size('backup.runs')
    + pg_total_relation_size('backup.run_tables')"""
DAY = 86400
EDITED = "backup_user_requests.message_owners"


def processor_seconds(number: int) -> float:
    """Return the processor time that a process has used. Source: proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def commits(bot: Bot, pause: float, seconds: float) -> list[float]:
    command = [sys.executable, "-c", BOT, str(bot.requests), str(pause), str(seconds)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def told(times: list[float]) -> str:
    if not times:
        return "none"
    ordered = [1000 * one for one in sorted(times)]
    return f"p50 {ordered[len(ordered) // 2]:.1f}, p99 {ordered[int(len(ordered) * 0.99)]:.1f}, longest {ordered[-1]:.1f} ms"


@contextlib.contextmanager
def edited(bot: Bot, url: str, pause: float) -> Iterator[list[float]]:
    """Let a person edit a row after each pause, beside it; yield how long each edit took to be in the bot's file, in seconds."""
    took, over = list[float](), threading.Event()

    def edit() -> None:
        person, number = Bot(bot.folder, url), 0
        while not over.wait(pause):
            number, began = number + 1, time.monotonic()
            person.query(f"UPDATE {EDITED} SET timestamp = {number} WHERE message_id = (SELECT min(message_id) FROM {EDITED})")
            while not over.is_set() and not bot.sqlite_rows(
                bot.requests, f"SELECT 1 FROM message_owners WHERE timestamp = {number}"
            ):
                time.sleep(0.05)
            took.append(time.monotonic() - began)

    person = threading.Thread(target=edit)
    if pause:
        person.start()
    yield took
    over.set()
    if pause:
        person.join()


def main(megabytes: int, mode: str, pause: float, seconds: float, delay: float, edits: float) -> None:
    with (
        supabase.running() as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        with make_database(server, "cost") as url:
            bot = Bot.make(Path(folder) / "bot", url, users=1200)
            grow(bot.requests, megabytes)
            bot.sqlite(bot.requests, f"PRAGMA journal_mode = {mode}")
            bot.run("setup_supabase.py").expect(0)
            alone = commits(bot, pause, seconds)
            port = URL.fullmatch(url)["port"]
            with relay.running("127.0.0.1", int(port)) as (standing, listens):
                bot.write_env(
                    SUPABASE_DB_URL=url.replace(f":{port}/", f":{listens}/"),
                    BACKUP_ACCEPT_EDITS="message_owners.timestamp" if edits else None,
                )
                standing.delay = relay.each_way(delay / 2000)
                with living(bot, interval="2s") as live:
                    time.sleep(5)
                    ((kept,),), carried = bot.query(KEPT), dict(standing.carried)
                    used, began = processor_seconds(live.process.pid), time.monotonic()
                    with edited(bot, url, edits) as took:
                        beside = commits(bot, pause, seconds)
                    time.sleep(3)
                    passed, used = time.monotonic() - began, processor_seconds(live.process.pid) - used
                    ((more,),) = bot.query(KEPT)
                    a_day = {way: (standing.carried[way] - carried[way]) * DAY / passed / 1e6 for way in carried}
        print(
            f"{megabytes} MB, {mode}, a commit each {pause:g} s, {delay:g} ms: {used * 3600 / passed:.1f} s of processor an hour "
            f"({used / passed:.1%} of a core); a day {a_day['up']:.1f} MB up, {a_day['down']:.1f} MB down, "
            f"{(more - kept) * DAY / passed / 1e6:.1f} MB kept before thinning\n"
            f"   the bot's commits alone: {told(alone)}; beside it: {told(beside)}"
        )
        if took:
            median, longest = sorted(took)[len(took) // 2], max(took)
            print(f"   {len(took)} edits were in the bot's file after {median:.1f} s, longest {longest:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=25)
    parser.add_argument("--mode", default="wal")
    parser.add_argument("--pause", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--delay", type=float, default=50)
    parser.add_argument("--edits", type=float, default=0)
    main(**vars(parser.parse_args()))
