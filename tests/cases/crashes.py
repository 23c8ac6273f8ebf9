"""What a crash leaves beside a database, in files to be laid out again and again."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from lib.sqlite.replacing.safety_copies import COMPANIONS

ROWS = 400
OLD, NEW = [(1, ROWS)], [(2, ROWS)]


def made(path, value, mode="DELETE"):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("CREATE TABLE t (value, filler)")
        many = f"WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
        database.execute(f"{many} INSERT INTO t SELECT {value}, hex(zeroblob(200)) FROM n")


def copied(source, destination):
    for companion in COMPANIONS:
        if os.path.exists(f"{source}{companion}"):
            shutil.copy(f"{source}{companion}", f"{destination}{companion}")


@contextlib.contextmanager
def crashed(path, value):
    """Yield a connection to a database, which is left at `path` as it is then, as if nobody had closed it."""
    live = path.with_name("live")
    made(live, value)
    with contextlib.closing(sqlite3.connect(live, isolation_level=None)) as database:
        yield database
        copied(live, path)
    remove(live)


def left_in_wal(path):
    """All committed rows are in the -wal, as after a crash."""
    with crashed(path, 0) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("UPDATE t SET value = 1")


def left_in_journal(path):
    """Half of a transaction that was never committed is in the file, and what was there before in the -journal."""
    with crashed(path, 1) as database:
        database.execute("PRAGMA cache_size = 2")
        database.execute("BEGIN")
        database.execute("UPDATE t SET value = 3")
    assert b"\xd9\xd5\x05\xf9" in Path(f"{path}-journal").read_bytes()[:4]


def left_persistent(path):
    """PRAGMA journal_mode = PERSIST leaves a journal that begins with zeros."""
    with crashed(path, 0) as database:
        database.execute("PRAGMA journal_mode = PERSIST")
        database.execute("UPDATE t SET value = 1")
    assert Path(f"{path}-journal").stat().st_size


def left_clean(path):
    made(path, 1)


STATES = [left_in_wal, left_in_journal, left_persistent, left_clean]


def remove(path):
    for companion in COMPANIONS:
        Path(f"{path}{companion}").unlink(missing_ok=True)


def content(path, scratch):
    """Read as the bot's next query would, on a copy."""
    scratch.mkdir()
    try:
        copied(path, scratch / "copy")
        with contextlib.closing(sqlite3.connect(scratch / "copy")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return database.execute("SELECT value, count(*) FROM t GROUP BY value").fetchall()
    finally:
        shutil.rmtree(scratch)


def laid_out(folder, state):
    """Make the files once, and lay out copies of them."""
    originals = folder.with_name("originals")
    if not originals.exists():
        originals.mkdir()
        state(originals / "bot.db")
        made(originals / "new.db", 2, "WAL")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(originals, folder)
    return folder / "new.db", folder / "bot.db"
