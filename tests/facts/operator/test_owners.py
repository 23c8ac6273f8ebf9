"""Root and the bot's user: what root has made can be used by the other, or it is said how; what root runs is root's alone."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lib.base import owners
from lib.settings import config
from tests.stand_ins.bot import REPOSITORY, Bot, Result, copy_checkout, environment

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else")
# Everything is loaded first: Python itself may be in a folder that is root's alone.
AS_NOBODY = f"""
import importlib, os, pathlib, sys
import concurrent.futures.thread, difflib, email.utils, encodings.idna, pwd
sys.argv = sys.argv[1:]
sys.path.insert(0, {str(REPOSITORY)!r})
for path in pathlib.Path({str(REPOSITORY)!r}).glob("lib/**/*.py"):
    importlib.import_module(".".join(path.relative_to({str(REPOSITORY)!r}).with_suffix("").parts).removesuffix(".__init__"))
for name in ("backup", "restore", "setup_supabase"):
    importlib.import_module(name)
code = compile(pathlib.Path(sys.argv[0]).read_text(), sys.argv[0], "exec")
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
doc = sys.modules[pathlib.Path(sys.argv[0]).stem].__doc__
exec(code, {{"__name__": "__main__", "__file__": sys.argv[0], "__doc__": doc}})
"""


@pytest.fixture
def place():
    """A folder that others may pass through: pytest's own are root's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def bot(place, database):
    return Bot.make(place / "bot", database, users=120)


def give(*paths):
    for path in paths:
        os.chown(path, NOBODY, NOBODY)


@pytest.fixture
def handed_over(saved_bot):
    """What root has set up, given to the bot's user; but nobody thought of the log and the snapshots."""
    give(saved_bot.folder, saved_bot.folder / ".env", saved_bot.data, *saved_bot.databases)
    return saved_bot


def as_nobody(bot, script, *flags):
    _, *command = bot.command(script, *flags)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, *command], capture_output=True, text=True, env=environment())
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "command",
    [
        ("backup.py",),
        ("backup.py", "--verify"),
        ("backup.py", "--dry-run"),
        ("restore.py", "--drill"),
        ("setup_supabase.py",),
        ("setup_supabase.py", "--check"),
    ],
)
def test_a_folder_that_root_has_made_is_named_with_what_to_type(handed_over, command):
    done = as_nobody(handed_over, *command).expect(1)
    said, snapshots = done.stdout + done.stderr, handed_over.folder / "snapshots"
    assert f"this user cannot write to the folder {snapshots}." in said
    assert f"Try: it is root's: give it to the user who runs this:  sudo chown -R nobody {snapshots}" in said
    assert "unexpected" not in said


@pytest.mark.parametrize(
    "command",
    [
        ("backup.py", "--status"),
        ("restore.py", "--list"),
        ("restore.py", "--dry-run"),
        ("restore.py", "--yes"),
        ("restore.py", "--undo"),
        ("restore.py", "--local", "--yes"),
    ],
)
def test_what_needs_no_snapshot_goes_on_and_nothing_is_unexpected(handed_over, command):
    done = as_nobody(handed_over, *command)
    assert done.status == (1 if set(command) & {"--undo", "--local"} else 0)
    assert "Traceback" not in done.stdout + done.stderr
    assert "unexpected" not in done.stdout + done.stderr


def test_what_it_says_helps(handed_over):
    snapshots, log = handed_over.folder / "snapshots", handed_over.folder / "supabase_backup.log"
    give(snapshots, *snapshots.iterdir())
    said = as_nobody(handed_over, "backup.py").expect(0).stderr
    assert said == (
        f"Warning: the log {log} cannot be written (Permission denied): it is root's: give it to the user who runs this:  "
        f"sudo chown nobody {log}\n"
    )
    give(log)
    assert as_nobody(handed_over, "backup.py").expect(0).stderr == ""


def test_settings_that_only_root_can_read_are_not_said_to_be_missing(bot):
    give(bot.folder)
    for closed in (bot.folder, bot.folder / ".env"):
        mode = closed.stat().st_mode
        os.chown(closed, 0, 0)
        closed.chmod(0o700 if closed.is_dir() else 0o600)
        said = as_nobody(bot, "backup.py").expect(2).stderr
        assert said.startswith(f"Error: this user cannot read {closed}.\nNothing was read or written.\nTry: it is root's: ")
        assert said.endswith(f"sudo chown nobody {closed}\n")
        give(closed)
        closed.chmod(mode)
    os.chown(bot.folder, 0, 0)
    bot.folder.chmod(0o711)  # it may pass through: nothing needs to be listed
    assert "cannot read" not in as_nobody(bot, "backup.py").expect(1).stderr


