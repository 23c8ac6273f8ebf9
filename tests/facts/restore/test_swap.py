"""Whatever a crash has left beside a database, and whenever a swap is killed: the old content is there, or the new one."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base.errors import Problem
from lib.sqlite.replacing import safety_copies, swap
from tests.cases.crashes import NEW, OLD, ROWS, STATES, content, laid_out, left_clean, left_in_journal, left_in_wal, made
from tests.stand_ins.bot import REPOSITORY, environment

OURS = str(REPOSITORY / "lib" / "sqlite")


def killed_at(step, new, destination):
    """Swap in a child that kills itself before the numbered line of ours; return whether it was killed."""
    child = os.fork()
    if not child:
        left = [step]

        def count(frame, event, _argument):
            if event == "line" and frame.f_code.co_filename.startswith(OURS):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
            return count

        try:
            sys.settrace(count)
            swap.into_place(new, destination)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def assert_whole(destination, folder):
    found = content(destination, folder / "scratch")
    assert found in (OLD, NEW)
    if found == NEW:
        assert content(safety_copies.replaced_last(destination), folder / "scratch") == OLD
    else:
        assert [content(copy, folder / "scratch") for copy in safety_copies.of(destination)] in ([], [OLD])
    return found


@pytest.mark.campaign
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("state", STATES)
def test_killed_at_any_line_the_old_content_or_the_new_is_there(tmp_path, state):
    step, seen = 1, []
    new, destination = laid_out(tmp_path / "data", state)
    while killed_at(step, new, destination):
        seen.append(assert_whole(destination, tmp_path))
        if not new.exists():
            made(new, 2)
        swap.into_place(new, destination)  # the next restore succeeds, whatever was left
        assert content(destination, tmp_path / "scratch") == NEW
        assert [path.name for path in destination.parent.glob("*.db-*")] == []
        new, destination = laid_out(tmp_path / "data", state)
        step += 1
    assert (seen.count(OLD) > 50, seen.count(NEW) > 0) == (True, True)
    assert assert_whole(destination, tmp_path) == NEW


@pytest.mark.campaign
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("state", [left_in_wal, left_in_journal])
def test_killed_at_any_line_an_exchange_loses_nothing(tmp_path, state):
    """The safety copy has journals of its own, as older versions kept them."""
    step, folder = 1, tmp_path / "data"

    def laid():
        new, destination = laid_out(folder, state)
        copy = folder / "bot.db.before-restore-2026-01-01T00-00-00Z"
        safety_copies.move(destination, copy)
        new.rename(destination)
        return copy, destination

    copy, destination = laid()
    while killed_at(step, copy, destination):
        there = content(destination, tmp_path / "scratch")
        assert there in (OLD, NEW)
        copies = [content(path, tmp_path / "scratch") for path in safety_copies.of(destination)]
        assert sorted([there, *copies]) == [OLD, NEW]
        copy, destination = laid()
        step += 1
    assert content(destination, tmp_path / "scratch") == OLD
    assert content(safety_copies.replaced_last(destination), tmp_path / "scratch") == NEW


CALLS = ("rename", "link", "unlink", "ftruncate", "pwrite64", "fdatasync", "fsync", "write")
SWAP = "import sys, pathlib; from lib.sqlite.replacing import swap; swap.into_place(*map(pathlib.Path, sys.argv[1:]))"


def may_trace():
    return shutil.which("strace") and subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0


@pytest.mark.campaign
@pytest.mark.skipif(not may_trace(), reason="strace is not installed, or may not be used here")
@pytest.mark.parametrize("state", [left_in_wal, left_in_journal])
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_system_call_the_old_content_or_the_new_is_there(tmp_path, state, call):
    for number in range(1, 200):
        new, destination = laid_out(tmp_path / "data", state)
        inject = ["strace", "-qq", "-o", os.devnull, "-e", f"inject={call}:signal=KILL:when={number}"]
        done = subprocess.run([*inject, sys.executable, "-B", "-c", SWAP, new, destination], cwd=REPOSITORY, env=environment())
        assert_whole(destination, tmp_path)
        if done.returncode == 0:
            return
    raise AssertionError("it was never finished")


@pytest.mark.campaign
@pytest.mark.parametrize("state", [left_in_wal, left_in_journal])
def test_a_file_system_without_hard_links_has_a_file_at_every_moment(tmp_path, state, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    new, destination = laid_out(tmp_path / "data", state)
    destination.chmod(0o640)
    step = 1
    while killed_at(step, new, destination):
        assert_whole(destination, tmp_path)
        new, destination = laid_out(tmp_path / "data", state)
        destination.chmod(0o640)
        step += 1
    assert assert_whole(destination, tmp_path) == NEW
    assert safety_copies.replaced_last(destination).stat().st_mode & 0o777 == 0o640


def test_a_damaged_file_is_replaced_with_its_journals_and_never_gone(tmp_path):
    folder = tmp_path / "data"

    def laid():
        new, destination = laid_out(folder, left_in_wal)
        destination.write_bytes(b"no database" * 1000)
        return new, destination

    new, destination = laid()
    wal, step = Path(f"{destination}-wal").read_bytes(), 1
    while killed_at(step, new, destination):
        assert destination.exists()
        new, destination = laid()
        step += 1
    (kept,) = safety_copies.of(destination)
    assert (kept.read_bytes(), Path(f"{kept}-wal").read_bytes()) == (b"no database" * 1000, wal)
    assert content(destination, tmp_path / "scratch") == NEW


def test_the_journal_mode_of_the_replaced_file_is_kept(tmp_path):
    new, destination = laid_out(tmp_path / "data", left_in_wal)
    kept = swap.into_place(new, destination)
    with contextlib.closing(sqlite3.connect(kept)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_journal_whose_database_is_gone_is_not_taken_for_the_new_ones(tmp_path):
    new, destination = laid_out(tmp_path / "data", left_in_wal)
    destination.unlink()
    assert swap.into_place(new, destination) is None
    assert content(destination, tmp_path / "scratch") == NEW
    assert len(list(destination.parent.glob("*.before-restore-*-wal"))) == 1


BOT = """import sqlite3, sys
bot = sqlite3.connect(sys.argv[1], isolation_level=None)
bot.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
bot.execute("UPDATE t SET value = 5")
bot.execute("BEGIN IMMEDIATE")
bot.execute("UPDATE t SET value = 6")
print(flush=True)
input()"""


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_what_a_crash_left_is_not_folded_while_a_bot_is_at_work(tmp_path, mode):
    new, destination = laid_out(tmp_path / "data", left_clean)
    running = subprocess.Popen([sys.executable, "-c", BOT, destination, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running.stdout.readline()
    with pytest.raises(Problem, match="is in use by another program"):
        swap.into_place(new, destination)
    running.kill()
    running.communicate()
    assert content(destination, tmp_path / "scratch") == [(5, ROWS)]
    assert list(destination.parent.glob("*before-restore*")) == []


def test_a_failure_leaves_everything_as_it_was(tmp_path, monkeypatch):
    new, destination = laid_out(tmp_path / "data", left_in_wal)
    replace = os.replace

    def refuse(source, target):
        if Path(target) == destination:
            raise OSError(30, "Read-only file system")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Read-only"):
        swap.into_place(new, destination)
    assert content(destination, tmp_path / "scratch") == OLD
    assert safety_copies.of(destination) == []
