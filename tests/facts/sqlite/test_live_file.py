"""The copy of the bot's file is as the file was at one moment, and the bot waits only while bytes are copied in memory."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from lib.base.errors import SourceError
from lib.sqlite.snapshots import live_file
from tests.stand_ins.bot import REPOSITORY

ROWS = 3000
TOTAL = 100 * ROWS
MADE = f"""CREATE TABLE accounts (id INTEGER PRIMARY KEY, stars INTEGER, note TEXT);
    WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS})
    INSERT INTO accounts SELECT n, 100, hex(zeroblob(150)) FROM c"""
# Moves stars between rows far apart, so that a torn copy has another total; every third time it writes, and takes it back.
BUSY_BOT = f"""import itertools, sqlite3, sys
bot = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
bot.execute("PRAGMA synchronous = OFF"); bot.execute("PRAGMA cache_size = 5"); bot.execute("PRAGMA cache_spill = 1")
print("ready", flush=True)
for number in itertools.count():
    bot.execute("BEGIN IMMEDIATE")
    for row in range(number % 7, {ROWS}, 97):
        bot.execute("UPDATE accounts SET stars = stars - 1 WHERE id = ?", [row + 1])
        bot.execute("UPDATE accounts SET stars = stars + 1 WHERE id = ?", [{ROWS} - row])
    bot.execute("ROLLBACK" if number % 3 == 0 else "COMMIT")"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "bot.db"
    with contextlib.closing(sqlite3.connect(path)) as bot:
        bot.executescript(MADE)
    return path


@pytest.fixture
def copied(tmp_path):
    path = tmp_path / "copy.db"
    path.touch()
    return path


def quiet(source):
    """As if the last commit were a minute ago."""
    os.utime(source, (source.stat().st_mtime - 60,) * 2)


def write(source, statement="UPDATE accounts SET stars = stars WHERE id = 1"):
    """Commit as a bot that waits for nobody; return whether it could."""
    with contextlib.closing(sqlite3.connect(source, timeout=0, isolation_level=None)) as bot:
        try:
            bot.executescript(statement)
        except sqlite3.OperationalError as error:
            if str(error) != "database is locked":
                raise
            return False
    return True


@pytest.fixture
def during(monkeypatch):
    """Call what a test puts here before each piece is copied, and collect what it returns."""
    copy_piece, seen = live_file._copy_piece, []

    def watch(then):
        monkeypatch.setattr(live_file, "_copy_piece", lambda *piece: (seen.append(then()), copy_piece(*piece))[1])
        return seen

    return watch


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM accounts ORDER BY id").fetchall()


