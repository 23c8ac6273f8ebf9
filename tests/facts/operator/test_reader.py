"""A reader that goes away, or a disk that is full, stops what is printed, and nothing else."""

import contextlib
import json
import os
import pty
import subprocess
import sys
import termios
import time
import venv
from pathlib import Path

import psycopg2
import pytest

from tests import compare
from tests.stand_ins.bot import REPOSITORY, copy_checkout, environment

FULL = "/dev/full"
needs_full = pytest.mark.skipif(not os.path.exists(FULL), reason="Linux has it")
READER_GOES = [
    " | head -c 10",
    " | true",
    " 2>&1 | head -1",
    " 2>&1 | true",
    pytest.param(f" > {FULL}", marks=needs_full),
    pytest.param(f" > {FULL} 2>&1", marks=needs_full),
]


def typed(bot, behind, script, *flags):
    """Run a script in a shell with something behind it, and return what came through, and the script's own exit status."""
    command = ["bash", "-c", f'set -o pipefail; "$@" {behind}; exit ${{PIPESTATUS[0]}}', "bash", *bot.command(script, *flags)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bot.folder, env=environment(), timeout=120)
    assert "Traceback" not in done.stderr + done.stdout, done
    assert "unexpected" not in done.stderr + done.stdout + bot.log, done
    assert "Broken" not in done.stderr + done.stdout + bot.log, done
    return done


@pytest.mark.parametrize("behind", READER_GOES)
def test_a_backup_and_a_restore_go_on_without_a_reader(saved_bot, behind):
    kept = saved_bot.keep_copies()
    for path in saved_bot.databases:
        saved_bot.sqlite(path, f"CREATE TABLE {path.stem}_more (id INTEGER PRIMARY KEY); INSERT INTO {path.stem}_more VALUES (1)")
    assert typed(saved_bot, behind, "backup.py", "--verbose").returncode == 0
    saved = saved_bot.query("SELECT source FROM backup.runs WHERE outcome = 'saved' AND run > 2 ORDER BY run")
    assert saved == [("premium_system",), ("user_requests",)]
    assert typed(saved_bot, behind, "restore.py", "--at", "2", "--yes").returncode == 0
    for path in saved_bot.databases:
        assert compare.differences(kept[path.stem], path) == []


CAMPAIGN = pytest.mark.campaign


@pytest.mark.parametrize("closed", [pytest.param(">&-", marks=CAMPAIGN), pytest.param("<&- >&-", marks=CAMPAIGN), ">&- 2>&-"])
def test_streams_that_are_closed_are_no_reader_either(saved_bot, tmp_path, closed):
    """As the operator starts it: the hop into .venv comes first."""
    checkout = copy_checkout(tmp_path)
    venv.create(checkout / ".venv", symlinks=True)
    extra = environment() | {"PYTHONPATH": str(Path(psycopg2.__file__).parents[1])}
    kept = saved_bot.keep_copies()["premium_system"]
    for script, *flags in (("backup.py", "--json"), ("backup.py", "--verbose"), ("restore.py", "--at", "2", "--yes")):
        _, _, *settings = saved_bot.command(script, *flags)
        saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET status = status || 'x' WHERE rowid = 1")
        command = ["bash", "-c", f'"$@" {closed}', "bash", sys.executable, checkout / script, *settings]
        done = subprocess.run(command, capture_output=True, text=True, env=extra, timeout=120)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (script, done)
    assert (
        saved_bot.query("SELECT source, outcome FROM backup.runs WHERE run > 2 AND source = 'premium_system'")
        == [("premium_system", "saved")] * 2
    )
    assert compare.differences(kept, saved_bot.premium) == []


def test_what_is_printed_nowhere_goes_into_no_file(tmp_path):
    """The number of a stream that was closed would be the next file's: the log's, the bot's database's."""
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from lib.base import streams; streams.prepare()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w'); print('said', flush=True); print('said', file=sys.stderr, flush=True)"
    )
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", sys.executable, "-c", code], check=True, capture_output=True)
        assert (tmp_path / "file").read_text() == "", closed


QUIETLY = [
    ("backup.py", "--status"), ("backup.py", "--json"), ("backup.py", "--verify"), ("backup.py", "--dry-run"),
    ("backup.py", "--help"), ("restore.py", "--list"), ("restore.py", "--list", "--json"), ("restore.py", "--dry-run"),
    ("restore.py", "--drill"), ("restore.py", "--version"), ("setup_supabase.py",), ("setup_supabase.py", "--check"),
    ("setup_supabase.py", "--ddl", "sqlite_data/premium_system.db"), ("test_backup.py",),
]  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("behind", READER_GOES)
def test_what_was_only_to_be_printed_ends_quietly(saved_bot, behind):
    for command in QUIETLY:
        done = typed(saved_bot, behind, *command)
        assert (done.returncode, done.stderr) == (0, ""), (command, done)


@needs_full
def test_a_failure_nobody_can_read_is_in_the_log_and_in_the_status(saved_bot):
    saved_bot.premium.write_bytes(b"")
    assert typed(saved_bot, f"> {FULL} 2>&1", "backup.py").returncode == 3
    assert "premium_system.db is empty (0 bytes)." in saved_bot.log
    assert typed(saved_bot, f"2> {FULL}", "backup.py", "--json").returncode == 3
    assert json.loads(typed(saved_bot, f"2> {FULL}", "backup.py", "--json").stdout)["outcome"] == "incomplete"


def test_a_reader_that_is_slow_gets_everything(saved_bot):
    """A pipe that is full, and that whoever started the script does not want to wait for."""
    slow = "2>&1 | (sleep 1; cat)"
    plain = typed(saved_bot, slow, "restore.py", "--help").stdout
    command = ["bash", "-c", f'"$@" {slow}', "bash", *saved_bot.command("restore.py", "--help")]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.write(writing, b"x" * 65_536)  # it is full
    running = subprocess.Popen(command[4:], stdout=writing, env=environment())
    os.close(writing)
    with os.fdopen(reading, "rb") as reader:
        assert reader.read()[65_536:].decode() == plain
    assert running.wait(60) == 0


def test_a_terminal_that_somebody_has_stopped_holds_up_no_transaction(saved_bot):
    """Ctrl-S, as it is typed to read, or by mistake: what is sent is saved, and only then it waits."""
    ours, theirs = pty.openpty()
    termios.tcflow(theirs, termios.TCOOFF)
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    extra = environment() | {"TERM": "xterm"}
    with subprocess.Popen(saved_bot.command("backup.py", "--full"), env=extra, cwd=saved_bot.folder, **streams) as running:
        deadline, saved = time.monotonic() + 60, []
        while not saved and time.monotonic() < deadline:
            saved = saved_bot.query("SELECT run FROM backup.runs WHERE run = 3 AND outcome = 'saved'")
            time.sleep(0.1)
        termios.tcflow(theirs, termios.TCOON)
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end is closed
            while chunk := os.read(ours, 1 << 16):
                said += chunk
        assert running.wait(60) == 0
    os.close(ours)
    assert saved == [(3,)]
    assert "✅ Backed up 2 databases" in said.decode()
