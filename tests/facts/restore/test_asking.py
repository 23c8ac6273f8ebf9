"""While a person thinks, nothing is open in Postgres; what was asked about is what is done; nobody is asked blindly."""

import contextlib
import os
import pty
import shutil
import subprocess

import pytest

from lib.trying import sample_bot
from tests import compare
from tests.stand_ins.bot import environment

QUESTION = "Replace the files? [yes/no] "
IN_TRANSACTION = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'hybrid-backup%' AND xact_start IS NOT NULL"""
CONNECTED = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hybrid-backup%'"


class Asked:
    """A script on a terminal that has just asked; `written` is all that it has shown."""

    def __init__(self, terminal, running):
        self._terminal, self._running, self.written = terminal, running, ""

    def read_until(self, text):
        while text not in self.written and (chunk := self._read()):
            self.written += chunk

    def _read(self):
        try:
            return os.read(self._terminal, 1 << 16).decode(errors="replace")
        except OSError:  # Linux says so when the other end is closed
            return ""

    def answer(self, text):
        """Type an answer, and return the exit status."""
        os.write(self._terminal, os.fsencode(f"{text}\n"))
        self.read_until("no text that it could show")
        return self._running.wait(60)


@contextlib.contextmanager
def asked(bot, *command):
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(bot.command(*command), env=environment(), cwd=bot.folder, **ends) as running:
        os.close(theirs)
        found = Asked(ours, running)
        found.read_until(QUESTION)
        assert QUESTION in found.written, found.written
        yield found
    os.close(ours)


@pytest.mark.parametrize("flags", [(), ("--at", "2"), ("--table", "refunds"), ("--local",), ("--to", "out")], ids=" ".join)
def test_while_a_person_thinks_no_transaction_is_open(saved_bot, flags):
    expected = saved_bot.keep_copies()
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    with asked(saved_bot, "restore.py", *flags) as restore:
        assert saved_bot.query(IN_TRANSACTION) == [(0,)]
        if "--table" not in flags:  # which puts nothing back into a file that was written meanwhile
            sample_bot.live(saved_bot.data, seed=3)
            saved_bot.sqlite(saved_bot.premium, "ALTER TABLE refunds ADD COLUMN more TEXT")
        saved_bot.backup("--accept-shrink")  # it alters a mirror, and no lock is in its way
        assert restore.answer("yes") == 0, restore.written
    place = saved_bot.folder / "out" / saved_bot.premium.name if "--to" in flags else saved_bot.premium
    assert compare.differences(expected["premium_system"], place) == []


def test_a_connection_that_is_cut_while_a_person_thinks_does_no_harm(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    with asked(saved_bot, "restore.py") as restore:
        saved_bot.query(f"SELECT pg_terminate_backend(pid) {CONNECTED}")
        assert restore.answer("yes") == 0, restore.written
    assert saved_bot.query("SELECT count(*) FROM backup.sources WHERE restored_run IS NOT NULL") == [(2,)]


@pytest.mark.campaign
def test_a_table_that_the_bot_has_written_meanwhile_is_not_put_back(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    with asked(saved_bot, "restore.py", "--table", "refunds") as restore:
        saved_bot.sqlite(saved_bot.premium, "UPDATE payment_history SET status = 'meanwhile'")
        assert restore.answer("yes") == 1
    assert "is in use by another program." in restore.written
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT DISTINCT status FROM payment_history") == [("meanwhile",)]


@pytest.mark.parametrize("answer", ["no", "", "\udcff\udcfe"])
def test_anything_but_yes_is_no(saved_bot, answer):
    before = saved_bot.premium.stat().st_ino
    with asked(saved_bot, "restore.py") as restore:
        assert restore.answer(answer) == 0
    assert "Nothing was done." in restore.written
    assert saved_bot.premium.stat().st_ino == before
    assert list(saved_bot.data.glob("*restor*")) == []


@pytest.mark.parametrize(
    "flags", [("--json",), ("--quiet",), ("--local", "--json"), ("--undo", "--quiet"), ("--table", "refunds")]
)
def test_who_sees_no_plan_or_is_not_there_is_not_asked(saved_bot, flags):
    saved_bot.run("restore.py", "--yes").expect(0)
    before = saved_bot.premium.stat().st_ino
    done = saved_bot.run("restore.py", *flags).expect(2)
    assert "Error: nobody is here to answer.\nThe files were not touched.\nTry: python3 restore.py --yes " in done.stderr
    assert all(flag in done.stderr.splitlines()[-1] for flag in flags)  # what was typed, and --yes
    on_a_terminal = ["script", "-qec", " ".join(saved_bot.command("restore.py", *flags)), "/dev/null"]
    if "--table" not in flags and shutil.which("script"):
        assert QUESTION not in subprocess.run(on_a_terminal, text=True, env=environment(), timeout=60, capture_output=True).stdout
    assert saved_bot.premium.stat().st_ino == before
