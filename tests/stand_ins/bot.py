"""A bot's folder, and the scripts run in it as the operator would: as processes, with nothing but their settings."""

import contextlib
import functools
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from lib.settings import channels
from lib.settings.targets import URL
from lib.trying import sample_bot
from tests import compare
from tests.stand_ins import forked

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = ("SUPABASE_", "BACKUP_", "SQLITE_", "PG", "HYBRID_BACKUP_VENV", *channels.NAMES)
COMMAND = r"python3 (?:backup|restore|setup_supabase|test_backup)\.py\b"
BOT_TABLES = (*sample_bot.PAID, *sample_bot.ASKED)

SET_UP_HERE_AND_NOW = """
    UPDATE backup.sources SET origin_path = replace(origin_path, %(there)s, %(here)s);
    UPDATE backup.runs SET started_at = started_at + since, finished_at = finished_at + since
    FROM (SELECT now() - max(finished_at) FROM backup.runs) AS last (since)"""


@dataclass
class Result:
    """What a script printed and how it ended."""

    status: int
    stdout: str
    stderr: str

    def expect(self, status: int) -> "Result":
        assert self.status == status, f"exit status {self.status}\n{self.stdout}\n{self.stderr}"
        assert "Traceback" not in self.stderr + self.stdout, self.stderr
        return self

    @property
    def json(self) -> dict:
        return json.loads(self.stdout)