def assert_sound(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*), sum(stars) FROM accounts").fetchone() == (ROWS, TOTAL)


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_a_copy_beside_a_busy_bot_is_of_one_moment(source, copied, mode):
    with contextlib.closing(sqlite3.connect(source)) as bot:
        bot.execute(f"PRAGMA journal_mode = {mode}")
    busy = BUSY_BOT.replace('print("ready"', f'bot.execute("PRAGMA journal_mode = {mode}"); print("ready"')
    running = subprocess.Popen([sys.executable, "-c", busy, str(source)], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout.readline() == "ready\n"
        for _ in range(15):
            assert live_file.copy(source, copied) == ("wal" if mode == "wal" else "delete")
            assert_sound(copied)
            assert running.poll() is None
    finally:
        running.kill()
        running.communicate()


def test_the_bot_can_write_while_the_disk_is_read(source, copied, during):
    could_write = during(lambda: write(source))
    assert live_file.copy(source, copied) == "delete"
    assert could_write == [True, False]  # the second time the bytes come from memory
    assert rows(copied) == rows(source)


def test_what_nobody_has_written_is_copied_without_a_lock(source, copied, during):
    quiet(source)
    pieces = during(lambda: "a piece")
    live_file.copy(source, copied)
    assert pieces == ["a piece"]
    assert copied.read_bytes() == source.read_bytes()


def test_a_file_whose_time_proves_nothing_yet_is_copied_again(source, copied, during):
    pieces = during(lambda: "a piece")
    live_file.copy(source, copied)
    assert len(pieces) == 2


def test_a_copy_that_takes_long_does_not_make_a_time_older(source, copied, during, monkeypatch):
    """What counts is how old the file's time was when the copy began, not when it ended."""
    clock = [time.time()]
    monkeypatch.setattr(live_file, "time", SimpleNamespace(time=lambda: clock[0], monotonic=time.monotonic, sleep=time.sleep))
    pieces = during(lambda: clock.append(clock.pop() + 10))
    live_file.copy(source, copied)
    assert len(pieces) == 2


def test_whole_seconds_prove_nothing(source, copied, during, monkeypatch):
    """As ext3 and FAT have them: a transaction that outgrows the cache, and is taken back, leaves all as it was but the pages."""
    quiet(source)
    state = live_file._state
    monkeypatch.setattr(
        live_file, "_state", lambda file: (*(time // 10**9 * 10**9 for time in state(file)[:2]), *state(file)[2:])
    )
    os.utime(source, (source.stat().st_mtime // 1,) * 2)
    pieces = during(lambda: "a piece")
    live_file.copy(source, copied)
    assert len(pieces) == 2


def test_a_lock_that_is_none_is_noticed(source, copied, during, monkeypatch):
    """As on a file system that has only the looks of locks: what is written under ours is copied once more."""
    monkeypatch.setattr(live_file, "_read_locked", lambda source: contextlib.closing(sqlite3.connect(source)))
    passes = iter(range(100))
    during(lambda: next(passes) == 1 and write(source, "UPDATE accounts SET stars = stars + 1"))
    live_file.copy(source, copied)
    assert next(passes) > 3
    assert copied.read_bytes() == source.read_bytes()


def test_a_lock_is_looked_at_after_every_megabyte():
    """A disk that reads five megabytes a second may keep the bot waiting no longer than that takes."""
    assert live_file.PIECE_BYTES <= 1 << 20


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts SELECT id + 100000, 1, note FROM accounts",
        "DELETE FROM accounts WHERE id > 100; VACUUM",
        "PRAGMA cache_size = 1; BEGIN; UPDATE accounts SET note = 'torn'; ROLLBACK",
    ],
)
def test_what_is_written_meanwhile_is_seen(source, copied, during, statement):
    quiet(source)
    write_once = iter([lambda: write(source, statement)])
    could_write = during(lambda: next(write_once, lambda: write(source))())
    live_file.copy(source, copied)
    assert (could_write[0], could_write[-1]) == (True, False)
    assert copied.read_bytes() == source.read_bytes()


def test_a_file_that_is_replaced_meanwhile_is_copied_anew(source, copied, during, tmp_path):
    quiet(source)
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as database:
        database.executescript(MADE + "; UPDATE accounts SET stars = 7")
    during(lambda: other.exists() and other.replace(source))
    live_file.copy(source, copied)
    assert {stars for _, stars, _ in rows(copied)} == {7}


def test_wal_mode_that_is_switched_on_meanwhile_is_noticed(source, copied, during):
    quiet(source)
    during(lambda: write(source, "PRAGMA journal_mode = WAL; UPDATE accounts SET stars = 8"))
    assert live_file.copy(source, copied) == "wal"
    assert {stars for _, stars, _ in rows(copied)} == {8}


def test_the_lock_is_given_back_before_a_bot_fails(source, copied, during, monkeypatch):
    monkeypatch.setattr(live_file, "HELD_SECONDS", (0, 0))
    could_write = during(lambda: write(source))
    with pytest.raises(SourceError, match=r"bot.db could not be copied within 0 seconds") as raised:
        live_file.copy(source, copied)
    assert "PRAGMA journal_mode = WAL" in raised.value.remedy
    assert could_write == [True, True]
    assert write(source)


def test_the_next_try_may_take_longer(source, copied, monkeypatch):
    monkeypatch.setattr(live_file, "HELD_SECONDS", (0, 60))
    assert live_file.copy(source, copied) == "delete"
    assert rows(copied) == rows(source)


@pytest.mark.parametrize("refusal", [None, OSError(22, "not on this file system")])
def test_where_the_system_does_not_copy_we_do(source, copied, monkeypatch, refusal):
    def refuse(*_):
        raise refusal

    monkeypatch.delattr(os, "sendfile") if refusal is None else monkeypatch.setattr(os, "sendfile", refuse)
    copied.write_bytes(b"longer than the source" * 100_000)
    live_file.copy(source, copied)
    assert copied.read_bytes() == source.read_bytes()


def test_many_pieces_make_one_file(source, copied, monkeypatch):
    monkeypatch.setattr(live_file, "PIECE_BYTES", 5000)
    live_file.copy(source, copied)
    assert copied.read_bytes() == source.read_bytes()


def test_bytes_behind_the_last_page_do_no_harm(source, copied):
    with open(source, "ab") as file:
        file.write(b"no page")
    live_file.copy(source, copied)
    assert_sound(copied)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="elsewhere nobody can undo a niceness of his own")
def test_nothing_is_nice_while_the_bot_waits(source, copied):
    seen = """import os, sys
from pathlib import Path
from lib.sqlite.snapshots import live_file
copy_piece, seen = live_file._copy_piece, []
live_file._copy_piece = lambda *piece: (seen.append(os.getpriority(os.PRIO_PROCESS, 0)), copy_piece(*piece))[1]
os.nice(19)
live_file.copy(Path(sys.argv[1]), Path(sys.argv[2]))
print(*seen, os.getpriority(os.PRIO_PROCESS, 0))"""
    command = [sys.executable, "-c", seen, str(source), str(copied)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.split() == ["19", "0", "19"]
