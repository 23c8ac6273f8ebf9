"""Simulate a day of live backups fifty times as fast, and show what grows.

usage: python3 tests/measure/live_day.py [MINUTES]     29 unless told otherwise: a day; a line every tenth of them

The bot commits at random, more by day than by night, and cron's runs come in between, four times a day.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from tests.stand_ins import supabase
from tests.stand_ins.bot import Bot
from tests.stand_ins.living import Living, living, pay
from tests.stand_ins.supabase import make_database

KEPT = """SELECT pg_total_relation_size('backup.undo_log'), pg_total_relation_size('backup.runs')
    + pg_total_relation_size('backup.run_tables'), (SELECT count(*) FROM backup.runs WHERE outcome = 'saved'),
    (SELECT count(*) FROM backup.runs WHERE outcome = 'failed'),
    (SELECT count(*) FROM pg_stat_activity WHERE application_name ~ 'hybrid')"""
TITLES = ("minutes", "commits", "memory kB", "descriptors", "undo log", "run log", "runs", "failed", "connections")


def resident_kilobytes(number: int) -> int:
    status = Path(f"/proc/{number}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def measured(bot: Bot, live: Living) -> list[int]:
    number = live.process.pid
    return [resident_kilobytes(number), len([*Path(f"/proc/{number}/fd").iterdir()]), *bot.query(KEPT)[0]]


def main(minutes: float) -> None:
    with (
        supabase.running() as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        with make_database(server, "day") as url:
            bot = Bot.make(Path(folder) / "bot", url, users=1200)
            bot.run("setup_supabase.py").expect(0)
            with living(bot, interval="2s") as live:
                print("\t".join(TITLES), flush=True)
                a_day(bot, live, minutes * 60)
                assert live.process.poll() is None, live.said
            bot.assert_restorable()
            assert bot.changes("--full") == {}
        print("restored: identical; a full run finds nothing to change")


def a_day(bot: Bot, live: Living, seconds: float) -> None:
    chance, commits = random.Random(1), 0
    began, told, cron = time.monotonic(), 1, 1
    while (passed := (time.monotonic() - began) / seconds) < 1:
        time.sleep(chance.expovariate(2.5 if 0.3 < passed < 0.9 else 0.5))
        pay(bot, f"payment {commits}")
        commits += 1
        if passed * 4 >= cron:
            cron += 1
            bot.run("backup.py")
        if passed * 10 >= told:
            told += 1
            print("\t".join(map(str, [round((time.monotonic() - began) / 60, 1), commits, *measured(bot, live)])), flush=True)
    live.until_it_has(f"payment {commits - 1}")


if __name__ == "__main__":
    main(float((sys.argv[1:] or ["29"])[0]))