class Bot:
    def __init__(self, folder: Path, url: str):
        self.folder, self.url = folder, url
        self.data = folder / "sqlite_data"
        self.environment: dict[str, str] = {}
        self.premium, self.requests = self.data / sample_bot.PREMIUM, self.data / sample_bot.REQUESTS

    @classmethod
    def make(cls, folder: Path, url: str, users: int) -> "Bot":
        bot = cls(folder, url)
        bot.data.mkdir(parents=True)
        for name, content in sample_databases(users).items():
            (bot.data / name).write_bytes(content)
        bot.write_env()
        return bot

    def clone(self, folder: Path) -> "Bot":
        """Another bot with the same databases, and no .env yet."""
        shutil.copytree(self.data, folder / self.data.name)
        return Bot(folder, self.url)

    def set_up_like(self, other: "Bot") -> None:
        """Get what setup has made for another bot of the same rows, in a copy of its database, as if it had run here and now."""
        for name in ("snapshots", "supabase_backup.log"):
            subprocess.run(["cp", "-a", other.folder / name, self.folder], check=True)
        be_here_and_now(self.folder, self.url, other.folder, other.url)

    @property
    def databases(self) -> list[Path]:
        return sorted(self.data.glob("*.db"))

    def write_env(self, **settings: str) -> None:
        """Write .env: the target, and what the test wants besides (None leaves a setting out)."""
        lines = {"SUPABASE_DB_URL": self.url} | settings
        path = self.folder / ".env"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}='{value}'\n" for name, value in lines.items() if value is not None))

    def command(self, script: str, *flags: str) -> list[str]:
        return [sys.executable, str(REPOSITORY / script), "--env-file", str(self.folder / ".env"), *flags]

    def start(self, script: str, *flags: str) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            self.command(script, *flags), text=True, env=environment() | self.environment, cwd=self.folder, **pipes
        )

    def run(self, script: str, *flags: str) -> Result:
        """Run a script, and return what it says as if the settings were beside it; every command that it shows names them."""
        done = self.shown(script, *flags)
        for said in (done.stdout, done.stderr):
            assert "usage: " in said or not re.search(rf"{COMMAND}(?! --env-file | --help)", said), said
        named = re.escape(f" --env-file {shlex.quote(str(self.folder / '.env'))}")
        stdout, stderr = (re.sub(f"({COMMAND}){named}", r"\1", said) for said in (done.stdout, done.stderr))
        return Result(done.status, stdout, stderr)

    def shown(self, script: str, *flags: str) -> Result:
        if forked.may_run(given := environment() | self.environment):
            done = Result(*forked.run(self.command(script, *flags), given, self.folder, 120))
        else:
            running = self.start(script, *flags)
            stdout, stderr = running.communicate(timeout=120)
            done = Result(running.returncode, stdout, stderr)
        assert self.password not in done.stdout + done.stderr + self.log  # whatever any test makes fail
        return done

    def peak_memory(self, script: str, *flags: str) -> int:
        """Run a script, expect success, and return the largest resident size of its process, in bytes."""
        code = "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL);"
        code += "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        command = [sys.executable, "-c", code, *self.command(script, *flags)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        status, kilobytes = done.stdout.split()
        assert status == "0", done.stderr
        return int(kilobytes) * 1024

    def backup(self, *flags: str) -> dict:
        """Back up, expect success, and return what --json says."""
        return self.run("backup.py", "--json", *flags).expect(0).json

    def changes(self, *flags: str) -> dict[str, tuple[int, int, int]]:
        """Back up, and return inserted, updated and deleted rows of each table that changed."""
        tables = [table for run in self.backup(*flags)["runs"] for table in run["tables"]]
        counted = {table["table"]: (table["inserted"], table["updated"], table["deleted"]) for table in tables}
        return {name: counts for name, counts in counted.items() if any(counts)}

    def sqlite(self, path: Path, script: str) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(script)

    def sqlite_rows(self, path: Path, query: str) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return database.execute(query).fetchall()

    def query(self, statement: str, values=None) -> list[tuple]:
        """Ask the target, as the customer's user."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

    def mirror_counts(self) -> dict[str, int]:
        schemas = {sample_bot.PREMIUM: "backup_premium_system", sample_bot.REQUESTS: "backup_user_requests"}
        counts = {}
        for path in (self.premium, self.requests):
            for (table,) in self.sqlite_rows(
                path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ):
                counts[table] = self.query(f'SELECT count(*) FROM {schemas[path.name]}."{table}"')[0][0]
        return counts

    def keep_copies(self) -> dict[str, Path]:
        """Copy the databases as they are now, to compare with later."""
        kept = self.folder / "kept"
        kept.mkdir(exist_ok=True)
        return {path.stem: Path(shutil.copy(path, kept / path.name)) for path in self.databases}

    def assert_restorable(self, *flags: str) -> None:
        """Restore into an empty folder, and compare with the databases that are there."""
        out = self.folder / "restored"
        shutil.rmtree(out, ignore_errors=True)
        self.run("restore.py", "--yes", "--to", str(out), *flags).expect(0)
        for path in self.databases:
            assert compare.differences(path, out / path.name) == []

    @property
    def log(self) -> str:
        path = self.folder / "supabase_backup.log"
        return path.read_text() if path.exists() else ""

    @property
    def database(self) -> str:
        return URL.fullmatch(self.url)["name"]

    @property
    def password(self) -> str:
        return URL.fullmatch(self.url)["password"]


def be_here_and_now(folder: Path, url: str, their_folder: Path, their_url: str) -> None:
    """Make the snapshots' notes and the books, which are copies of others', as if they had been written here and now."""
    theirs, ours = (f" in {URL.fullmatch(one)['name']} at " for one in (their_url, url))
    for note in (folder / "snapshots").glob("*.json"):
        note.write_text(note.read_text().replace(str(their_folder), str(folder)).replace(theirs, ours))
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SET_UP_HERE_AND_NOW, {"there": str(their_folder), "here": str(folder)})


@functools.cache
def sample_databases(users: int) -> dict[str, bytes]:
    """Return the sample databases, by name: they are made from a seed."""
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in sample_bot.make(Path(folder), users)}


def copy_checkout(folder: Path) -> Path:
    """Copy the repository as a fresh clone has it: no .venv, no .env, nothing that a run has made."""
    everywhere = shutil.ignore_patterns(".git", ".venv", ".env", "__pycache__", ".*_cache", "*.log")
    made_by_runs = shutil.ignore_patterns("sqlite_data", "snapshots")  # a room of lib/ may be called so

    def ignored(path: str, names: list[str]) -> set[str]:
        return everywhere(path, names) | (made_by_runs(path, names) if Path(path) == REPOSITORY else set())

    return Path(shutil.copytree(REPOSITORY, folder / "checkout", ignore=ignored))


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
