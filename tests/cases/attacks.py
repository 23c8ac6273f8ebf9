"""Attack every promise at many moments, and look whether anything is lost: the full campaign; the tests run small samples of it.

usage: python3 tests/cases/attacks.py [MOMENTS] [ATTACK …]     prints a line per attack: how often, and what was lost

Attacks: backup.py restore.py setup_supabase.py test_backup.py (killed by SIGKILL, SIGTERM and SIGINT in turn), up and down (the
connection is cut at byte offsets each way), restart (Postgres is restarted at once in the middle).
"""

import contextlib
import functools
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lib.trying import embedded_postgres, sample_bot
from tests import compare
from tests.stand_ins import relay, supabase
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.supabase import crash, make_database

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SCRIPTS = {"backup.py": [], "restore.py": ["--yes"], "setup_supabase.py": [], "test_backup.py": []}
NOT_WAITING = {"HYBRID_BACKUP_RETRY_SECONDS": "0"}
PROMISED_SECONDS = 2
SCRATCH = """SELECT nspname, obj_description(oid, 'pg_namespace') LIKE '%; scratch schema of test\\_backup.py since %'
    FROM pg_namespace WHERE nspname LIKE 'backup\\_test%'"""


class Attacked:
    """A bot under attack, and what was counted."""

    def __init__(self, bot: Bot):
        self.bot, self.counts, self.slowest = bot, Counter(), 0.0
        self.seed = 0

    def prepare(self) -> dict[str, Path]:
        """Let the bot live, and return copies of what is saved at present."""
        self.seed += 1
        saved = self.bot.keep_copies()
        sample_bot.live(self.bot.data, self.seed)
        return saved

    def length_of(self, script: str) -> float:
        self.prepare()
        started = time.monotonic()
        self.bot.run(script, *SCRIPTS[script]).expect(0)
        self.bot.backup()
        return time.monotonic() - started

    def kill(self, script: str, number: signal.Signals, moment: float) -> None:
        """Start a script and kill it after so many seconds; a signal must be heard in time, and be answered in one line."""
        running = self.bot.start(script, *SCRIPTS[script])
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(moment)
        if running.poll() is not None:
            self.counts["ended before"] += 1
            running.communicate()
            return
        started = time.monotonic()
        running.send_signal(number)
        stdout, stderr = running.communicate(timeout=60)
        took = time.monotonic() - started
        self.slowest = max(self.slowest, took)
        if took > PROMISED_SECONDS:
            self.counts["later than promised"] += 1
            print(f"{script} ended {took:.1f} s after {number.name} at {moment:.2f} s: {stderr}", flush=True)
        self.counts[f"hit by {number.name}"] += 1
        if number != signal.SIGKILL and running.returncode not in (0, 128 + number, -number):
            self.lost(f"{script} ended with {running.returncode} after {number.name}: {stderr}")
        if running.returncode == 128 + number and not stderr.endswith("what was not finished was rolled back.\n"):
            self.lost(f"{script} said after {number.name}: {stdout} {stderr}")

    def lost(self, what: str) -> None:
        self.counts["LOST"] += 1
        print(f"LOST: {what}", flush=True)

    def judge_backup(self, saved: dict[str, Path]) -> None:
        """Each source in the target is as before or as after; the bot's files are as they were."""
        out = self.bot.folder / "judged"
        self.bot.run("restore.py", "--yes", "--to", str(out)).expect(0)
        for path in self.bot.databases:
            if compare.differences(saved[path.stem], out / path.name) and compare.differences(path, out / path.name):
                self.lost(f"{path.stem} in the target is neither as before nor as after")

    def judge_restore(self, saved: dict[str, Path], present: dict[str, Path]) -> None:
        for place in (self.bot.premium, self.bot.requests):
            if not place.exists():
                self.lost(f"{place} is gone")
            elif compare.differences(saved[place.stem], place) and compare.differences(present[place.stem], place):
                self.lost(f"{place} is neither the old nor the new one")

    def next_run(self, script: str) -> None:
        """The next run succeeds and leaves nothing that the dead one left."""
        self.bot.run(script, *SCRIPTS[script]).expect(0)
        self.bot.backup()
        self.judge_leftovers(script)
        if script in ("backup.py", "setup_supabase.py"):
            self.bot.assert_restorable()

    def judge_leftovers(self, script: str) -> None:
        files = [*self.bot.data.glob("*.restoring*"), *(self.bot.folder / "snapshots").glob("*.taking*")]
        locks = self.bot.query("SELECT * FROM pg_locks WHERE locktype = 'advisory'")
        dead = self.bot.query("SELECT run FROM backup.runs WHERE outcome = 'running'")
        scratch = self.bot.query(SCRATCH)
        if files or locks or dead:
            self.lost(f"{script} leaves {files} {locks} {dead}")
        for name, is_noted in scratch:
            if not is_noted:  # a trial will remove it, an hour from now
                self.lost(f"{script} leaves {name}")
            self.bot.query(f"DROP SCHEMA {name} CASCADE")


