"""Every failure says what happened, what was not touched and what to do; no traceback, no secret."""

import contextlib
import importlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from lib.sqlite.files import integrity
from lib.trying import sample_bot
from tests.stand_ins.bot import REPOSITORY, copy_checkout, environment
from tests.stand_ins.unreachable import down

EXPECTED = {
    "0 bytes": "premium_system.db is empty (0 bytes).",
    "a text file": "premium_system.db: file is not a database.",
    "a wrong magic": "premium_system.db: file is not a database.",
    "half a file": "premium_system.db: database disk image is malformed",
    "a zeroed page": "premium_system.db: database disk image is malformed",
}
UNTOUCHED = "Nothing was changed in Supabase; the last good backup is run 1, "


def refused(result, status=1):
    """Expect a failure of the Error: / Try: form, and return what it says."""
    result.expect(status)
    assert result.stderr.startswith("Error: ") or "\nError: " in result.stderr, result.stderr
    assert "\nTry: " in result.stderr, result.stderr
    return result.stderr


def test_wrong_password(saved_bot):
    wrong = "not-the-password-4711"
    saved_bot.write_env(SUPABASE_DB_URL=saved_bot.url.replace(saved_bot.password, wrong))
    for script in ("backup.py", "restore.py"):
        said = refused(saved_bot.run(script))
        assert "cannot connect to 127.0.0.1:" in said
        assert "the password was refused." in said
        assert wrong not in said
    log = (saved_bot.folder / "supabase_backup.log").read_text()
    assert "the password was refused" in log
    assert wrong not in log


def test_unreachable_host(saved_bot):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    saved_bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{port}/postgres")
    assert f"cannot connect to 127.0.0.1:{port} as postgres: nothing listens at that address." in refused(
        saved_bot.run("backup.py")
    )
    saved_bot.write_env(SUPABASE_DB_URL="postgresql://postgres:secret-4711@db.invalid:5432/postgres")
    assert "there is no such host." in refused(saved_bot.run("backup.py"))


def test_missing_source_is_not_created_and_does_not_stop_the_other(saved_bot):
    saved_bot.premium.unlink()
    said = refused(saved_bot.run("backup.py"), 3)
    assert f"{saved_bot.premium} does not exist.\n{UNTOUCHED}" in said
    assert not saved_bot.premium.exists()
    assert saved_bot.query("SELECT source FROM backup.runs WHERE run = (SELECT max(run) FROM backup.runs)") == [
        ("user_requests",)
    ]


def test_the_last_good_backup_stays_when_a_source_breaks(saved_bot):
    before = saved_bot.mirror_counts()
    kept = saved_bot.keep_copies()
    damage = {
        "0 bytes": b"",
        "a text file": b"These are my notes. " * 500,
        "a wrong magic": b"SQLite format 4\0" + kept["premium_system"].read_bytes()[16:],
        "half a file": kept["premium_system"].read_bytes()[:40_000],
        "a zeroed page": kept["premium_system"].read_bytes()[:4096] + bytes(8192) + kept["premium_system"].read_bytes()[12_288:],
    }
    for what, content in damage.items():
        saved_bot.premium.write_bytes(content)
        said = refused(saved_bot.run("backup.py", "premium_system"))
        assert said.startswith(f"Error: {saved_bot.premium.name}"), what
        assert UNTOUCHED in said, what
        assert EXPECTED[what] in said, said
        assert "Try: restore it with  python3 restore.py --database premium_system" in said, what
        assert saved_bot.premium.read_bytes() == content, what
    shutil.copy(kept["premium_system"], saved_bot.premium)
    assert saved_bot.mirror_counts() == before


