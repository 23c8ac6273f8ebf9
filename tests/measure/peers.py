"""Our scripts beside other tools and the raw limits: the same rows, the same server, the same changes, in one run.

Peak memory is that of the largest process a tool starts; seconds are medians of ROUNDS, each in a fresh database.
The peers' Python packages go into a virtual environment in the user's cache, never into ours.
"""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2

from lib.trying import embedded_postgres, sample_bot
from tests.measure import peer_tools, result_table
from tests.stand_ins.bot import REPOSITORY, Bot, environment

ROUNDS = 3
RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = {
    "duckdb": ["duckdb==1.5.5", "duckdb-extension-sqlite-scanner==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"],
    "adbc": ["adbc-driver-postgresql", "adbc-driver-sqlite", "pyarrow"],
    "polars": ["polars", "connectorx", "pyarrow", "adbc-driver-postgresql", "adbc-driver-sqlite"],
}
PROGRAMS = {"sqlite3 and psql": ["sqlite3", "psql"], "pgloader": ["pgloader"]}
NOTES = {
    "sqlite3 and psql": "hand-written SQL",
    "duckdb": "no constraints, hand-written MERGE",
    "adbc": "hand-written SQL",
    "polars": "replaces all, no keys",
    "pgloader": "reloads all, no restore",
}
NOT_RUN = "ingestr, sling and dlt are not run: their incremental modes miss deletions, so they do not do the same work."

# In every table: the column an update adds one to, and the column an inserted row moves to be new.
CHANGED = {
    "premium_subscriptions": ("stars_amount", "owner_id"),
    "payment_history": ("stars_amount", "owner_id"),
    "refunds": ("stars_amount", "owner_id"),
    "refunded_groups": ("refunded_at", "group_id"),
    "pending_payments": ("created_at", "owner_id"),
    "user_requests": ("minute", "user_id"),
    "command_requests": ("minute", "user_id"),
    "message_owners": ("timestamp", "message_id"),
    "linked_messages": ("timestamp", "original_message_id"),
}
MOVED = 10**11

