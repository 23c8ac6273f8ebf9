"""Measure what the README and the closing notes claim; nothing here is asserted, because machines are noisy.

What the bot notices is measured by measure_bot.py.

usage: python3 tests/measure/bench.py history [USERS]    the undo log of thirty runs: its size, and how long going back takes
       python3 tests/measure/bench.py steps [USERS]      wall time and peak memory of setup, backup and restore
       python3 tests/measure/bench.py distance [USERS]   a backup over a TLS link whose round trip takes 50 ms
       python3 tests/measure/bench.py growth [USERS]     the server's side of twenty ordinary days: bytes, WAL, dead rows, sizes
       python3 tests/measure/bench.py peers [USERS [FOLDER [ROUNDS]]]
                                                         load, again and restore beside other tools and the raw limits; also
                                                         written, as Markdown and JSON, to FOLDER (tests/measure/results)
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lib.trying import embedded_postgres, sample_bot
from tests import compare
from tests.measure import peers
from tests.stand_ins import relay, tls
from tests.stand_ins.bot import URL, Bot


def history(users: int) -> None:
    """Thirty runs of the bot's life; print undo bytes per changed row, and the time of the oldest state beside the newest."""
    with embedded_postgres.running() as server, tempfile.TemporaryDirectory() as folder:
        bot = Bot.make(Path(folder) / "bot", server.url, users)
        bot.run("setup_supabase.py").expect(0)
        kept = Path(shutil.copytree(bot.data, Path(folder) / "oldest"))
        for seed in range(30):
            sample_bot.live(bot.data, seed)
            bot.sqlite(bot.requests, f"UPDATE command_requests SET minute = minute + 1 WHERE rowid % 100 = {seed}")
            bot.backup()
        for mirror, rows, size in bot.query(
            "SELECT mirror, sum(row_count)::int, sum(pg_column_size(lines))::int FROM backup.undo_log"
            " WHERE source = 'user_requests' AND mirror <> 'misfit_rows' GROUP BY 1 ORDER BY 1"
        ):
            print(f"{mirror}: {rows:,} changed rows, {size:,} bytes, {size / rows:.1f} bytes a row")
        ((total,),) = bot.query("SELECT pg_total_relation_size('backup.undo_log')")
        print(f"undo log, with its indexes: {total:,} bytes")
        for what, flags in (("newest", ()), ("oldest", ("--at", "2"))):
            times = [seconds(bot, "restore.py", "--yes", "--to", str(Path(folder) / what / str(n)), *flags) for n in range(3)]
            print(f"restore the {what} state: {statistics.median(times):.2f} s")
        for path in kept.glob("*.db"):
            print(path.name, compare.differences(path, Path(folder) / "oldest" / "0" / path.name) or "oldest state identical")


def distance(users: int) -> None:
    """Print the round trips and the wall time of runs that have nothing, little and everything to send."""
    import trustme

    with embedded_postgres.running(tls.binaries()) as server, tempfile.TemporaryDirectory() as folder:
        tls.show(server, trustme.CA().issue_cert("127.0.0.1"))
        bot = Bot.make(Path(folder) / "bot", server.url, users)
        bot.run("setup_supabase.py").expect(0)
        port = URL.fullmatch(server.url)["port"]
        with relay.running("127.0.0.1", int(port)) as (line, listens):
            bot.write_env(SUPABASE_DB_URL=server.url.replace(f":{port}/", f":{listens}/"), SUPABASE_DB_SSLMODE="require")
            for milliseconds in (0, 50):
                line.reset(delay=relay.each_way(milliseconds / 2000))
                for what, flags in (("nothing changed", ()), ("one day", ()), ("every row", ("--full",))):
                    if what == "one day":
                        sample_bot.live(bot.data, milliseconds)
                    started = time.perf_counter()
                    trips = sum(run["round_trips"] for run in bot.backup(*flags)["runs"])
                    print(f"{milliseconds} ms, {what}: {trips} round trips, {time.perf_counter() - started:.2f} s")


def growth(users: int) -> None:
    """Twenty days of four runs, three of them without a change; print what the server writes and keeps beyond the rows."""
    with embedded_postgres.running() as server, tempfile.TemporaryDirectory() as folder:
        bot = Bot.make(Path(folder) / "bot", server.url, users)
        bot.run("setup_supabase.py").expect(0)
        size = (
            "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'backup\\_%'"
        )
        wal, sent, received, changed = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint", 0, 0, 0
        ((mirrors,),), ((start,),) = bot.query(size), bot.query(wal)
        for day in range(20):
            sample_bot.live(bot.data, day)
            for _ in range(4):
                found = bot.backup()
                sent += sum(run["bytes_sent"] for run in found["runs"])
                received += sum(run["bytes_received"] for run in found["runs"])
                changed += sum(t["inserted"] + t["updated"] + t["deleted"] for run in found["runs"] for t in run["tables"])
        ((mirrors_now,),), ((end,),) = bot.query(size), bot.query(wal)
        ((dead,),) = bot.query("SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables WHERE schemaname LIKE 'backup\\_%'")
        ((undo, total),) = bot.query("SELECT pg_total_relation_size('backup.undo_log'), pg_database_size(current_database())")
        print(f"80 runs, {changed:,} changed rows: sent {sent:,}, received {received:,}, WAL {end - start:,} bytes")
        print(f"mirrors {mirrors:,} → {mirrors_now:,} bytes, {dead:,} dead rows, undo log {undo:,}, database {total:,} bytes")


def steps(users: int) -> None:
    """Print wall time and peak memory of each step, medians of three where a step can be repeated."""
    with embedded_postgres.running() as server, tempfile.TemporaryDirectory() as folder:
        bot = Bot.make(Path(folder) / "bot", server.url, users)
        for what, script, *flags in (
            ("setup and first backup", "setup_supabase.py"),
            ("backup, nothing changed", "backup.py"),
            ("verify", "backup.py", "--verify"),
            ("restore", "restore.py", "--yes"),
            ("drill", "restore.py", "--drill"),
        ):
            times = [seconds(bot, script, *flags) for _ in range(1 if script.startswith("setup") else 3)]
            print(f"{what}: {statistics.median(times):.2f} s, peak {bot.peak_memory(script, *flags) / 1e6:.0f} MB")


def seconds(bot: Bot, script: str, *flags: str) -> float:
    started = time.perf_counter()
    bot.run(script, *flags).expect(0)
    return time.perf_counter() - started


if __name__ == "__main__":
    BENCHES = {"history": history, "steps": steps, "growth": growth, "distance": distance, "peers": peers.run}
    BENCHES[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 1200, *sys.argv[3:])
