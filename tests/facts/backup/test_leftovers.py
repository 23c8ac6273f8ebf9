"""What a dead script left is removed, and nothing else: not what is in use, not what is another's, whatever it is called."""

import contextlib
import os
import shutil
import stat
import subprocess
import sys

import pytest

from lib.base import leftovers
from lib.sqlite.replacing import safety_copies
from tests import compare
from tests.stand_ins.bot import REPOSITORY, environment

OWNER = """import sys; from pathlib import Path; from lib.base import leftovers
print(leftovers.make(Path(sys.argv[1]), "premium_system.db", "taking"), flush=True); sys.stdin.read()"""
NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@contextlib.contextmanager
def owner(folder, *before):
    """A script in another process that holds a private folder in `folder`."""
    command = [*before, sys.executable, "-c", OWNER, folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, cwd=REPOSITORY, env=environment(), **pipes)
    try:
        yield running.stdout.readline().strip()
    finally:
        running.kill()
        running.communicate()


def sweep(folder):
    leftovers.clear(leftovers.make(folder, "mine", "taking"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_script_left_is_removed_by_the_next(tmp_path):
    with owner(tmp_path) as folder:
        (tmp_path / folder / "copy.db").write_text("rows")
        (tmp_path / folder / "nested" / "deep").mkdir(parents=True)
        (tmp_path / folder / "nested" / leftovers.LOCK).touch()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_what_a_living_script_uses_stays(tmp_path):
    with owner(tmp_path) as folder:
        sweep(tmp_path)
        assert [str(path) for path in tmp_path.iterdir()] == [folder]
    ours = leftovers.make(tmp_path, "ours", "taking")
    sweep(tmp_path)
    assert names(tmp_path) == [ours.name]
    leftovers.clear(ours)


def test_a_script_in_another_container_is_alive_though_its_number_is_not_known_here(tmp_path):
    """And the next one there has the number of a dead one."""
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a namespace of process numbers")
    with owner(tmp_path, *NAMESPACE) as folder:
        sweep(tmp_path)
        assert [str(path) for path in tmp_path.iterdir()] == [folder]
        with owner(tmp_path, *NAMESPACE) as other:
            assert sorted(str(path) for path in tmp_path.iterdir()) == sorted([folder, other])


@pytest.fixture
def precious(tmp_path):
    """A folder with a file in it, which nobody may lose."""
    found = tmp_path / "precious"
    found.mkdir()
    (found / "only.db").write_text("rows")
    return found


def test_links_inside_are_removed_and_not_followed(tmp_path, precious):
    place = tmp_path / "place"
    place.mkdir()
    with owner(place) as folder:
        for name, target in {"folder": precious, "file": precious / "only.db", "nowhere": tmp_path / "nowhere"}.items():
            (place / folder / name).symlink_to(target)
        os.link(precious / "only.db", place / folder / "hard")
    sweep(place)
    assert names(place) == []
    assert (precious / "only.db").read_text() == "rows"


def foreign(place, precious):
    """What is not ours, with the names and some of the signs of what a dead script leaves."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for suffix in ("taking", "restoring", "new"):
        (place / f"a.{dead.pid}.{suffix}").mkdir()
        (place / f"a.{dead.pid}.{suffix}" / "only.db").write_text("rows")
        (place / f"b.{dead.pid}.{suffix}").write_text("rows")
        (place / f"c.{os.getpid()}.{suffix}").symlink_to(precious)
        os.mkfifo(place / f"d.{dead.pid}.{suffix}")
        for sign in (
            "a link",
            "a pipe",
            "a folder",
            "writable by others",
            "in a folder for all",
            "in somebody else's",
            "somebody else's",
        ):
            _signed(place / f"{sign}.x.{suffix}", sign, precious)
        (place / f"link.x.{suffix}").symlink_to(place / f"in a folder for all.x.{suffix}")


def _signed(folder, sign, precious):
    folder.mkdir(mode=0o700)
    (folder / "only.db").write_text("rows")
    lock = folder / leftovers.LOCK
    if sign == "a link":
        lock.symlink_to(precious / "only.db")
    elif sign == "a pipe":
        os.mkfifo(lock)
    elif sign == "a folder":
        lock.mkdir()
    else:
        lock.touch(mode=0o600)
        lock.chmod(0o666 if sign == "writable by others" else 0o600)
        folder.chmod(0o777 if sign == "in a folder for all" else 0o700)
        if os.geteuid() == 0 and sign.endswith("somebody else's"):
            os.chown(folder if sign.startswith("in") else lock, 65534, 65534)
        elif sign.endswith("somebody else's"):
            lock.unlink()


def tree(folder):
    return {path: stat.S_IFMT(path.lstat().st_mode) for path in folder.rglob("*")}


def test_what_is_not_ours_stays_whatever_it_is_called(tmp_path, precious):
    place = tmp_path / "place"
    place.mkdir()
    foreign(place, precious)
    before = tree(tmp_path)
    for suffix in ("taking", "restoring", "new"):
        leftovers.clear(leftovers.make(place, "mine", suffix))
    leftovers.clear(place)  # not made by us
    assert tree(tmp_path) == before


@pytest.mark.campaign
def test_backups_and_restores_pass_by_what_is_not_theirs(saved_bot, tmp_path, precious):
    for place in (saved_bot.data, saved_bot.folder / "snapshots"):
        foreign(place, precious)
    before = tree(precious), tree(saved_bot.data), tree(saved_bot.folder / "snapshots")
    saved_bot.backup("--full")
    saved_bot.run("restore.py", "--yes").expect(0)
    after = tree(saved_bot.data)
    assert {path for path in after.keys() - before[1].keys() if ".before-restore" not in path.name} == set()
    assert (tree(precious), before[1].keys() - after.keys()) == (before[0], set())
    assert tree(saved_bot.folder / "snapshots") == before[2]
    for path in saved_bot.databases:
        kept = safety_copies.of(path)
        assert compare.differences(path, kept[0]) == []


def test_an_operator_is_told_of_a_folder_that_stays(tmp_path):
    with leftovers.within(tmp_path / "snapshots", "premium_system", "drill") as drill:
        inner = leftovers.make(drill, "premium_system.db", "restoring")
        assert leftovers.lasting(inner) == leftovers.lasting(drill) == tmp_path / "snapshots"
        leftovers.clear(inner)
    assert names(tmp_path) == []
    assert leftovers.lasting(tmp_path) == tmp_path
