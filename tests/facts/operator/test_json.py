"""Machines read one object on stdout, whatever becomes of a script, and every time in it has one form."""

import datetime
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from lib.base import words
from tests.stand_ins.bot import REPOSITORY, environment
from tests.stand_ins.unreachable import down

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SCRIPTS = ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py")
EXITS = [
    *(((script, *flags), status) for script in SCRIPTS for flags, status in (
        (("--help",), 0), (("-h",), 0), (("--version",), 0), (("--bogus",), 2), (("--env-file", "/nowhere/.env"), 2),
        (("--to=",), 2))),
    (("backup.py", "--full"), 0), (("backup.py", "--status"), 0), (("backup.py", "--status", "--max-age", "soon"), 2),
    (("backup.py", "--report", "report.html"), 0), (("backup.py", "--report", "/nowhere/report.html"), 1),
    (("backup.py", "--verify"), 0), (("backup.py", "--dry-run"), 0), (("backup.py", "nobody"), 2),
    (("restore.py",), 2), (("restore.py", "--yes"), 0), (("restore.py", "--list"), 0), (("restore.py", "--drill"), 0),
    (("restore.py", "--local", "--dry-run"), 0), (("restore.py", "--undo", "--yes"), 0), (("restore.py", "--at", "soon"), 2),
    (("restore.py", "--at", "9999", "--yes"), 2), (("restore.py", "--at", "1999-01-01", "--yes"), 1),
    (("restore.py", "--target", "x"), 2),
    (("setup_supabase.py", "--check"), 0), (("setup_supabase.py", "--ddl", "sqlite_data/premium_system.db"), 0),
    (("setup_supabase.py", "--ddl", "/nowhere.db"), 1), (("test_backup.py", "--send-alert"), 1),
]  # fmt: skip


def strings_and_numbers(told):
    for value in told.values() if isinstance(told, dict) else told:
        if isinstance(value, (dict, list)):
            yield from strings_and_numbers(value)
        else:
            yield value


def judge(said, status):
    """Expect one object with an outcome that fits the status, and no time in another form."""
    told = json.loads(said)
    assert told["outcome"] == {0: "saved", 3: "incomplete"}.get(status, "failed")
    assert (status == 0) == ("error" not in told), told
    assert status == 0 or told["try"]
    for value in strings_and_numbers({**told, "text": "", "ddl": "", "error": "", "warnings": []}):
        assert not isinstance(value, (int, float)) or not 10**9 < value < 4 * 10**9, value
        assert not re.match(r"\d{4}-\d\d-\d\d", str(value)) or ISO.fullmatch(value), value
    return told


@pytest.mark.campaign
def test_every_exit_has_its_object(saved_bot):
    for command, status in EXITS:
        done = saved_bot.run(*command, "--json")
        assert (command, done.status) == (command, status), done
        judge(done.stdout, status)


def test_times_have_one_form_and_can_be_typed(saved_bot):
    listed = judge(saved_bot.run("restore.py", "--list", "--json").expect(0).stdout, 0)
    (first, second) = listed["runs"]
    assert ISO.fullmatch(first["finished_at"])
    at = max(first["finished_at"], second["finished_at"])
    found = saved_bot.run("restore.py", "--yes", "--at", at, "--to", "out", "--json").expect(0).json["restored"]
    assert [restored["run"] for restored in found] == [1, 2]
    (source, _) = judge(saved_bot.run("backup.py", "--status", "--json").expect(0).stdout, 0)["sources"]
    assert source["last_success"]["at"] == first["finished_at"]
    assert ISO.fullmatch(source["now"])
    saved_bot.write_env(SUPABASE_DB_URL=down(saved_bot.url))
    judge(saved_bot.run("backup.py", "--status", "--json").expect(0).stdout, 0)


@pytest.mark.parametrize("at", [0, 1e9, 1795867203.9])
def test_an_iso_time_is_as_the_standard_library_writes_it(at):
    expected = datetime.datetime.fromtimestamp(int(at), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert words.iso(at) == words.iso(expected.replace("T", " ").removesuffix("Z")) == expected


def test_a_report_that_was_written_is_a_success_and_says_what_is_wrong(saved_bot):
    path = saved_bot.folder / "report.html"
    saved_bot.query("UPDATE backup.sources SET last_run = NULL WHERE source = 'premium_system'")
    done = saved_bot.run("backup.py", "--report", str(path)).expect(0)
    assert f"✅ the report is {path}\n" in done.stdout
    assert "Warning: premium_system: never backed up. Try: python3 backup.py\n" in done.stderr
    told = judge(saved_bot.run("backup.py", "--report", str(path), "--json").expect(0).stdout, 0)
    assert [trouble["what"] for trouble in told["troubles"] if trouble["is_bad"]] == ["never backed up."]
    late = saved_bot.run("backup.py", "--report", str(path), "--max-age", "7h").expect(1)
    assert "premium_system: never backed up." in late.stderr
    saved_bot.query("UPDATE backup.sources SET last_run = 1 WHERE source = 'premium_system'")
    saved_bot.run("backup.py", "--report", str(path), "--max-age", "7h").expect(0)


@pytest.mark.skipif(os.name != "posix", reason="a signal ends a process otherwise there")
def test_a_script_that_is_stopped_says_so_to_machines_too():
    """In whichever step: here where a script looks for its settings."""
    code = (
        "import os, signal, sys; from lib.base import script\n"
        "def main(options, console):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while True: pass\n"
        "sys.argv = ['backup.py', '--json']\n"
        "script.run(main, script.Parser('x', {'': ''}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=environment())
    assert done.returncode == 128 + signal.SIGTERM
    assert judge(done.stdout, done.returncode)["error"] == "stopped by SIGTERM."


@pytest.mark.skipif(os.name != "posix", reason="a signal ends a process otherwise there")
@pytest.mark.parametrize("before", ["", "streams.answer({'outcome': 'saved'}); "])
def test_a_script_that_is_stopped_while_it_loads_or_ends_prints_one_object(before):
    code = "import os, signal, sys; from lib.base import stopping, streams; sys.argv = ['backup.py', '--json']\n"
    code += f"{before}stopping.at_once(); os.kill(os.getpid(), signal.SIGTERM)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=environment())
    assert done.returncode == 128 + signal.SIGTERM
    assert judge(done.stdout, 0 if before else done.returncode)


def test_without_the_driver_it_says_so_to_machines_too(tmp_path):
    code = "import sys; sys.modules['psycopg2'] = None; sys.argv = ['backup.py', '--json']; import lib.start"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=environment())
    assert done.returncode == 2
    assert "is not installed" in judge(done.stdout, 2)["error"]
