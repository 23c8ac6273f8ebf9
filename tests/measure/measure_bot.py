"""Measure what a bot notices: its commits and reads on one core, alone and beside all that reads its file, as a table.

usage: python3 tests/measure/measure_bot.py [--sizes 2,25,160] [--modes delete,wal] [--timeouts 5,0] [--beside WORD,…]
                                            [--seconds 6] [--core 1]

Bot and scripts share one core, as `taskset` would have it; the server has the others, and its files are in memory where there is
/dev/shm: Supabase's disk is not the bot's. "cold": the file is not in the page cache
when a script begins, and is read at 25 MB/s where this user may say so (cgroups). `--beside` takes those whose name has one of
the words. Nothing is asserted here, because machines are noisy.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lib.trying import embedded_postgres
from tests.stand_ins.bot import Bot, environment

OPERATIONS_PER_SECOND = 100
COLD_BYTES_PER_SECOND = 25_000_000
WARM, COLD = "warm", "cold"
GROWN = "INSERT INTO message_owners SELECT message_id + {} * 1000000000, chat_id, user_id, timestamp FROM grown"
HEAD = (
    "| file | mode | cache | beside it | timeout | runs | commit p50 | p99 | longest ms | read p50 | p99 | longest ms | refused "
    "| processor s a run | disk MB |"
)
MOST_SECONDS = 60
SPIN = "while True: pass"


@dataclass
class Found:
    """What the bot has noted, and what the scripts beside it took: seconds, bytes."""

    commits: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    refused: int = 0
    processor: list[float] = field(default_factory=list)
    disk: int = 0

    def as_cells(self) -> list[str]:
        processor = f"{sum(self.processor) / len(self.processor):.2f}" if self.processor else ""
        disk = f"{self.disk / 1e6:.0f}" if self.disk else ""
        return [*_in_milliseconds(self.commits), *_in_milliseconds(self.reads), str(self.refused), processor, disk]


def _in_milliseconds(times: list[float]) -> list[str]:
    ordered = sorted(times) or [float("nan")]
    return [f"{1000 * ordered[place]:.0f}" for place in (len(ordered) // 2, int(len(ordered) * 0.99), -1)]


def live(path: str, timeout: str) -> None:
    """Be the bot: read or commit at random, each with a connection of its own, until stdin ends; print what was noted."""
    chance, noted = random.Random(1), Found()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print("ready", flush=True)
    while not over.wait(chance.expovariate(OPERATIONS_PER_SECOND)):
        started, is_commit = time.perf_counter(), chance.random() < 0.5
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=float(timeout))) as database, database:
                key = chance.randrange(500)
                if is_commit:
                    database.execute("INSERT OR REPLACE INTO user_requests VALUES (?, -1, 'gift', ?)", (key, key))
                else:
                    database.execute("SELECT * FROM message_owners ORDER BY rowid LIMIT 20 OFFSET ?", [key]).fetchall()
        except sqlite3.OperationalError:
            noted.refused += 1
        (noted.commits if is_commit else noted.reads).append(time.perf_counter() - started)
    print(json.dumps(vars(noted)))


def grow(path: Path, megabytes: int) -> None:
    """Add messages until the file has its size, and leave it compact and written to the disk."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("CREATE TEMP TABLE grown AS SELECT * FROM message_owners")
        for number in itertools.count(1):
            if path.stat().st_size >= megabytes * 1_000_000:
                break
            database.execute(GROWN.format(number))
    _forget(path)


