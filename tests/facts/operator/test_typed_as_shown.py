"""A command does what it says when it is typed as it is shown: with several bots, on the bot that showed it."""

import errno
import html
import json
import re
import shlex
import sqlite3
import subprocess
import sys

import pytest

import restore
from lib import start
from lib.backing_up import brake
from lib.base import causes, disk, leaving, leftovers
from lib.base.errors import Problem
from lib.postgres.books import privacy
from lib.restoring import beside, local_state
from lib.restoring.options import RestoreOptions
from lib.settings import config
from lib.sqlite.files import remedy
from lib.sqlite.replacing import real_files
from tests.stand_ins.bot import COMMAND, REPOSITORY, environment
from tests.stand_ins.inbox import Inbox


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    monkeypatch.setattr(leaving, "_asked", {})


@pytest.fixture
def named(monkeypatch):
    monkeypatch.setattr(leaving, "_named", [])
    leaving.with_settings("my shop/.env")
    return leaving._named[0]


def test_a_command_names_the_settings_once_and_as_a_shell_reads_it(named, tmp_path, monkeypatch):
    assert shlex.split(named)[1].endswith("/my shop/.env")
    assert leaving.told("python3 backup.py --full && python3 restore.py") == (
        f"python3 backup.py{named} --full && python3 restore.py{named}"
    )
    for text in ("Try: python3 setup_supabase.py.", "python3 test_backup.py  chooses", "[python3 restore.py]\nx"):
        once = leaving.told(text)
        assert once.count(named) == 1
        assert leaving.told(once) == once
    for text in ("python3 backup.py --help", "python3 backup.pyc", "backup.py --status", "python3 other.py"):
        assert leaving.told(text) == text
    assert leaving.told_all({"try": ["python3 backup.py"]}) == {"try": [f"python3 backup.py{named}"]}
    leaving.with_settings(None)
    assert leaving.told("python3 backup.py") == "python3 backup.py"


def test_every_way_out_names_them(saved_bot):
    inbox, named = Inbox(), f" --env-file {saved_bot.folder}/.env"
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM message_owners")
    refused = saved_bot.shown("backup.py", "--json").expect(3)
    report = saved_bot.folder / "report.html"
    says = [
        refused.stderr,
        refused.json["try"],
        saved_bot.shown("backup.py", "--status").expect(1).stdout,
        json.dumps(saved_bot.shown("backup.py", "--status", "--json").expect(1).json),
        saved_bot.shown("backup.py", "--report", str(report)).expect(0).stderr,
        html.unescape(report.read_text()),
        *[body for path, body in inbox.got if path == "/hook"],
    ]
    assert len(says) == 7
    for said in says:
        assert set(re.findall(rf"{COMMAND}( --env-file \S+/\.env)?", said)) == {named}, said
    assert named not in (saved_bot.folder / "snapshots" / "runs.jsonl").read_text()  # a folder may be given another name
    assert not re.search(rf"{COMMAND}(?! --env-file )", saved_bot.log)


def test_a_relative_name_is_understood_from_elsewhere(saved_bot, tmp_path):
    command = [sys.executable, REPOSITORY / "restore.py", "--env-file", ".env", "--to", "out", "--yes"]
    for _ in range(2):
        done = subprocess.run(command, cwd=saved_bot.folder, env=environment(), capture_output=True, text=True, check=True)
    (undo, _) = re.findall(r"to undo:  python3 (.*)", done.stdout)
    script, *flags = shlex.split(undo)
    done = subprocess.run([sys.executable, REPOSITORY / script, *flags, "--yes"], cwd=tmp_path, env=environment())
    assert done.returncode == 0


def closed(name, error):
    def refuse(folder):
        with beside.explained(folder / f"{name}.db"):
            raise error

    return refuse


def looping(folder):
    (folder / "link.db").symlink_to(folder / "link.db")
    real_files.behind(folder / "link.db")