@pytest.mark.parametrize("what", ["a dangling link", "an encrypted file", "a newer format", "a directory"])
def test_what_is_no_database_is_refused_and_nothing_is_created(saved_bot, what):
    content = saved_bot.premium.read_bytes()
    saved_bot.premium.unlink()
    if what == "a dangling link":
        saved_bot.premium.symlink_to(saved_bot.folder / "nowhere.db")
    elif what == "an encrypted file":
        saved_bot.premium.write_bytes(bytes((byte * 7 + 13) % 256 for byte in content))
    elif what == "a newer format":
        saved_bot.premium.write_bytes(content[:18] + b"\x03\x03" + content[20:])
    else:
        saved_bot.premium.mkdir()
    before = sorted(saved_bot.data.iterdir())
    said = refused(saved_bot.run("backup.py", "premium_system"))
    assert "premium_system.db" in said.splitlines()[0]
    assert UNTOUCHED in said
    assert sorted(saved_bot.data.iterdir()) == before


def told_of(bot, place):
    """Name a path in .env; return what a backup says of it, with the path alone."""
    bot.write_env(SQLITE_DATABASES=str(place))
    return refused(bot.run("backup.py")).replace(str(bot.folder), "BOT")


def test_a_path_that_leads_to_no_file_is_told_as_what_it_is(saved_bot):
    misspelt = told_of(saved_bot, "sqlite_data/premium_sytem.db")
    assert "Error: BOT/sqlite_data/premium_sytem.db does not exist.\n" in misspelt
    assert "Try: correct SQLITE_DATABASES in .env: premium_system.db is there\n" in misspelt
    assert "premium_system.db is there" in told_of(saved_bot, "sqlite_data/Premium_System.DB")
    assert "BOT/sqlite/data/x.db does not exist: there is no folder BOT/sqlite.\n" in told_of(saved_bot, "sqlite/data/x.db")
    folder = told_of(saved_bot, "sqlite_data")
    assert "Error: BOT/sqlite_data is a folder, not a database.\n" in folder
    assert "; in it: premium_system.db, user_requests.db\n" in folder
    (saved_bot.folder / "mounted.db").mkdir()
    assert "Docker makes one where it finds no file to mount" in told_of(saved_bot, "mounted.db")
    (saved_bot.folder / "link.db").symlink_to("gone/shop.db")
    assert "BOT/link.db is a link to gone/shop.db, which does not exist.\n" in told_of(saved_bot, "link.db")
    assert "/dev/null is not a file." in told_of(saved_bot, "/dev/null")


def test_a_lost_database_is_restored_and_is_not_its_neighbour(bot):
    """Another source is never what was meant; a file that is nobody's may be, and comes behind the restore."""
    ours = [bot.premium.rename(bot.data / "shop1.db"), bot.requests.rename(bot.data / "shop2.db")]
    bot.write_env(SQLITE_DATABASES="sqlite_data/shop1.db,sqlite_data/shop2.db")
    bot.run("setup_supabase.py").expect(0)
    ours[0].rename(bot.data / "kept")
    restore = "Try: restore it with  python3 restore.py --database shop1  or correct SQLITE_DATABASES in .env"
    asked = ("backup.py", "--dry-run"), ("setup_supabase.py", "--check"), ("backup.py",)
    for script, *flags in asked:
        done = bot.run(script, *flags)
        assert f"{restore}\n" in done.stdout + done.stderr, done
    bot.write_env(SQLITE_DATABASES="sqlite_data/shop1.db")
    for command in asked:
        done = bot.run(*command)
        assert f"{restore}: shop2.db is there\n" in done.stdout + done.stderr, done
    bot.write_env(SQLITE_DATABASES="sqlite_data/shop3.db,sqlite_data/shop2.db")
    assert "Try: correct SQLITE_DATABASES in .env\n" in bot.run("backup.py").expect(3).stderr


def test_setup_and_the_trial_look_for_the_files_before_anything_else(bot):
    bot.write_env(SQLITE_DATABASES="sqlite_data/premium_sytem.db,sqlite_data", SUPABASE_DB_URL=down(bot.url))
    for script, *flags in (("setup_supabase.py",), ("setup_supabase.py", "--check"), ("test_backup.py",)):
        said = bot.run(script, *flags).expect(1).stdout
        assert "premium_sytem.db does not exist.\n     Try: correct SQLITE_DATABASES in .env: premium_system.db is there" in said
        assert "is a folder, not a database." in said
        assert "Connection" not in said


