"""A command does what it says when it is typed as it is shown: with several bots, on the bot that showed it."""

import html
import json
import re
import shlex
import subprocess
import sys

import pytest

from lib.base import leaving
from tests.stand_ins.bot import COMMAND, REPOSITORY, environment
from tests.stand_ins.inbox import Inbox


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
    script, *flags = shlex.split(undo.replace("--to out", f"--to {shlex.quote(str(saved_bot.folder / 'out'))}"))
    done = subprocess.run([sys.executable, REPOSITORY / script, *flags, "--yes"], cwd=tmp_path, env=environment())
    assert done.returncode == 0
