"""Full: the plan's limit, the target's disk, this machine's disk. What cannot be done is refused with the numbers, and undone."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib.postgres import embedded
from lib.sqlite import sample
from tests import compare
from tests.bot import Bot
from tests.supabase import as_admin, make_database

MB = 1_000_000


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A file system of its own, in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode
    ):
        pytest.skip("only root can mount a small file system, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_database_that_is_nearly_full_is_a_warning_with_the_days_that_are_left(saved_bot):
    ((used,),) = saved_bot.query("SELECT pg_database_size(current_database())")
    limit = used * 11 // 10 // MB + 1
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB=str(limit))
    saved_bot.query(
        "UPDATE backup.runs SET database_bytes = database_bytes - 1000000, finished_at = finished_at - interval '10 days'"
    )
    sample.live(saved_bot.data, seed=1)
    said = saved_bot.run("backup.py").expect(0).stderr
    ((used_then,),) = saved_bot.query("SELECT pg_database_size(current_database())")
    told = [float(size) for size in re.findall(rf"Warning: the database has ([\d.]+) MB of {limit:.1f} MB \(", said)]
    assert told
    assert used / MB - 0.05 <= min(told) <= max(told) <= used_then / MB + 0.05
    assert "; at the present growth it is full in " in said


def test_what_cannot_fit_is_refused_with_the_numbers(saved_bot):
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="1")
    before = saved_bot.query("SELECT last_run FROM backup.sources ORDER BY source")
    said = saved_bot.run("backup.py").expect(1).stderr
    assert "premium_system does not fit: the database has " in said
    assert " of 1.0 MB, and 0 B are to be added (the file has " in said
    assert "the last good backup is run 1, " in said
    assert saved_bot.query("SELECT last_run FROM backup.sources ORDER BY source") == before
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="0")
    assert saved_bot.run("backup.py").expect(0).stderr == ""


def test_the_target_s_disk_is_full(server, tmp_path):
    """The database lies in a tablespace on a small disk of its own."""
    with (
        reachable_folder() as folder,
        small_disk(folder / "disk", "24m") as disk,
        room_on(server, disk),
        make_database(server, "crowded") as url,
    ):
        as_admin(server, "ALTER DATABASE crowded SET TABLESPACE small")
        bot = Bot.make(tmp_path / "bot", url, users=120)
        bot.run("setup_supabase.py").expect(0)
        before, filler = bot.keep_copies(), "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"
        many = "INSERT INTO notes (text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) "
        bot.sqlite(bot.premium, f"{filler}; {many} SELECT hex(randomblob(200)) FROM n")
        said = bot.run("backup.py", "premium_system").expect(1).stderr
        assert "the target's disk is full." in said
        assert "the last good backup is run 1, " in said
        out = bot.folder / "out"
        bot.run("restore.py", "--yes", "--to", str(out)).expect(0)
        for name, path in before.items():
            assert compare.differences(path, out / path.name) == [], name
        bot.sqlite(bot.premium, "DROP TABLE notes")
        bot.run("backup.py").expect(0)


@contextlib.contextmanager
def reachable_folder():
    """A folder that the server's user can reach, as it cannot reach pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextlib.contextmanager
def room_on(server, disk):
    shutil.chown(disk, embedded._unprivileged_user())
    as_admin(server, f"CREATE TABLESPACE small LOCATION '{disk}'")
    try:
        yield
    finally:
        as_admin(server, "DROP TABLESPACE small")


def test_this_disk_is_full_while_the_snapshot_is_copied(saved_bot):
    with small_disk(saved_bot.folder / "snapshots-small", "12k") as disk:
        (saved_bot.folder / "snapshots").rename(saved_bot.folder / "snapshots-before")
        (saved_bot.folder / "snapshots").symlink_to(disk)
        said = saved_bot.run("backup.py").expect(1).stderr
        assert "premium_system.db: " in said
        assert "Try: free some space:  df -h " in said
        assert {path.name for path in disk.iterdir()} <= {"runs.jsonl"}  # this machine's record of the failure
        (saved_bot.folder / "snapshots").unlink()
    saved_bot.run("backup.py").expect(0)


def test_this_disk_is_full_while_restoring(saved_bot):
    before = saved_bot.keep_copies()
    with small_disk(saved_bot.folder / "small", "100k") as disk:
        said = saved_bot.run("restore.py", "--yes", "--to", str(disk)).expect(1).stderr
        assert "cannot be rebuilt: " in said
        assert list(disk.iterdir()) == []
    for name, path in before.items():
        assert compare.differences(path, saved_bot.data / path.name) == [], name


def test_a_full_disk_under_the_log_does_not_stop_a_backup(saved_bot):
    with small_disk(saved_bot.folder / "logs", "16k") as disk:
        saved_bot.write_env(BACKUP_LOG="logs/backup.log")
        (disk / "filler").write_bytes(b"x" * 12_000)
        for seed in range(3):
            sample.live(saved_bot.data, seed)
            saved_bot.run("backup.py").expect(0)
    saved_bot.write_env()
    saved_bot.assert_restorable()