# Run by a small Python, because a process inherits the peak of the one that forked it.
MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(status, time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

# Setup without the first backup, which is measured.
SETUP_ALONE = """
import setup_supabase as setup
from lib.base import script
setup.back_up = lambda *given: script.SAVED
script.run(setup.main, setup.flags())
"""


class Failed(Exception):
    """A measured command ended with an error."""


def measure(command: list[str], **variables: str) -> tuple[float, float]:
    """Run a command; return its seconds and the megabytes of its largest process."""
    variables = environment() | {name: str(value) for name, value in variables.items()}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # on the operator's machine the modules are compiled once
    done = subprocess.run([sys.executable, "-c", MEASURE, *map(str, command)], capture_output=True, text=True, env=variables)
    status, seconds, kilobytes = done.stdout.split()
    if status != "0":
        said = [line for line in done.stderr.splitlines() if "rror" in line] or [f"exit status {status}"]
        raise Failed(said[0].replace(variables.get("PEER_URL", "PEER_URL"), "PEER_URL")[:300])
    return float(seconds), int(kilobytes) * 1024 / 1e6


def run(users: int, folder: str | Path = RESULTS, rounds: str | int = ROUNDS) -> None:
    """Measure everything, print a line as each step ends, the table at the end; write it to `folder`, and as JSON."""
    rounds = int(rounds)
    with embedded_postgres.running() as server, tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        before, after = data / "before", data / "after"
        sample_bot.make(before, users)
        shutil.copytree(before, after)
        change(after)
        peers, versions = available()
        about = size(before) | result_table.about(version(server)) | {"rounds_each": rounds, "peers": versions}
        all_found = {tool: measured(tool, one_round, rounds) for tool, one_round in benches(server, data, peers).items()}
    found = {tool: steps for tool, steps in all_found.items() if steps}
    rows = {f"{tool} ({NOTES[tool]})" if tool in NOTES else tool: result_table.medians(found[tool]) for tool in found}
    what = (
        f"{about['rows']:,} rows, {about['bytes'] / 1e6:.1f} MB of SQLite; seconds, medians of {rounds}, and the peak memory"
        " of the largest process."
    )
    name = f"peers_{about['rows']}_rows_{about['machine']['cores']}_cores.md"
    print("\n" + result_table.write(Path(folder) / name, what, about, rows, found))


def size(data: Path) -> dict[str, int]:
    """Return how many rows and bytes the databases in a folder have."""
    return {"rows": sum(counts(data).values()), "bytes": sum(path.stat().st_size for path in data.glob("*.db"))}


def version(server) -> str:
    ((postgres,),) = query(server.url, "SHOW server_version")
    return postgres.split()[0]


def benches(server, folder: Path, python_of: dict[str, Path]) -> dict[str, Callable[[Path], dict]]:
    """Return for each tool what measures one round of it."""

    def one(bench: Callable, *values) -> Callable[[Path], dict]:
        return lambda work: bench(server, folder, work, *values)

    peers = {tool: one(peer_round, tool, python) for tool, python in python_of.items()}
    raw = {"one SELECT of every row": one(read_round), "psql \\copy of ready CSV": one(copy_round)}
    ours = {"ours": one(our_round), "ours: BACKUP_CHECK=quick": one(quick_round), "ours: setup_supabase.py": one(setup_round)}
    return {**ours, **raw, **peers}


def available() -> tuple[dict[str, Path], dict[str, str]]:
    """Return the peers that can be had, each with the Python it runs in, and their versions; print how to get the others."""
    print(NOT_RUN)
    found, versions = dict[str, Path](), dict[str, str]()
    for tool, programs in PROGRAMS.items():
        missing = [name for name in programs if not shutil.which(name)]
        if missing:
            package = " ".join(missing).replace("psql", "postgresql-client")
            print(f"{tool}: not measured, {', '.join(missing)} is missing: apt-get install {package}")
        else:
            versions[tool], found[tool] = result_table.programs(programs), Path(sys.executable)
    for tool, packages in PACKAGES.items():
        with reported(tool):
            python = python_with(tool, packages)
            versions[tool], found[tool] = result_table.packages(python, packages), python
    return found, versions


def python_with(tool: str, packages: list[str]) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hybrid-backup-peers" / tool
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"pip install {' '.join(packages)}: {done.stderr.strip()[-200:]}")
        (home / "installed").touch()
    return python


@contextlib.contextmanager
def reported(tool: str) -> Iterator[None]:
    try:
        yield
    except (Failed, OSError, subprocess.SubprocessError, psycopg2.Error, sqlite3.Error) as error:
        print(f"❌ {tool}: {error}", flush=True)


def measured(tool: str, one_round: Callable[[Path], Iterator], rounds: int) -> result_table.Rounds:
    """Return the seconds and megabytes of the steps that went well in every round."""
    found: result_table.Rounds = {}
    for _ in range(rounds):
        with reported(tool), tempfile.TemporaryDirectory() as work:
            for step, figures in one_round(Path(work)):
                found.setdefault(step, []).append(figures)
    found = {step: figures for step, figures in found.items() if len(figures) == rounds}
    for step, figures in found.items():
        print(f"{tool}, {step}: " + ", ".join(f"{seconds:.2f} s {size:.0f} MB" for seconds, size in figures), flush=True)
    return found


def our_round(server, folder: Path, work: Path) -> Iterator[tuple[str, tuple]]:
    """`restore` has the run's own snapshot on the machine, `elsewhere` has nothing but the settings."""
    bot = our_bot(server, folder, work)
    yield from load_and_again(bot, folder)
    checkpoint(bot.url)
    yield "restore", restored(bot, folder / "after", work / "out")
    (bot.folder / "snapshots").rename(work / "kept")
    yield "elsewhere", restored(bot, folder / "after", work / "elsewhere")
    shutil.rmtree(bot.folder / "snapshots", ignore_errors=True)
    (work / "kept").rename(bot.folder / "snapshots")
    yield from quiet_steps(bot)


def quiet_steps(bot: Bot) -> Iterator[tuple[str, tuple]]:
    """Where nothing or one row has changed since the last run."""
    yield "identical", measure(bot.command("backup.py"))
    touch(bot)
    yield "one row", measure(bot.command("backup.py"))


