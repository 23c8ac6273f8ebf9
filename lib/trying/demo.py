"""Tell the whole story in a minute: a sample bot, a backup, a day of changes, a disaster, a restore, a proof."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from lib.base import leftovers, script
from lib.base.errors import Problem
from lib.settings import channels
from lib.start import REPOSITORY
from lib.trying import embedded_postgres, sample_bot


def tell(console: script.Console) -> int:
    """Run the story with the real scripts on an embedded Postgres; nothing of it remains."""
    started = time.monotonic()
    with leftovers.temporary("hybrid-backup", "demo") as folder, embedded_postgres.running() as server:
        env_file = write_env(folder, server.url)
        console.say(f"A sample bot with {sample_bot.REAL_USERS:,} users, and PostgreSQL on this machine in Supabase's place.\n")
        databases = sample_bot.make(folder / "sqlite_data")
        _run(console, env_file, "setup_supabase.py")
        console.say("Six hours pass: the bot sells, refunds, forgets old messages.\n")
        sample_bot.live(folder / "sqlite_data", seed=2)
        _run(console, env_file, "backup.py", "--verbose")
        before = [_content_hash(path) for path in databases]
        console.say("Disaster: both databases are gone.\n")
        for path in databases:
            path.unlink()
        _run(console, env_file, "restore.py", "--yes")
        _prove(before, [_content_hash(path) for path in databases])
    console.say(f"🎉 Both databases are back, identical to the last row. ({time.monotonic() - started:.0f} s)")
    console.result({"outcome": "saved", "seconds": round(time.monotonic() - started, 3)})
    return script.SAVED


def write_env(folder: Path, url: str) -> Path:
    """Write the .env of a try-out, readable by its owner alone."""
    path = folder / ".env"
    path.touch(mode=0o600)
    path.write_text(f"SUPABASE_DB_URL={url}\n")
    return path


def _run(console: script.Console, env_file: Path, name: str, *flags: str) -> None:
    console.say(f"$ python3 {' '.join((name, *flags))}")
    command = [sys.executable, str(REPOSITORY / name), "--env-file", str(env_file), *flags]
    # A setting in the environment would win over the demo's .env, and send it to a real target.
    settings = ("SUPABASE_", "BACKUP_", "SQLITE_", *channels.NAMES)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    console.say(done.stdout + done.stderr)
    if done.returncode:
        raise Problem(f"{name} ended with exit status {done.returncode}: {done.stderr.strip()}")


def _content_hash(path: Path) -> str:
    """Hash SQLite's own dump of the file: every row and every schema object as SQL."""
    with closing(sqlite3.connect(path)) as database:
        return hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()


def _prove(before: list[str], after: list[str]) -> None:
    if before != after:
        raise Problem("the restored databases differ from the lost ones.", "please report it")
