"""Measure every step at growing sizes: seconds and peak memory, and what the first load writes on the server.

usage: python3 tests/measure/sizes.py [--users 60000,925000,9200000,21500000] [--into FOLDER] [--keep FOLDER]

That is 0.4, 2.5, 13 and 25 million rows. The table is also written, as Markdown and JSON, to FOLDER (tests/measure/results).
Each step is measured once; a live batch three times, from a commit until it is in Postgres. `--keep` is where the databases are
made, or lie from another time.
"""

import argparse
import contextlib
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lib.trying import embedded_postgres, sample_bot
from tests.measure import peer_tools, peers, result_table
from tests.measure.peers import measure
from tests.stand_ins.bot import Bot
from tests.stand_ins.living import Living, has, living, pay

CHECKED = {"BACKUP_CHECK": "full"}
QUICKLY = {"BACKUP_CHECK": "quick"}
WRITTEN = """SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, pg_database_size(current_database()),
    (SELECT sum(size) FROM pg_ls_waldir())::bigint"""
LOGGED = {"log_min_duration_statement": "10"}
BATCHES = 3
PATIENCE = 900.0
WHAT = (
    "Seconds; of the load the server's longest statement, the megabytes of WAL that it writes and those that are there afterwards"
    ", and what is stored; the peak memory of the largest process."
)


def main(users: str, into: Path, keep: Path | None) -> None:
    found: result_table.Found = {}
    rows: dict[str, dict] = {}
    with embedded_postgres.running(settings=LOGGED) as server, tempfile.TemporaryDirectory() as folder:
        about = result_table.about(peers.version(server))
        for number in map(int, users.split(",")):
            data = (keep or Path(folder)) / str(number)
            if not data.exists():
                sample_bot.make(data / "before", number)
            size = peers.size(data / "before")
            name = f"{size['rows']:,} rows, {size['bytes'] / 1e6:,.0f} MB"
            found[name], written = measured(server, data, name)
            rows[name] = result_table.medians(found[name]) | written
    print("\n" + result_table.write(into / "sizes.md", WHAT, about, rows, found))


def measured(server, data: Path, name: str) -> tuple[result_table.Rounds, dict[str, float]]:
    """Return what each step took, and what the first load wrote on the server."""
    found: result_table.Rounds = {}
    with tempfile.TemporaryDirectory(dir=data.parent) as work:
        bot = peers.our_bot(server, data, Path(work))
        before, log = peers.query(bot.url, WRITTEN)[0], (server.folder / "log").stat().st_size
        for step, figures in steps(bot, Path(work)):
            print(f"{name}, {step}: {figures[0]:.2f} s, {figures[1]:.0f} MB", flush=True)
            found.setdefault(step, []).append(figures)
            if step == "load":
                after, said = peers.query(bot.url, WRITTEN)[0], (server.folder / "log").read_bytes()[log:]
        peers.query(server.url, f"DROP DATABASE {bot.url.rpartition('/')[2]}")
    return found, {
        "longest statement": max(map(float, re.findall(rb"duration: ([\d.]+) ms", said)), default=0.0) / 1000,
        "WAL MB": (after[0] - before[0]) / 1e6,
        "of it kept": after[2] / 1e6,
        "stored MB": (after[1] - before[1]) / 1e6,
    }


def steps(bot: Bot, work: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield what each step took, in seconds, and its peak memory, in megabytes."""
    yield "one SELECT", measure(peers.tool_command(sys.executable, "read", "load", bot.data, work))
    yield "load", measure(bot.command("backup.py"))
    yield "identical", measure(bot.command("backup.py"))
    for what, check in (("one row", CHECKED), ("one row, quick", QUICKLY)):
        peers.touch(bot)
        yield what, measure(bot.command("backup.py"), **check)
    for what, check, by in (("2.5 %", CHECKED, 1), ("2.5 %, quick", QUICKLY, 2)):
        peers.change(bot.data, by * peers.MOVED)
        yield what, measure(bot.command("backup.py"), **check)
    peers.checkpoint(bot.url)
    yield "drill", measure(bot.command("restore.py", "--drill"))
    yield "restore", measure(bot.command("restore.py", "--yes", "--to", str(work / "out")))
    for path in bot.databases:
        compare_rows(path, work / "out" / path.name)
    with living(bot, interval="1s", seconds=PATIENCE) as live:
        for number in range(BATCHES):
            yield "live", (batch(bot, live, str(number)), peak(live))


def compare_rows(path: Path, restored: Path) -> None:
    """Raise Failed where a restored table has not the same values under the same rowids."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("ATTACH ? AS restored", [str(restored)])
        for table, columns in peer_tools.tables(path).items():
            here, there = (", ".join(f"{side}.{name}" for name, _, _ in columns) for side in ("here", "there"))
            same = f"main.{table} AS here JOIN restored.{table} AS there ON here.rowid = there.rowid WHERE ({here}) IS ({there})"
            counted = [f"(SELECT count(*) FROM {rows})" for rows in (f"main.{table}", f"restored.{table}", same)]
            if len(set(database.execute(f"SELECT {', '.join(counted)}").fetchone())) > 1:
                raise peers.Failed(f"{table} differs from what was restored")


def batch(bot: Bot, live: Living, payment: str) -> float:
    """Return the seconds from a commit until it is in its mirror."""
    pay(bot, payment)
    began = time.monotonic()
    live.until(lambda: has(bot, payment), PATIENCE)
    return time.monotonic() - began


def peak(live: Living) -> float:
    """Return the most memory that a live process has had, in megabytes. Source: proc(5), VmHWM of status, in kB."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{live.process.pid}/status").read_text())[1]) * 1024 / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--users", default="60000,925000,9200000,21500000")
    parser.add_argument("--into", type=Path, default=peers.RESULTS)
    parser.add_argument("--keep", type=Path)
    main(**vars(parser.parse_args()))