def touch(bot: Bot) -> None:
    """Change one row."""
    bot.sqlite(bot.requests, "UPDATE user_requests SET minute = minute + 1 WHERE rowid = (SELECT max(rowid) FROM user_requests)")


def quick_round(server, folder: Path, work: Path) -> Iterator[tuple[str, tuple]]:
    bot = our_bot(server, folder, work, BACKUP_CHECK="quick")
    yield from load_and_again(bot, folder)
    yield from quiet_steps(bot)


def load_and_again(bot: Bot, folder: Path) -> Iterator[tuple[str, tuple]]:
    for step, state in (("load", "before"), ("again", "after")):
        put(folder / state, bot.data)
        checkpoint(bot.url)
        figures = measure(bot.command("backup.py"))
        check(bot.url, "backup_", folder / state)
        yield step, figures


def restored(bot: Bot, state: Path, out: Path) -> tuple[float, float]:
    figures = measure(bot.command("restore.py", "--yes", "--to", str(out)))
    check_files(state, out)
    return figures


def our_bot(server, folder: Path, work: Path, **settings: str) -> Bot:
    """A bot whose mirrors are there, as the peers' tables are, and whose files were never backed up."""
    bot = Bot(work / "bot", fresh_database(server))
    shutil.copytree(folder / "before", bot.data)
    bot.write_env(BACKUP_MAX_DATABASE_MB="0", **settings)
    command = [sys.executable, "-c", SETUP_ALONE, "--env-file", str(bot.folder / ".env")]
    subprocess.run(command, cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL, check=True)
    checkpoint(bot.url)
    return bot


def setup_round(server, folder: Path, work: Path) -> Iterator[tuple[str, tuple]]:
    bot = Bot(work / "bot", fresh_database(server))
    shutil.copytree(folder / "before", bot.data)
    bot.write_env(BACKUP_MAX_DATABASE_MB="0")
    yield "setup", measure(bot.command("setup_supabase.py"))


def read_round(server, folder: Path, work: Path) -> Iterator[tuple[str, tuple]]:
    yield "load", measure(tool_command(sys.executable, "read", "load", folder / "before", work))


def copy_round(server, folder: Path, work: Path) -> Iterator[tuple[str, tuple]]:
    bot = our_bot(server, folder, work)
    (work / "csv").mkdir()
    for path in bot.databases:
        for table in peer_tools.tables(path):
            with open(work / "csv" / f"backup_{path.stem}.{table}.csv", "w") as file:
                query = f"SELECT {', '.join(mirror_columns(bot, path.stem, table))} FROM {table}"
                subprocess.run(["sqlite3", "-csv", "-separator", ",", "-newline", "\n", path, query], stdout=file, check=True)
    variables = {"PEER_URL": bot.url, "PEER_PSQL": shutil.which("psql")}
    figures = measure(tool_command(sys.executable, "copy", "load", work / "csv", work), **variables)
    check(bot.url, "backup_", folder / "before")
    yield "load", figures


def mirror_columns(bot: Bot, source: str, table: str) -> list[str]:
    asked = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"
    )
    return [name for (name,) in bot.query(asked, (f"backup_{source}", table))]


def peer_round(server, folder: Path, work: Path, tool: str, python: Path) -> Iterator[tuple[str, tuple]]:
    url = fresh_database(server)
    prepare(url, tool)
    variables = {"PEER_URL": url, "PEER_PSQL": shutil.which("psql") or ""}
    schema = None if tool == "pgloader" else ""
    for step, state in (("load", "before"), ("again", "after"), ("restore", "after")):
        if step in peer_tools.STEPS[tool]:
            out = work / step
            empty(shutil.copytree(folder / state, out))
            checkpoint(url)
            figures = measure(tool_command(python, tool, step, folder / state, out), **variables)
            if step == "restore":
                check_files(folder / state, out)
            else:
                check(url, schema, folder / state)
            yield step, figures


