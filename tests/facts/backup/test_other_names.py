"""A database in WAL mode has a -wal beside each of its names: what is committed by another one than ours is not passed over."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from tests.stand_ins.bot import environment
from tests.stand_ins.editing import ACCEPTED, S
from tests.stand_ins.living import has, living, pay
from tests.stand_ins.mounts import may_mount, mounted_at

OPEN = "premium_system.db: a program has the file open by another name, and what is committed by another name than "
MOUNTED = "premium_system.db: the file itself is a mount, and what is committed by another name than "
LINKED = "premium_system.db: the file has a second name (a hard link), and what is committed by another name than "
REMEDY = "let SQLITE_DATABASES name the very path that the bot opens, and mount the folder, not the file, into a container."
PAID = "INSERT INTO payment_history (owner_id, payment_id, stars_amount, status, created_at) VALUES (1, 'unseen', 5, 'paid', 1)"
BOT = f'''import sqlite3, sys
bot = sqlite3.connect(sys.argv[1], isolation_level=None)
bot.execute("""{PAID}""")
print("committed", flush=True)
sys.stdin.read()'''


@contextlib.contextmanager
def committed_by(path, *before):
    """A bot that has the database open by a name, and has committed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*before, sys.executable, "-c", BOT, path], env=environment(), **pipes) as bot:
        try:
            assert bot.stdout.readline() == b"committed\n"
            yield
        finally:
            bot.stdin.close()


@pytest.fixture
def in_wal_mode(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "PRAGMA journal_mode = WAL")
    return saved_bot


@pytest.fixture
def linked(in_wal_mode):
    """The database has a second name, in another folder."""
    in_wal_mode.other = in_wal_mode.folder / "other.db"
    os.link(in_wal_mode.premium, in_wal_mode.other)
    return in_wal_mode


def warnings(bot, *flags):
    return bot.run("backup.py", "premium_system", "--json", *flags).expect(0).json["warnings"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_a_bot_that_has_a_hard_link_open_is_told_with_what_to_do(linked):
    with committed_by(linked.other):
        for flags in ([], ["--dry-run"], []):
            (said,) = warnings(linked, *flags)
            assert (said.startswith(OPEN), said.endswith(REMEDY)) == (True, True)
        assert not has(linked, "unseen")
    (said,) = warnings(linked)
    assert said.startswith(LINKED)
    assert has(linked, "unseen")
    linked.other.unlink()
    assert warnings(linked) == []


@pytest.mark.skipif(sys.platform != "linux" or not may_mount(), reason="this user may not make a mount namespace")
def test_a_bot_in_a_container_that_mounts_the_file_alone_is_told(in_wal_mode):
    place = in_wal_mode.folder / "in the container.db"
    place.touch()
    with committed_by(place, *mounted_at(in_wal_mode.premium, place)):
        (said,) = warnings(in_wal_mode)
        assert said.startswith(OPEN)
    assert warnings(in_wal_mode) == []


@pytest.mark.skipif(not may_mount(), reason="this user may not make a mount namespace")
def test_a_backup_in_such_a_container_says_so_itself(in_wal_mode):
    volume = in_wal_mode.premium.rename(in_wal_mode.folder / "volume.db")
    in_wal_mode.premium.touch()
    command = [*mounted_at(volume, in_wal_mode.premium), *in_wal_mode.command("backup.py", "premium_system")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert (done.returncode, MOUNTED in done.stderr, REMEDY in done.stderr) == (0, True, True)


def test_in_rollback_mode_there_is_nothing_to_say(saved_bot):
    os.link(saved_bot.premium, saved_bot.folder / "other.db")
    with contextlib.closing(sqlite3.connect(saved_bot.folder / "other.db")) as bot:
        bot.execute("BEGIN")
        bot.execute("SELECT count(*) FROM refunds").fetchone()
        assert warnings(saved_bot) == []


def test_a_bot_that_has_our_name_open_is_no_reason_to_warn(in_wal_mode):
    with committed_by(in_wal_mode.premium):
        assert warnings(in_wal_mode) == []
        assert has(in_wal_mode, "unseen")


def test_live_backups_say_it_once_and_not_with_each_batch(linked):
    with living(linked) as live:
        for number in range(4):
            pay(linked, f"payment {number}")
            live.until_it_has(f"payment {number}")
        # By the first run, which is an ordinary one.
        assert live.stderr.read_text().count(LINKED) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_no_edit_is_written_beside_a_program_whose_locks_nobody_sees(linked):
    linked.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    linked.run("backup.py").expect(0)
    linked.query(f"UPDATE {S} SET expires_at = 7 WHERE id = 2")
    expires = "SELECT expires_at FROM premium_subscriptions WHERE id = 2"
    before = linked.sqlite_rows(linked.premium, expires)
    with committed_by(linked.other):
        said = linked.run("backup.py", "premium_system").expect(1).stderr
        assert "no edit is brought in while a program has the file open by another name." in said
    assert linked.sqlite_rows(linked.premium, expires) == before
    linked.run("backup.py", "premium_system").expect(0)
    assert linked.sqlite_rows(linked.premium, expires) == [(7,)]


def test_a_restore_says_that_a_second_name_leads_to_the_old_file(linked):
    said = linked.run("restore.py", "--database", "premium_system", "--yes").expect(0).stdout
    assert "    that file has a second name (a hard link), which goes on leading to the old one\n" in said
