"""A cause that has a name is told by it: nothing is unexpected, nothing to be reported, and no sound file to be restored."""

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from lib.base import causes
from lib.base.errors import Problem
from lib.sqlite.files import integrity, remedy
from tests import compare
from tests.stand_ins.bot import REPOSITORY, Result, copy_checkout, environment

SCRIPTS = ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py")
NEVER = ("Traceback", "unexpected", "report it", "restore it", "(Disasters", "Exception")
# All that sqlite3_errstr can say; https://sqlite.org/rescode.html.
SQLITE_SAYS = """SQL logic error;unknown error;access permission denied;query aborted;database is locked;database table is locked
out of memory;attempt to write a readonly database;interrupted;disk I/O error;unknown operation;database or disk is full
unable to open database file;locking protocol;database schema has changed;string or blob too big;constraint failed
datatype mismatch;bad parameter or other API misuse;large file support is disabled;authorization denied
column index out of range;notification message;warning message;abort due to ROLLBACK""".replace("\n", ";").split(";")
DAMAGE = ("database disk image is malformed", "file is not a database")


@pytest.mark.parametrize("number", errno.errorcode, ids=errno.errorcode.get)
def test_every_error_of_the_system_has_a_remedy(number):
    told = causes.of(OSError(number, os.strerror(number), "/bot/file"))
    assert told.what == f"{os.strerror(number)}: /bot/file."
    assert told.remedy
    assert not [text for text in NEVER if text in told.text]


@pytest.mark.parametrize("said", SQLITE_SAYS)
def test_every_error_of_sqlite_has_a_remedy(said, bot):
    told = remedy.source_error(bot.premium, sqlite3.OperationalError(said), has_backup=True)
    assert told.what == f"premium_system.db: {said}."
    assert told.remedy
    assert not [text for text in NEVER if text in told.text]


@pytest.mark.parametrize("said", DAMAGE)
def test_only_what_sqlite_calls_damage_is_to_be_restored(said, bot):
    told = remedy.source_error(bot.premium, sqlite3.DatabaseError(said), has_backup=True)
    assert told.remedy == "restore it with  python3 restore.py --database premium_system"
    assert "restore it" not in remedy.source_error(bot.premium, OSError(errno.EIO, said), has_backup=True).remedy


def test_a_working_directory_that_is_gone_is_told(bot):
    """The scripts are called by their path, as cron does."""
    gone = bot.folder / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'rmdir "$0" && "$@"', str(gone), *bot.command("backup.py")]
    command[command.index("--env-file") + 1] = ".env"
    done = subprocess.run(command, cwd=gone, capture_output=True, text=True)
    assert done.stderr == "Error: the folder that this was called in is gone.\nTry: call it in one that is there:  cd /\n"


def test_a_mistake_of_ours_is_to_be_reported():
    assert causes.of(ValueError("x")).what == "an unexpected ValueError: x"
    assert "report it" in causes.of(ValueError("x")).remedy


@pytest.mark.parametrize(("code", "reason"), [(10, "I/O error"), (266, "I/O error"), (7, "out of memory"), (13, "full")])
def test_a_page_that_could_not_be_read_is_not_damaged(code, reason):
    with pytest.raises(sqlite3.OperationalError, match=reason):
        integrity.refuse_unread(["row 1 missing from index i", f"Tree 4 page 9: unable to get the page. error code={code}"])


def test_a_page_that_is_damaged_is():
    integrity.refuse_unread(["Tree 4 page 9: unable to get the page. error code=11", "row 1 missing from index i"])


def limited(bot, limit, script, *flags):
    """Run a script with a limit of the shell's."""
    command = ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *bot.command(script, *flags)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=bot.folder, timeout=120)
    return Result(done.returncode, done.stdout, done.stderr)


TYPED = (["backup.py", "--full"], ["restore.py", "--yes"], ["restore.py", "--drill"], ["setup_supabase.py", "--check"])
REMEDIES = {
    "-v": ("ulimit -v", "free -m"),
    "-f": ("ulimit -f", "ulimit -f"),
    "-n": ("ulimit -n", "ulimit -u"),
}
LIMITS = {"-v": range(30_000, 150_000, 4000), "-f": (10, 40, 100), "-n": range(7, 20)}


@pytest.mark.skipif(sys.platform != "linux", reason="not every system has these limits")
@pytest.mark.parametrize("what", LIMITS)
@pytest.mark.parametrize("typed", TYPED, ids=" ".join)
def test_what_the_shell_limits_is_named_and_no_file_is_blamed(saved_bot, what, typed):
    _refused(saved_bot, what, typed, LIMITS[what][:1])


@pytest.mark.campaign
@pytest.mark.skipif(sys.platform != "linux", reason="not every system has these limits")
@pytest.mark.parametrize("what", LIMITS)
@pytest.mark.parametrize("typed", TYPED, ids=" ".join)
def test_whatever_the_shell_limits_is_named_wherever_it_strikes(saved_bot, what, typed):
    _refused(saved_bot, what, typed, LIMITS[what])