def prepare(url: str, tool: str) -> None:
    """The schemas of a peer; where it writes into tables that are there, our mirrors without rowid, and no boolean."""
    if tool in ("duckdb", "pgloader"):
        return
    for path in sorted((REPOSITORY / "sql" / "tables").glob("*.sql")):
        query(url, f"CREATE SCHEMA {path.stem}")
        if tool != "polars":
            query(url, f"SET search_path = {path.stem}; {path.read_text()}")
    if tool != "polars":
        for table in sample_bot.ASKED:
            query(url, f"ALTER TABLE user_requests.{table} DROP COLUMN rowid")
        change_type = "ALTER COLUMN is_active DROP DEFAULT, ALTER COLUMN is_active TYPE bigint USING is_active::int"
        query(url, f"ALTER TABLE premium_system.premium_subscriptions {change_type}")


def tool_command(python: Path | str, tool: str, step: str, data: Path, out: Path) -> list[str]:
    return [str(python), str(REPOSITORY / "tests" / "measure" / "peer_tools.py"), tool, step, str(data), str(out)]


def fresh_database(server) -> str:
    name = f"bench_{random.SystemRandom().getrandbits(40):x}"
    query(server.url, f"CREATE DATABASE {name}")
    return server.url.removesuffix("/postgres") + f"/{name}"


def query(url: str, statement: str) -> list[tuple]:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def checkpoint(url: str) -> None:
    """What the step before left to be written must not be paid for by the next."""
    query(url, "CHECKPOINT")


def put(data: Path, into: Path) -> None:
    for path in data.glob("*.db"):
        shutil.copy(path, into / path.name)


def empty(folder: Path) -> None:
    """Delete every row, and keep the schema with all its indexes."""
    for path in Path(folder).glob("*.db"):
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            for table in peer_tools.tables(path):
                database.execute(f"DELETE FROM {table}")
            database.execute("VACUUM")


def change(folder: Path, by: int = MOVED) -> None:
    """In every table: update 1 % of the rows, delete 0.5 %, insert 1 %; at least one each. `by` makes a copy a new row."""
    for path in sorted(folder.glob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            for table, columns in peer_tools.tables(path).items():
                change_table(database, table, [name for name, _, _ in columns], by)


def change_table(database: sqlite3.Connection, table: str, columns: list[str], by: int) -> None:
    chance, (updated, moved) = random.Random(table), CHANGED[table]
    rowids = [rowid for (rowid,) in database.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
    chance.shuffle(rowids)
    one_percent, half = max(1, len(rowids) // 100), max(1, len(rowids) // 200)
    one = [(rowid,) for rowid in rowids]
    copied = [name for name in columns if name != "id"]
    values = ", ".join(f"{name} + {by}" if name == moved else name for name in copied)
    inserted = f"INSERT INTO {table} ({', '.join(copied)}) SELECT {values} FROM {table} WHERE rowid = ?"
    database.executemany(inserted, one[:one_percent])
    database.executemany(f"UPDATE {table} SET {updated} = {updated} + 1 WHERE rowid = ?", one[one_percent : 2 * one_percent])
    database.executemany(f"DELETE FROM {table} WHERE rowid = ?", one[2 * one_percent : 2 * one_percent + half])


def counts(folder: Path) -> dict[str, int]:
    """Return the rows of every table, by file and table."""
    found = {}
    for path in sorted(folder.glob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as database:
            for table in peer_tools.tables(path):
                found[f"{path.stem}.{table}"] = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def check(url: str, schema: str | None, data: Path) -> None:
    """Raise Failed where Postgres has not exactly the source's number of rows; without a schema the tables are in public."""
    for name, expected in counts(data).items():
        mirror = f"public.{name.split('.')[1]}" if schema is None else f"{schema}{name}"
        ((found,),) = query(url, f"SELECT count(*) FROM {mirror}")
        if found != expected:
            raise Failed(f"{mirror} has {found:,} rows, the source {expected:,}")


def check_files(data: Path, out: Path) -> None:
    """Raise Failed where a restored file is without a row of the source, or has another one."""
    for path in sorted(data.glob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("ATTACH ? AS restored", [str(out / path.name)])
            for table in peer_tools.tables(path):
                for left, right, word in (("main", "restored", "lost"), ("restored", "main", "made up")):
                    differing = f"SELECT count(*) FROM (SELECT * FROM {left}.{table} EXCEPT SELECT * FROM {right}.{table})"
                    (found,) = database.execute(differing).fetchone()
                    if found:
                        raise Failed(f"{table} restored: {found:,} rows {word}")
