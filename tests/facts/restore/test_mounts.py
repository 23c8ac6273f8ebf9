"""A database that is a mount of its own, as containers mount single files: its name cannot be given to another file."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import compare
from tests.cases.crashes import NEW, OLD, content, laid_out, left_clean, left_in_journal, left_in_wal, left_persistent
from tests.stand_ins.bot import REPOSITORY, environment
from tests.stand_ins.mounts import may_mount

OURS = ("--yes", "--database", "premium_system")


pytestmark = pytest.mark.skipif(not may_mount(), reason="this user may not make a mount namespace")


def in_mounts(command, *mounts):
    """Run a command where each pair of files is mounted, one over the other; a third word makes it read only."""
    lines = [f"mount --bind '{source}' '{place}'" for source, place, *_ in mounts]
    lines += [f"mount -o remount,bind,ro '{place}'" for _, place, *is_read_only in mounts if is_read_only]
    script = "\n".join(["set -e", *lines, 'exec "$@"'])
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *map(str, command)],
        capture_output=True, text=True, env=environment(), cwd=REPOSITORY, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def mounted(saved_bot):
    """The database is on a volume; in the container's folder is only the place to mount it."""
    saved_bot.real = saved_bot.premium.rename(saved_bot.folder / "volume.db")
    saved_bot.premium.touch()
    saved_bot.mount = (saved_bot.real, saved_bot.premium)
    return saved_bot


@pytest.mark.campaign
def test_a_mounted_database_is_written_in_place_and_undone(mounted):
    expected = shutil.copy(mounted.real, mounted.folder / "expected.db")
    mounted.sqlite(mounted.real, "DELETE FROM refunds")
    deleted, inode = shutil.copy(mounted.real, mounted.folder / "deleted.db"), mounted.real.stat().st_ino
    done = in_mounts(mounted.command("restore.py", *OURS), mounted.mount)
    assert done.returncode == 0, done.stderr
    assert "    that file is a mount: it is written in place, and what is kept beside it is outside the mount\n" in done.stdout
    assert mounted.real.stat().st_ino == inode
    assert compare.differences(expected, mounted.real) == []
    (kept,) = mounted.data.glob("*.before-restore-*")
    assert compare.differences(deleted, kept) == []
    assert kept.stat().st_mode == mounted.real.stat().st_mode
    undone = in_mounts(mounted.command("restore.py", "--undo", *OURS), mounted.mount)
    assert undone.returncode == 0, undone.stderr
    assert compare.differences(deleted, mounted.real) == []
    assert [path.name for path in mounted.data.glob("*premium*") if path.suffix in ("-journal", "-wal", "-shm")] == []


def test_a_bot_that_runs_is_an_error_there_too(mounted):
    before = mounted.real.read_bytes()
    with contextlib.closing(sqlite3.connect(mounted.real, isolation_level=None)) as bot:
        bot.execute("BEGIN IMMEDIATE")
        done = in_mounts(mounted.command("restore.py", *OURS), mounted.mount)
    assert (done.returncode, "is in use by another program." in done.stderr) == (1, True)
    assert mounted.real.read_bytes() == before
    assert list(mounted.data.glob("*restor*")) == []


SWAP = "import sys, pathlib; from lib.sqlite.replacing import swap; swap.into_place(*map(pathlib.Path, sys.argv[1:3]))"
STATES = [left_in_wal, left_in_journal, left_persistent, left_clean]


def laid_out_mounted(tmp_path, state):
    """The journals lie beside the place, as SQLite writes them."""
    new, destination = laid_out(tmp_path / "data", state)
    return new, destination, destination.rename(destination.with_name("volume"))


@pytest.mark.campaign
@pytest.mark.parametrize("state", STATES)
def test_killed_in_the_middle_the_old_content_or_the_new_is_there(tmp_path, state):
    """Killed before any line of ours; SQLite's own steps between two lines are one transaction."""
    step, seen = 1, []
    while True:
        new, destination, volume = laid_out_mounted(tmp_path, state)
        destination.touch()
        done = in_mounts([sys.executable, "-c", KILLED + SWAP, new, destination, step], (volume, destination))
        destination.unlink()
        volume.rename(destination)
        seen.append(content(destination, tmp_path / "scratch"))
        assert seen[-1] in (OLD, NEW)
        copies = [content(path, tmp_path / "scratch") for path in destination.parent.glob("bot.db.before-restore-*Z")]
        assert copies in ([], [OLD])
        assert seen[-1] == OLD or copies == [OLD]
        if done.returncode == 0:
            break
        step += 3
    assert (seen[0], seen[-1]) == (OLD, NEW)


KILLED = """import os, sys
left = [int(sys.argv[3])]
def count(frame, event, _argument):
    if event == "line" and "/lib/sqlite/" in frame.f_code.co_filename:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), 9)
    return count
from lib.sqlite.replacing import swap
sys.settrace(count)
"""