def kill_at_moments(bot: Bot, script: str, moments: int) -> Attacked:
    attacked = Attacked(bot)
    length = attacked.length_of(script)
    for number in range(moments):
        saved = attacked.prepare()
        present = {path.stem: Path(shutil.copy(path, bot.folder / f"present-{path.name}")) for path in bot.databases}
        attacked.kill(script, SIGNALS[number % 3], length * (number + 0.5) / moments)
        if script == "restore.py":
            attacked.judge_restore(saved, present)
        else:
            attacked.judge_backup(saved)
        attacked.next_run(script)
    return attacked


def cut_at_offsets(bot: Bot, way: str, moments: int) -> Attacked:
    """Cut the connection of a backup at so many byte offsets, spread over an ordinary run."""
    target = URL.fullmatch(bot.url)
    attacked = Attacked(bot)
    with relay.running("127.0.0.1", int(target["port"])) as (line, port):
        bot.write_env(SUPABASE_DB_URL=bot.url.replace(f":{target['port']}/", f":{port}/"))
        bot.backup()  # through the relay it is another target: the first run sends every row
        attacked.prepare()
        line.reset()
        bot.backup()
        length = line.carried[way]
        for number in range(moments):
            saved = attacked.prepare()
            line.reset(cut_after={way: int(length * (number + 0.5) / moments)})
            bot.environment = NOT_WAITING
            status = bot.run("backup.py").status
            attacked.counts[f"exit {status}"] += 1
            bot.environment = {}
            line.reset()
            attacked.judge_backup(saved)
            attacked.next_run("backup.py")
    bot.write_env()
    return attacked


def restart_at_moments(bot: Bot, server: embedded_postgres.Server, moments: int) -> Attacked:
    """Restart Postgres with `-m immediate` in the middle of a backup, which waits and tries again."""
    attacked = Attacked(bot)
    length = attacked.length_of("backup.py")
    for number in range(moments):
        saved = attacked.prepare()
        running = bot.start("backup.py")
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(length * (number + 0.5) / moments)
        crash(server)
        _, stderr = running.communicate(timeout=120)
        attacked.counts[f"exit {running.returncode}"] += 1
        if running.returncode and "nothing listens at that address" not in stderr:  # it had not yet been connected
            attacked.lost(stderr)
        attacked.judge_backup(saved)
        attacked.next_run("backup.py")
    return attacked


def main(moments: int, chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, supabase.running() as server, make_database(server, "attacked") as url:
        bot = Bot.make(Path(folder) / "bot", url, users=120)
        bot.run("setup_supabase.py").expect(0)
        attacks = {script: functools.partial(kill_at_moments, bot, script) for script in SCRIPTS}
        attacks |= {way: functools.partial(cut_at_offsets, bot, way) for way in relay.WAYS}
        attacks["restart"] = functools.partial(restart_at_moments, bot, server)
        for attack in chosen or attacks:
            found = attacks[attack](moments)
            counts = ", ".join(f"{what} {count}" for what, count in sorted(found.counts.items()))
            print(f"{attack}: {moments} moments, {counts}; slowest end {found.slowest:.1f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, sys.argv[2:])