def test_a_log_in_a_folder_that_is_root_s_is_told_with_the_folder(handed_over):
    snapshots = handed_over.folder / "snapshots"
    give(snapshots, *snapshots.iterdir())
    logs = handed_over.folder / "logs"
    logs.mkdir()
    handed_over.write_env(BACKUP_LOG="logs/backup.log")
    give(handed_over.folder / ".env")
    said = as_nobody(handed_over, "backup.py").expect(0).stderr
    assert said.endswith(f"it is root's: if it is meant for this user alone:  sudo chown nobody {logs}\n")
    handed_over.write_env(BACKUP_LOG="logs")
    give(handed_over.folder / ".env")
    said = as_nobody(handed_over, "backup.py").expect(0).stderr
    assert "logs cannot be written (Is a directory): correct BACKUP_LOG in .env" in said


@pytest.mark.parametrize("record", ["runs.jsonl", "alerts.json"])
def test_a_record_that_only_root_can_read_stays_as_it_is(handed_over, record):
    handed_over.write_env(ALERT_WEBHOOK_URL="http://127.0.0.1:1/nobody")
    snapshots, log = handed_over.folder / "snapshots", handed_over.folder / "supabase_backup.log"
    closed = snapshots / record
    if record == "alerts.json":
        closed.write_text("{}")
    give(handed_over.folder / ".env", log, snapshots, *snapshots.iterdir())
    os.chown(closed, 0, 0)
    closed.chmod(0o600)
    before = closed.read_bytes()
    if record == "alerts.json":
        handed_over.premium.rename(handed_over.data / "away")
    (said,) = [line for line in as_nobody(handed_over, "backup.py").stderr.splitlines() if record in line]
    assert said.startswith(f"Warning: this user cannot read {closed}: ")
    assert said.endswith(f"it is root's: give it to the user who runs this:  sudo chown nobody {closed}")
    assert closed.read_bytes() == before
    assert "written anew" not in said


def test_a_venv_that_root_has_made_is_named_with_what_to_type(place):
    checkout = copy_checkout(place)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv").chmod(0o700)
    code = f"import importlib.util, json, os, pathlib, lib.base.causes, lib.base.stopping; os.setuid({NOBODY}); import lib.start"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=checkout, env=environment())
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {checkout}/.venv/bin/python cannot be started: Permission denied.\n")
    assert f"or make it anew:  sudo rm -rf {checkout}/.venv && python3 -m venv" in done.stderr


def owner(path):
    return path.stat().st_uid, path.stat().st_mode & 0o777


@pytest.mark.parametrize("flags", [(), ("--local",)])
def test_a_file_that_root_makes_is_its_folder_s_owner_s(handed_over, flags):
    shutil.rmtree(handed_over.data)
    said = handed_over.run("restore.py", "--yes", *flags).expect(0).stdout
    assert [owner(path) for path in (handed_over.data, *handed_over.databases)] == [(NOBODY, 0o700)] + [(NOBODY, 0o600)] * 2
    assert "chown" not in said
    handed_over.premium.unlink()
    handed_over.run("restore.py", "--yes", *flags).expect(0)
    assert owner(handed_over.premium) == (NOBODY, 0o600)


def test_what_root_makes_beside_the_bot_is_the_bot_s_too(handed_over):
    shutil.rmtree(handed_over.folder / "snapshots")
    (handed_over.folder / "supabase_backup.log").unlink()
    handed_over.write_env(ALERT_WEBHOOK_URL="http://127.0.0.1:1/nobody")
    handed_over.run("backup.py").expect(0)
    handed_over.run("restore.py", "--drill").expect(0)
    made = [path for path in handed_over.folder.rglob("*") if path.name != ".env"]
    assert {path.name for path in made} >= {"runs.jsonl", "premium_system.db.json", "supabase_backup.log"}
    assert [path for path in made if path.stat().st_uid != NOBODY] == []
    before = handed_over.log
    assert as_nobody(handed_over, "backup.py").expect(0).stderr == ""
    assert "every row is sent" not in handed_over.log.removeprefix(before)


def test_root_gives_away_nothing_that_a_link_leads_to(handed_over, tmp_path):
    log, elsewhere = handed_over.folder / "supabase_backup.log", tmp_path / "elsewhere"
    log.unlink()
    log.symlink_to(elsewhere)
    handed_over.run("backup.py").expect(0)
    assert elsewhere.stat().st_uid == 0


def test_a_file_that_is_root_s_alone_is_said_to_be(saved_bot):
    saved_bot.premium.unlink()
    said = saved_bot.run("restore.py", "--yes").expect(0).stdout
    both = f"{saved_bot.data} {saved_bot.premium}"  # a journal is made beside the file
    assert f"   root alone can use it: if the bot is another user,  chown USER {both}\n" in said
    assert said.count("chown") == 1  # the other file had an owner before
    elsewhere = saved_bot.folder / "elsewhere"
    assert "chown" not in saved_bot.run("restore.py", "--local", "--yes", "--to", str(elsewhere)).expect(0).stdout
    shared = saved_bot.folder / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "x.db").touch()
    assert owners.roots_alone(shared / "x.db") == [shared / "x.db"]