def test_a_damaged_file_that_is_mounted_is_replaced_and_kept_byte_for_byte(tmp_path):
    new, destination, volume = laid_out_mounted(tmp_path, left_in_wal)
    volume.write_bytes(b"no database" * 1000)
    wal = Path(f"{destination}-wal").read_bytes()
    destination.touch()
    done = in_mounts([sys.executable, "-c", SWAP, new, destination], (volume, destination))
    assert done.returncode == 0, done.stderr
    assert content(volume, tmp_path / "scratch") == NEW
    (kept,) = destination.parent.glob("*.before-restore-*Z")
    assert (kept.read_bytes(), Path(f"{kept}-wal").read_bytes()) == (b"no database" * 1000, wal)
    assert not os.path.exists(f"{destination}-wal")


@pytest.mark.parametrize("modes", [("DELETE", "WAL"), ("WAL", "DELETE")])
def test_the_journal_mode_is_the_new_ones(tmp_path, modes):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, mode in zip(("volume", "new.db"), modes, strict=True):
        with contextlib.closing(sqlite3.connect(folder / name)) as database:
            database.execute(f"PRAGMA page_size = {4096 if name == 'volume' else 8192}")
            database.execute(f"PRAGMA journal_mode = {mode}")
            database.execute(f"CREATE TABLE t{mode} (a)")
    expected, old = shutil.copy(folder / "new.db", tmp_path / "expected"), shutil.copy(folder / "volume", tmp_path / "old")
    (folder / "bot.db").touch()
    done = in_mounts([sys.executable, "-c", SWAP, folder / "new.db", folder / "bot.db"], (folder / "volume", folder / "bot.db"))
    assert done.returncode == 0, done.stderr
    (kept,) = folder.glob("*.before-restore-*Z")
    assert sorted(path.name for path in folder.iterdir()) == sorted([kept.name, "bot.db", "bot.db.before-restore.json", "volume"])
    assert compare.differences(Path(expected), folder / "volume") == []
    assert compare.differences(Path(old), kept) == []


def in_wal_mode(bot):
    bot.sqlite(bot.premium, "PRAGMA journal_mode = WAL")
    return bot.data.resolve()


NEEDS = "the database is in WAL mode: to read it SQLite needs -wal and -shm beside it, and makes them where no bot runs"


def test_a_wal_database_that_is_mounted_read_only_says_what_it_needs(saved_bot):
    data = in_wal_mode(saved_bot)
    done = in_mounts(saved_bot.command("backup.py", "premium_system"), (data, data, "ro"))
    assert done.returncode == 1
    assert f"Try: let this user write to the folder {data} (a container: mount it without :ro)" in done.stderr
    assert NEEDS in done.stderr
    assert "restore it" not in done.stderr


def test_while_the_bot_runs_it_is_backed_up_from_there(saved_bot):
    data = in_wal_mode(saved_bot)
    with contextlib.closing(sqlite3.connect(saved_bot.premium)) as bot:
        bot.execute("UPDATE refunds SET status = 'in the wal'")
        bot.commit()
        done = in_mounts(saved_bot.command("backup.py", "premium_system"), (data, data, "ro"))
    assert (done.returncode, done.stderr) == (0, "")
    assert saved_bot.query("SELECT DISTINCT status FROM backup_premium_system.refunds") == [("in the wal",)]


def test_a_rollback_database_needs_nothing(saved_bot):
    data = saved_bot.data.resolve()
    assert in_mounts(saved_bot.command("backup.py"), (data, data, "ro")).returncode == 0


AS_NOBODY = """import os, sys, encodings.idna
from pathlib import Path
from lib.base.errors import SourceError
from lib.sqlite.snapshots import snapshot
os.setuid(65534)
try:
    with snapshot.taken(Path(sys.argv[1]), Path(sys.argv[2]), "full") as taken:
        print(taken.schema.own_tables[0].name)
except SourceError as problem:
    print(problem.text)"""
CLOSED = "it is root's: if it is meant for this user alone:  sudo chown nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize(
    ("state", "mode", "expected"),
    [(left_in_wal, 0o755, NEEDS), (left_in_journal, 0o755, "a crash has left a -journal"), (left_clean, 0o755, "t\n"),
     (left_clean, 0o700, CLOSED)],
)  # fmt: skip
def test_a_folder_that_this_user_may_not_write(state, mode, expected):
    """Another user may read the file, and no more; or not even that."""
    with tempfile.TemporaryDirectory() as name:
        shared, own = Path(name) / "shared", Path(name) / "own"
        shared.mkdir()
        own.mkdir()
        state(shared / "bot.db")
        Path(f"{shared}/bot.db-shm").unlink(missing_ok=True)
        for path, access in [(Path(name), 0o755), (shared, mode), (own, 0o777), *((path, 0o644) for path in shared.iterdir())]:
            path.chmod(access)
        command = [sys.executable, "-c", AS_NOBODY, shared / "bot.db", own / "snapshots"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment())
        assert expected in done.stdout, done.stderr
        assert "restore it" not in done.stdout