# Every way to a command with a path or a name in it; each raises, or returns what is shown.
SHOWN = {
    "cause": lambda folder: [causes.remedy(OSError(number, "refused"), folder) for number in causes.OF_ERRNO],
    "said": lambda folder: [causes.remedy(sqlite3.OperationalError(said.split("|")[0]), folder) for said in causes.SAID],
    "room": lambda folder: disk.require(folder, 1 << 60, "it"),
    "install": lambda folder: start.end("it", start.INSTALL),
    "settings": lambda folder: config.load(str(folder / "no.env")),
    "open": lambda folder: config._open_to_others(folder),
    "restore": lambda folder: remedy.restore(folder / "zz yy's.db", True),
    "look": lambda folder: remedy.source_error(folder / "x.db", ValueError("odd"), False).remedy,
    "loop": looping,
    "one": lambda folder: real_files.refuse_shared({"zz yy's": folder, "b": folder}),
    "no snapshot": lambda folder: local_state.newest({1: folder / "x.db"}, "zz yy's", []),
    "disk": closed("x", OSError(errno.EIO, "Input/output error")),
    "other": closed("x", OSError("odd")),
    "accepted": lambda folder: privacy.refuse_exposure(["open"], "zz yy's"),
    "shrunk": lambda folder: brake._remedy("zz yy's"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN)
def test_a_path_and_a_name_are_shown_as_a_shell_reads_them(kind, tmp_path, capsys):
    folder = tmp_path / "zz yy's ww"
    folder.mkdir()
    try:
        shown = SHOWN[kind](folder)
    except Problem as problem:
        shown = problem.remedy
    except SystemExit:
        shown = capsys.readouterr().err
    texts = [shown] if isinstance(shown, str) else shown
    words = [
        word for text in texts for command in re.findall(r"(?:  |python3 |cp |chmod ).*", text) for word in shlex.split(command)
    ]
    assert {"zz", str(tmp_path / "zz"), "yys", "ww"}.isdisjoint(words), words
    assert [word for word in words if "zz yy's" in word] or kind == "install"


def test_nothing_that_is_typed_is_put_into_a_command_as_it_is():
    """What loads before all else cannot be driven from a folder of another name here: its text is read."""
    command = r"ls -\w+|df -\w+|cp|rm(?: -\w+)?|chmod \d+|chown|-m venv|findmnt -T|--database|--undo|backup\.py"
    unquoted = re.compile(rf"(?:{command}) {{(?!typed\(|place}}|VENV}}|units}}|names}}).*?}}")
    files = [*(REPOSITORY / "lib").rglob("*.py"), *REPOSITORY.glob("*.py")]
    assert [f"{path.name}: {match[0]}" for path in files for match in unquoted.finditer(path.read_text())] == []
    assert unquoted.search("see  ls -ld {path.parent}")


# What was asked, what is shown, and what that is to be: none is dropped, and none is added that does not go with it.
ASKED = {
    "--at 1 --target 2 --table t --yes": {
        "restore.py --database x": "restore.py --at 1 --target 2 --database x",
        "restore.py --to FOLDER": "restore.py --at 1 --target 2 --to FOLDER",
        "restore.py --at 5  or longer": "restore.py --table t --target 2 --at 5  or longer",
        "restore.py --database x --at 5  or longer": "restore.py --table t --target 2 --database x --at 5  or longer",
        "restore.py --accept-moved": "restore.py --at 1 --table t --target 2 --accept-moved",
        "restore.py --list; a day": "restore.py --target 2 --list; a day",
        "restore.py --list --target N": "restore.py --list --target N",
    },
    "--undo x.db.before --to /out": {
        "restore.py --list": "restore.py --list",
        "restore.py --database x": "restore.py --undo x.db.before --to /out --database x",
        "restore.py --undo y.db": "restore.py --to /out --undo y.db",
    },
    "--local --database x": {
        "restore.py --list": "restore.py --database x --list",
        "restore.py --to FOLDER": "restore.py --local --database x --to FOLDER",
        "restore.py --table NAME": "restore.py --database x --table NAME",
    },
    "--drill --target 2": {"restore.py --table NAME": "restore.py --target 2 --table NAME", "backup.py": "backup.py"},
    "--database 'x  --to y'": {"restore.py": "restore.py --database 'x  --to y'"},
    "--yes": {"restore.py --database x": "restore.py --database x"},
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_command_asks_for_what_was_asked(asked):
    leaving.with_asked(RestoreOptions.of(restore.flags().understood(shlex.split(asked))).asked)
    for shown, meant in ASKED[asked].items():
        assert leaving.told(f"Try: python3 {shown}") == f"Try: python3 {meant}"
        assert leaving.told(f"Try: python3 {meant}") == f"Try: python3 {meant}"  # once


def test_a_damaged_file_s_table_is_followed_by_the_run_that_was_asked_for(saved_bot):
    saved_bot.premium.write_bytes(saved_bot.premium.read_bytes()[:4096] + b"x" * 8192)
    said = saved_bot.run("restore.py", "--table", "refunds", "--at", "1", "--target", "1", "--yes").expect(1).stderr
    assert "restore all of it:  python3 restore.py --at 1 --target 1 --database premium_system\n" in said


def test_the_settings_are_named_once_and_from_any_folder(saved_bot):
    (saved_bot.folder / "elsewhere").mkdir()
    command = [sys.executable, REPOSITORY / "restore.py", "--to=../out", "--env-file=../.env", "--at", "today"]
    done = subprocess.run(
        command, cwd=saved_bot.folder / "elsewhere", env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.stderr.splitlines()[-1] == (
        f"Try: python3 restore.py --env-file {saved_bot.folder}/.env --to {saved_bot.folder}/out --yes --at today"
    )


def test_a_drill_is_not_sent_elsewhere(tmp_path):
    with (
        leftovers.within(tmp_path, "x", "drill") as folder,
        pytest.raises(Problem) as caught,
        beside.explained(folder / "x.db"),
    ):
        raise OSError(errno.EFBIG, "File too large")
    assert caught.value.remedy == causes.LARGE