@pytest.mark.parametrize("name", ["", "premium_system.db", "premium_system.db.json"])
def test_a_snapshot_that_cannot_be_read_is_not_said_to_be_missing(handed_over, name):
    snapshots = handed_over.folder / "snapshots"
    give(snapshots, *snapshots.iterdir())
    closed = snapshots / name
    os.chown(closed, 0, 0)
    said = as_nobody(handed_over, "restore.py", "--local", "--dry-run", "--database", "premium_system").expect(1).stderr
    assert f"this user cannot read {closed}, where the snapshot of premium_system is kept." in said
    assert f"sudo chown {'' if name else '-R '}nobody {closed}" in said


def said_of_others(bot):
    return [note for note in config.load(str(bot.folder / ".env")).notes if note.startswith("root runs this")]


@pytest.mark.parametrize("name", ["", ".env"])
def test_root_is_told_who_else_could_change_what_it_runs(bot, name):
    path = bot.folder / name
    assert said_of_others(bot) == []
    give(path)
    said = (
        f"root runs this, and others may change what it runs: {path} (by the user nobody). "
        "Run the scripts as the bot's user:  sudo -u nobody python3 …"
    )
    assert said_of_others(bot) == [said]
    assert bot.run("setup_supabase.py").expect(0).stderr.count(said) == 1
    assert bot.run("backup.py").expect(0).stderr == ""  # not in each of cron's mails
    os.chown(path, 0, 0)
    path.chmod(path.stat().st_mode | 0o002)
    assert f"{path} (by every user). Run the scripts as the bot's user:  sudo -u USER python3 …" in said_of_others(bot)[0]


def test_it_is_one_line_for_all_of_it_and_nothing_is_to_be_changed(bot):
    give(bot.folder, bot.folder / ".env")
    (said,) = said_of_others(bot)
    assert f"{bot.folder} (by the user nobody); {bot.folder}/.env (by the user nobody). " in said
    assert "chown" not in said
    assert "chmod" not in said
    os.chown(bot.folder, 54321, 0)  # a user without a name
    assert "sudo -u '#54321' python3" in said_of_others(bot)[0]


def test_where_each_may_change_his_own_alone_nobody_else_changes_roots(bot):
    bot.folder.chmod(0o1777)
    assert said_of_others(bot) == []


def test_only_the_scripts_own_folder_is_given_away_with_all_that_is_in_it(place):
    folders = {name: place / name for name in ("snapshots", "home", "shared")}
    for folder in folders.values():
        folder.mkdir()
        give(folder)
    folders["shared"].chmod(0o1777)
    told = {name: owners.remedy(folder, "otherwise") for name, folder in folders.items()}
    assert told == {
        "snapshots": f"it is nobody's: give it to the user who runs this:  sudo chown -R root {place}/snapshots",
        "home": f"it is nobody's: if it is meant for this user alone:  sudo chown root {place}/home",
        "shared": "otherwise",
    }


def roots_alone(*files):
    for path in files:
        os.chown(path, 0, 0)
        path.chmod(0o600)


COMMANDS = {
    "backup.py premium_system": "",
    "backup.py --dry-run": "",
    "restore.py --yes": "or rebuild elsewhere:  python3 restore.py --to FOLDER",
    "restore.py --local --yes": "or rebuild elsewhere:  python3 restore.py --local --to FOLDER",
    "restore.py --undo --yes": "",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_root_has_made_is_named_with_what_to_type(handed_over, command):
    handed_over.run("restore.py", "--yes").expect(0)
    give(*(path for path in handed_over.folder.rglob("*")))
    roots_alone(handed_over.premium)
    done = as_nobody(handed_over, *command.split())
    given = f"Try: it is root's: give it to the user who runs this:  sudo chown nobody {handed_over.premium}"
    shown = COMMANDS[command].replace("restore.py", f"restore.py --env-file {handed_over.folder}/.env")
    assert [line for line in done.stderr.splitlines() if "chown" in line] == ["  ".join(filter(None, (given, shown)))]
    give(handed_over.premium)
    assert as_nobody(handed_over, *command.split()).status == 0


def test_what_is_closed_on_the_way_back_is_named_itself(handed_over):
    handed_over.run("restore.py", "--yes").expect(0)
    give(*(path for path in handed_over.folder.rglob("*")))
    (copy,) = handed_over.data.glob("premium_system.db.before-restore-*Z")
    copy.chmod(0o600)
    for closed in (copy, handed_over.data):
        os.chown(closed, 0, 0)
        said = as_nobody(handed_over, "restore.py", "--undo", "--yes", "--database", "premium_system").expect(1).stderr
        assert f"  sudo chown nobody {closed}\n" in said
        assert "--to FOLDER" not in said
        give(closed)


def test_status_does_not_send_to_a_backup_that_cannot_be_noted(handed_over):
    handed_over.write_env(SUPABASE_DB_URL="postgresql://postgres:secret1234@127.0.0.1:1/postgres")
    give(handed_over.folder / ".env")
    said = as_nobody(handed_over, "backup.py", "--status").expect(1)
    assert f"sudo chown -R nobody {handed_over.folder}/snapshots" in said.stderr
    assert "Try: python3 backup.py" not in said.stdout + said.stderr