def _refused(bot, what, typed, limits):
    kept, refused = bot.keep_copies(), 0
    for limit in limits:
        done = limited(bot, f"{what} {limit}", *typed)
        if what == "-v" and done.status and not re.search("^Error: ", done.stderr, re.MULTILINE):
            refused += 1  # loader, interpreter or allocator gave up: which of them it is, is luck
            continue
        # Where there is too little memory for a hash, the standard library itself prints a traceback, and goes on.
        said = re.sub(r"ERROR:root:code for hash .*(?=Error: )", "", done.stdout + done.stderr, flags=re.DOTALL)
        assert not [text for text in NEVER if text in said], (limit, said)
        assert done.status in (0, 1, 2, 3), (limit, done)
        if done.status:
            refused += 1
            assert any(hint in said for hint in REMEDIES[what]), (limit, said)
    assert refused
    for path in bot.databases:
        assert compare.differences(kept[path.stem], path) == []


HOW = {
    "-P": {},
    "-I": {},
    "-OO": {},
    "-W error": {},
    "-X dev": {},
    "PYTHONSAFEPATH": {"PYTHONSAFEPATH": "1"},
    "PYTHONOPTIMIZE": {"PYTHONOPTIMIZE": "2"},
    "PYTHONWARNINGS": {"PYTHONWARNINGS": "error"},
}


@pytest.mark.parametrize("how", HOW)
def test_a_script_works_however_python_is_started(saved_bot, how, tmp_path):
    if how == "-P" and sys.version_info < (3, 11):
        pytest.skip("this Python does not know it")
    flags = how.split() if how.startswith("-") else []
    for script in SCRIPTS:
        command = [sys.executable, *flags, str(REPOSITORY / script), "--help"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment() | HOW[how], cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"usage: python3 {script}" in done.stdout
    first, *rest = saved_bot.command("backup.py", "--verify")
    done = subprocess.run([first, *flags, *rest], capture_output=True, text=True, env=environment() | HOW[how], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HYBRID_BACKUP_CONNECT_SECONDS", "abc", "'abc' is not a number of seconds from 1 to 1000000."),
        ("HYBRID_BACKUP_CONNECT_SECONDS", "0", "'0' is not a number of seconds"),
        ("HYBRID_BACKUP_STATEMENT_SECONDS", "0.2", "'0.2' is not a number of seconds"),
        ("HYBRID_BACKUP_STATEMENT_SECONDS", "inf", "'inf' is not a number of seconds"),
        ("HYBRID_BACKUP_RETRY_SECONDS", "-1", "'-1' is not a number of seconds from 0"),
        ("HYBRID_BACKUP_FIRST_LOAD_SECONDS", "1e400", "'1e400' is not a number of seconds from 0"),
        ("HYBRID_BACKUP_RETRI_SECONDS", "4", "is no limit of Hybrid backup; is it misspelt?"),
    ],
)
def test_a_wrong_limit_is_told_with_the_settings(bot, name, value, said):
    bot.environment = {name: value}
    for script in SCRIPTS:
        done = bot.run(script).expect(2)
        assert f"{name} " in done.stderr
        assert said in done.stderr


def test_a_limit_in_the_settings_file_would_come_too_late_and_is_told(bot):
    bot.write_env(HYBRID_BACKUP_RETRY_SECONDS="4")
    said = bot.run("backup.py").expect(2).stderr
    assert "HYBRID_BACKUP_RETRY_SECONDS belongs into the environment, not into .env" in said


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_sample_as_it_is_copied_is_refused_by_name(bot, script):
    shutil.copy(REPOSITORY / ".env.example", bot.folder / ".env")
    assert "SUPABASE_DB_URL still holds the sample's text" in bot.run(script).expect(2).stderr


def test_a_driver_that_cannot_be_loaded_and_a_venv_that_cannot_be_started(tmp_path):
    checkout, broken = copy_checkout(tmp_path), tmp_path / "site" / "psycopg2"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import psycopg2._made_for_another_python")
    command = [sys.executable, "-S", str(checkout / "backup.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment() | {"PYTHONPATH": str(broken.parent)})
    assert done.returncode == 2
    assert "psycopg2, the PostgreSQL driver, cannot be loaded: No module named 'psycopg2._made_for" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"\nTry: python3 -m venv {checkout}/.venv" in done.stderr
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    python.chmod(0o600)
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {python} cannot be started: Permission denied.\n")
    assert f"python3 -m venv {checkout}/.venv" in done.stderr


def test_a_problem_keeps_its_own_words():
    assert isinstance(causes.named(MemoryError()), Problem)
    assert causes.named(MemoryError()).what == "out of memory."
