"""A live process beside a bot, for as long as a test needs it."""

import contextlib
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.stand_ins.bot import Bot, environment

SECONDS = 60
PAYMENT = "INSERT INTO payment_history (owner_id, payment_id, stars_amount, status, created_at) VALUES (1, ?, 5, 'paid', 1)"
ARRIVED = "SELECT count(*) FROM backup_premium_system.payment_history WHERE payment_id = %s"
SAVED = "SELECT run, source FROM backup.runs WHERE outcome = 'saved' ORDER BY run"


class Living:
    """`backup.py --live` with some flags; what it says is in files, so that it never waits for a reader."""

    def __init__(self, bot: Bot, *flags: str, interval: str = "1s"):
        self.bot = bot
        self.stdout, self.stderr = (Path(bot.folder, f"live.{name}") for name in ("stdout", "stderr"))
        with open(self.stdout, "w") as out, open(self.stderr, "w") as err:
            self.process = subprocess.Popen(
                bot.command("backup.py", "--live", interval, *flags),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment() | bot.environment,
                cwd=bot.folder,
            )

    @property
    def said(self) -> str:
        return self.stdout.read_text() + self.stderr.read_text()

    def until(self, condition: Callable[[], object], seconds: float = SECONDS) -> None:
        """Wait until something is so; fail where the process ends, or it takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def until_it_has(self, payment: str) -> None:
        self.until(lambda: has(self.bot, payment))

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal, and wait until the process has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=30)


def pay(bot: Bot, payment: str) -> None:
    """Let the bot commit a payment."""
    with contextlib.closing(sqlite3.connect(bot.premium, isolation_level=None)) as database:
        database.execute(PAYMENT, [payment])


def has(bot: Bot, payment: str) -> bool:
    """Whether a payment has arrived in its mirror."""
    return bool(bot.query(ARRIVED, [payment])[0][0])


def saved(bot: Bot) -> list[tuple[int, str]]:
    """Return the saved runs and their sources, oldest first."""
    return bot.query(SAVED)


@contextlib.contextmanager
def living(bot: Bot, *flags: str, interval: str = "1s", seconds: float = SECONDS) -> Iterator[Living]:
    """Start a live process, and yield it when it has made its first, ordinary runs."""
    before = len(saved(bot))
    live = Living(bot, *flags, interval=interval)
    try:
        live.until(lambda: len(saved(bot)) >= before + len(bot.databases), seconds)
        yield live
    finally:
        live.end(signal.SIGKILL)