def _forget(path: Path) -> None:
    """Take a file out of the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def slow_disk(folder: Path, bytes_per_second: int) -> Iterator[bool]:
    """Read slowly, here and in all that is started here; say whether this machine lets us (cgroup v2's io.max, or v1's blkio)."""
    major, minor = os.major(folder.stat().st_dev), os.minor(folder.stat().st_dev)
    block = Path(f"/sys/dev/block/{major}:{minor}").resolve()
    disk = ((block.parent if (block / "partition").exists() else block) / "dev").read_text().strip() if block.exists() else ""
    for root, file, limit in (
        ("/sys/fs/cgroup/blkio", "blkio.throttle.read_bps_device", f"{disk} {bytes_per_second}"),
        ("/sys/fs/cgroup", "io.max", f"{disk} rbps={bytes_per_second}"),
    ):
        group = Path(root) / "hybrid-backup-measure"
        try:
            group.mkdir(exist_ok=True)
            (group / file).write_text(limit)
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            continue
        try:
            yield True
        finally:
            (Path(root) / "cgroup.procs").write_text(str(os.getpid()))
            with contextlib.suppress(OSError):
                group.rmdir()
        return
    yield False


@dataclass
class Measured:
    """One bot, its file, and what runs beside it."""

    bot: Bot
    path: Path
    work: Path
    number: int = 0

    def scenarios(self) -> dict[str, list[list[str]]]:
        """Return the commands of each run beside the bot, one after the other."""
        backup, restore = (lambda *flags: self.bot.command("backup.py", *flags)), self.bot.command("restore.py", "--yes", "--to")
        copy = str(self.work / "copied.db")
        return {
            "nothing": [],
            "back-to-back runs": [backup()],
            "--full": [backup("--full")],
            "--verify": [backup("--verify")],
            "restore --to": [[*restore, str(self.work / "restored")]],
            "drill": [self.bot.command("restore.py", "--drill")],
            "nice -n 19, busy core": [["nice", "-n", "19", *backup()]],
            "sqlite3 .backup": [["sqlite3", str(self.path), ".timeout 5000", f".backup {copy}"]],
            "VACUUM INTO": [["sqlite3", str(self.path), ".timeout 5000", f"VACUUM INTO '{copy}'"]],
            "first load": [self.bot.command("setup_supabase.py")],
        }

    def beside(self, name: str, command: list[str], cache: str, timeout: str, seconds: float) -> tuple[int, Found]:
        """Run a command over and over beside the bot; return how often, and what was found."""
        life = [sys.executable, __file__, "live", str(self.path), timeout]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment()}
        with subprocess.Popen(life, **pipes) as bot, self._busy("busy" in name), _disk_used(self.bot.folder, self.work) as used:
            bot.stdout.readline()
            until, processor = time.monotonic() + seconds, []
            while time.monotonic() < until or (command and not processor):
                processor += [self._run(name, command, cache)] if command else []
                time.sleep(0 if command else 0.1)
            found = Found(**json.loads(bot.communicate()[0]))
        found.processor, found.disk = processor, used()
        return len(processor), found

    def _run(self, name: str, command: list[str], cache: str) -> float:
        """Run a command; return the processor's seconds."""
        if name == "first load":
            self.number += 1
            self.bot.write_env(**env(self.bot), BACKUP_SCHEMA=f"backup_{self.number}")
        shutil.rmtree(self.work / "restored", ignore_errors=True)
        (self.work / "copied.db").unlink(missing_ok=True)
        if cache == COLD:
            _forget(self.path)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment()}
        with subprocess.Popen(command, **quiet) as running:
            enough = threading.Timer(MOST_SECONDS, running.kill)
            enough.start()
            _, status, usage = os.wait4(running.pid, 0)
            running.returncode = os.waitstatus_to_exitcode(status)
            enough.cancel()
        if running.returncode not in (0, 1 if "verify" in name else 0):
            print(f"the next line: {name} ended with {running.returncode} (-9: not in {MOST_SECONDS} s)", file=sys.stderr)
        return usage.ru_utime + usage.ru_stime

    @contextlib.contextmanager
    def _busy(self, is_wanted: bool) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if is_wanted:
                spinning = stack.enter_context(subprocess.Popen([sys.executable, "-c", SPIN]))
                stack.callback(spinning.kill)
            yield


@contextlib.contextmanager
def _disk_used(*folders: Path) -> Iterator:
    """Yield what says how much more was in the folders at any moment than there was in the beginning, in bytes."""
    before, over, seen = _size(folders), threading.Event(), [0]

    def look() -> None:
        while not over.wait(0.05):
            seen.append(_size(folders) - before)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield lambda: max(seen)
    finally:
        over.set()
        looking.join()


def _size(folders: tuple[Path, ...]) -> int:
    total = 0
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                with contextlib.suppress(OSError):
                    total += 512 * os.lstat(os.path.join(folder, name)).st_blocks
    return total


def measure(options: argparse.Namespace, server: embedded_postgres.Server, megabytes: int, folder: Path) -> None:
    bot = Bot.make(folder / "bot", server.url, 1200)
    work = folder / "work"
    work.mkdir()
    grow(bot.requests, megabytes)
    bot.write_env(**env(bot))
    bot.run("setup_supabase.py").expect(0)
    measured = Measured(bot, bot.requests, work)
    for mode in options.modes.split(","):
        bot.sqlite(bot.requests, f"PRAGMA journal_mode = {mode}")
        for cache, (name, commands), timeout in itertools.product(
            (WARM, COLD), measured.scenarios().items(), options.timeouts.split(",")
        ):
            if not any(word in name for word in options.beside.split(",")) or (name == "nothing" and cache == COLD):
                continue
            with slow_disk(folder, COLD_BYTES_PER_SECOND) if cache == COLD else contextlib.nullcontext(True) as is_slow:
                runs, found = measured.beside(name, commands[0] if commands else [], cache, timeout, options.seconds)
            about = [f"{megabytes} MB", mode, cache if is_slow else "cold, not throttled", name, f"{timeout} s", str(runs)]
            print(f"| {' | '.join([*about, *found.as_cells()])} |", flush=True)
        bot.write_env(**env(bot))


def env(bot: Bot) -> dict[str, str]:
    """Return the settings: one database, and no limit for what many first loads leave behind."""
    return {"SQLITE_DATABASES": str(bot.requests), "BACKUP_MAX_DATABASE_MB": "0"}


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Make temporary folders off the bot's disk, where this machine can."""
    tempfile.tempdir = "/dev/shm" if Path("/dev/shm").is_dir() else None
    try:
        yield
    finally:
        tempfile.tempdir = None


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    for name, default in (("sizes", "2,25,160"), ("modes", "delete,wal"), ("timeouts", "5,0"), ("beside", "")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    options = parser.parse_args()
    print(HEAD, "|" + "---|" * (HEAD.count("|") - 1), sep="\n", flush=True)
    for megabytes in map(int, options.sizes.split(",")):
        with contextlib.ExitStack() as stack:
            with elsewhere():
                server = stack.enter_context(embedded_postgres.running())
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            everywhere = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {options.core})
            try:
                measure(options, server, megabytes, Path(folder))
            finally:
                os.sched_setaffinity(0, everywhere)


if __name__ == "__main__":
    live(*sys.argv[2:]) if sys.argv[1:2] == ["live"] else main()