def test_a_source_may_be_called_by_its_path(saved_bot):
    for name in ("Premium_System", "premium_system.db", str(saved_bot.premium), "sqlite_data/premium_system.db"):
        assert [run["source"] for run in saved_bot.backup(name)["runs"]] == ["premium_system"]
        assert saved_bot.run("restore.py", "--database", name, "--dry-run").expect(0).stdout.count(" → ") == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody who may not read the file")
def test_no_permission_is_said(saved_bot):
    from lib.base.errors import SourceError
    from lib.sqlite.snapshots import snapshot

    saved_bot.premium.chmod(0o600)
    for folder in (saved_bot.data, *saved_bot.data.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    (saved_bot.folder / "mine").mkdir(mode=0o777)
    (saved_bot.folder / "mine").chmod(0o777)
    importlib.import_module("concurrent.futures.thread")  # loaded when first used, from a folder that may be root's alone
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            with snapshot.taken(saved_bot.premium, saved_bot.folder / "mine", "full"):
                os._exit(1)
        except SourceError as error:
            os._exit(0 if f"sudo chown nobody {saved_bot.premium}" in error.remedy else 2)
        except BaseException:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_damaged_index_is_found(saved_bot):
    saved_bot.sqlite(
        saved_bot.premium,
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_master SET sql = replace(sql, 'owner_id', 'group_id') WHERE name = 'idx_owner'",
    )
    said = refused(saved_bot.run("backup.py", "premium_system"))
    assert (
        "Error: premium_system.db: database disk image is malformed (integrity_check: row 1 missing from index idx_owner" in said
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a thread has a niceness of its own")
def test_the_check_gives_way_to_everybody_else(tmp_path, monkeypatch):
    path = tmp_path / "source.db"
    path.touch()
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    seen = []

    def check(*_):
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return []

    monkeypatch.setattr(integrity, "_check", check)
    with contextlib.closing(integrity.Checking(path, "full")) as checking:
        checking.finish()
    assert seen == [min(ours + integrity.NICE, 19)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


def test_setup_has_not_been_run(bot):
    for script in ("backup.py", "restore.py"):
        said = refused(bot.run(script))
        assert "the target has not been set up" in said
        assert "Try: python3 setup_supabase.py" in said


def test_a_source_that_setup_does_not_know(saved_bot):
    saved_bot.sqlite(saved_bot.data / "shop.db", "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/premium_system.db,sqlite_data/shop.db")
    said = refused(saved_bot.run("backup.py"), 3)
    assert "Error: 127.0.0.1 has no mirrors for shop." in said
    assert "Try: python3 setup_supabase.py" in said


def test_no_rights(saved_bot, server):
    saved_bot.query(f"CREATE ROLE weak_{os.getpid()} LOGIN PASSWORD 'weak-4711'")
    try:
        saved_bot.write_env(
            SUPABASE_DB_URL=saved_bot.url.replace(f"postgres:{saved_bot.password}", f"weak_{os.getpid()}:weak-4711")
        )
        said = refused(saved_bot.run("backup.py"))
        assert "the user has no right to do this. (permission denied for schema backup)" in said
        assert "Try: python3 setup_supabase.py --check" in said
        said = saved_bot.run("setup_supabase.py").expect(1).stdout
        assert "may not create schemas and temporary tables" in said
    finally:
        saved_bot.query(f"DROP ROLE weak_{os.getpid()}")


def test_a_read_only_project(saved_bot):
    ((name,),) = saved_bot.query("SELECT current_database()")
    saved_bot.query(f"ALTER ROLE postgres IN DATABASE {name} SET default_transaction_read_only = on")
    said = refused(saved_bot.run("backup.py"))
    assert "the database is read only: on Supabase's free plan that means that its 500 MB are used up." in said


def test_no_settings_lists_all_of_them(tmp_path):
    command = [sys.executable, str(REPOSITORY / "backup.py"), "--env-file", str(tmp_path / ".env")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment() | {"BACKUP_KEEP_DAYS": "many"})
    assert done.returncode == 2
    assert done.stderr.startswith("Error: 3 settings need attention")
    for said in ("does not exist", "SUPABASE_DB_URL is not set", "BACKUP_KEEP_DAYS 'many' is not a whole number", ".env.example"):
        assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_is_named(saved_bot):
    saved_bot.write_env(BACKUP_KEEP_DAY="3", SUPABASE_KEY="the bot's own")
    said = refused(saved_bot.run("backup.py"), 2)
    assert "BACKUP_KEEP_DAY is not a setting of Hybrid backup; is it misspelt?" in said
    assert "SUPABASE_KEY" not in said


def test_a_malformed_line_is_named(saved_bot):
    with open(saved_bot.folder / ".env", "a") as file:
        file.write("\nthis is no setting\n")
    assert ".env line 3 is not NAME=value." in refused(saved_bot.run("backup.py"), 2)


def test_the_samples_text_is_refused_by_name(saved_bot):
    saved_bot.write_env(
        SUPABASE_DB_URL="postgresql://postgres.abcdef:YOUR_PASSWORD@aws-0-eu-central-1.pooler.supabase.com:5432/postgres"
    )
    assert "SUPABASE_DB_URLPASSWORD" not in refused(saved_bot.run("backup.py"), 2)
    assert "SUPABASE_DB_URL still holds the sample's text" in saved_bot.run("backup.py").stderr


def test_an_unknown_flag(saved_bot):
    said = refused(saved_bot.run("backup.py", "--fulll"), 2)
    assert "unrecognized arguments: --fulll" in said
    assert "Try: python3 backup.py --help" in said


def test_a_failure_in_json_has_error_and_try(saved_bot):
    saved_bot.premium.unlink()
    saved_bot.requests.unlink()
    found = saved_bot.run("backup.py", "--json").expect(1).json
    assert found["outcome"] == "failed"
    assert "does not exist" in found["error"]
    assert "restore.py" in found["try"]
    usage = saved_bot.run("backup.py", "nobody", "--json").expect(2).json
    assert set(usage) == {"outcome", "error", "try"}


def test_no_psycopg2_names_the_one_command(tmp_path):
    """A Python without site-packages stands for a machine where nothing was installed."""
    checkout = copy_checkout(tmp_path)
    for script in ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py"):
        command = [sys.executable, "-S", str(checkout / script)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: psycopg2, the PostgreSQL driver, is not installed for this Python.\n")
        assert f"\nTry: python3 -m venv {checkout}/.venv && {checkout}/.venv/bin/pip install -r" in done.stderr


def test_a_bot_that_holds_the_file_for_ever_is_named(saved_bot, monkeypatch, capsys):
    monkeypatch.setenv("HYBRID_BACKUP_VENV", "")
    from lib.base.errors import SourceError
    from lib.settings import limits
    from lib.sqlite.snapshots import live_file, snapshot

    monkeypatch.setattr(limits, "TURN_SECONDS", 0.2)
    monkeypatch.setattr(live_file, "TOLD_SECONDS", 0)
    holder = sqlite3.connect(saved_bot.premium, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with (
            pytest.raises(SourceError, match=r"premium_system.db was locked for more than 0.2 seconds"),
            snapshot.taken(saved_bot.premium, saved_bot.folder / "snapshots", "full"),
        ):
            pass
    finally:
        holder.close()
    assert capsys.readouterr().err == "premium_system.db is locked by another program: waiting, 0.2 seconds at most\n"
    assert sample_bot.PREMIUM in os.listdir(saved_bot.data)
