"""While one source is backed up, the next one is copied."""

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from backup import back_up_all
from lib.backing_up.options import BackupOptions
from lib.base.errors import Interrupted, SourceError
from lib.postgres.books import runs
from lib.settings import config
from lib.sqlite.snapshots import copying, live_file
from lib.sqlite.snapshots.previous import Previous
from lib.trying import sample_bot, trial


@pytest.fixture
def sources(tmp_path):
    return {path.stem: path for path in sample_bot.make(tmp_path / "data", 10)}


def all_ahead(sources, tmp_path):
    return copying.Ahead(sources, tmp_path / "snapshots", "full", {})


def made_up(name):
    return copying.Copy(Path(name), Path(name), "delete", "", (0, 0), Previous(None, {}, {}, ()), "full", None)


@pytest.fixture
def made_ahead(tmp_path, monkeypatch):
    """Return copies that are made up by a function of the source's name, where there is room for all of them."""

    def ahead(names, copy):
        monkeypatch.setattr(copying, "copy", lambda source, *_: copy(source.name))
        return copying.Ahead({name: Path(name) for name in names}, tmp_path, "full", {})

    return ahead


def in_folder(tmp_path):
    return sorted(path.name for path in (tmp_path / "snapshots").iterdir())


def test_the_next_source_is_copied_while_the_first_one_is_backed_up(made_ahead):
    begun = threading.Event()
    made = made_up("neither")
    with made_ahead(["first", "second"], lambda name: (name == "second" and begun.set(), made)[1]) as ahead:
        assert ahead.copy_of("first") is made
        assert begun.wait(30)
        assert ahead.copy_of("second") is made


def test_no_more_than_one_is_copied_ahead(made_ahead):
    begun = []

    def copy(name):
        begun.append(name)
        return made_up(name)

    with made_ahead(["first", "second", "third"], copy) as ahead:
        ahead.copy_of("first")
    assert "first" in begun
    assert "third" not in begun


def test_another_attempt_gets_another_copy(sources, tmp_path):
    name = next(iter(sources))
    with all_ahead(sources, tmp_path) as ahead:
        one = ahead.copy_of(name)
        one.remove()
        other = ahead.copy_of(name)
    assert other.path.exists()
    assert other.hash == one.hash


def test_a_copy_that_nobody_wanted_is_removed(sources, tmp_path):
    with all_ahead(sources, tmp_path) as ahead:
        ahead.copy_of(next(iter(sources))).remove()
    assert in_folder(tmp_path) == []


def test_a_source_that_cannot_be_copied_stops_no_other(sources, tmp_path):
    first, second = sources
    sources[first].write_bytes(b"")
    with all_ahead(sources, tmp_path) as ahead:
        with pytest.raises(SourceError, match="is empty"):
            ahead.copy_of(first)
        made = ahead.copy_of(second).path
    assert made.exists()
    assert in_folder(tmp_path) == [made.parent.name]


def test_a_source_out_of_reach_is_no_reason_to_stop(sources, tmp_path, monkeypatch):
    """Whether there is room for the next copy is asked before anybody tries to read it."""
    first, second = sources

    def out_of_reach(path, **_):
        if path.name.startswith(sources[second].name):
            raise PermissionError(13, "Permission denied")
        return stat(path)

    stat = Path.stat
    monkeypatch.setattr(Path, "stat", out_of_reach)
    assert copying.size_of(sources[second]) == 0
    assert copying.size_of(sources[first]) > 0


def test_a_wal_that_is_gone_between_two_looks_is_none(sources, monkeypatch):
    path = next(iter(sources.values()))
    size = path.stat().st_size
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert copying.size_of(path) == size


def test_a_wal_that_once_was_large_needs_no_room(sources):
    """It never shrinks while the bot is there, and what was checkpointed is written over."""
    path = next(iter(sources.values()))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as bot:
        bot.executescript("PRAGMA journal_mode = WAL; CREATE TABLE large (x)")
        bot.execute("INSERT INTO large VALUES (zeroblob(5000000))")
        bot.execute("DROP TABLE large")
        bot.execute("VACUUM")
        wal = Path(f"{path}-wal").stat().st_size
        bot.execute("PRAGMA wal_checkpoint")
        assert Path(f"{path}-wal").stat().st_size == wal > 5_000_000
        assert copying.size_of(path) == path.stat().st_size < 1_000_000


def test_a_copy_is_removed_where_a_signal_breaks_in_while_it_is_waited_for(sources, tmp_path, monkeypatch):
    name, path = next(iter(sources.items()))

    def interrupted(waited_for, timeout=None):
        wait(waited_for, timeout)
        if timeout is None:
            raise Interrupted(15)

    wait = copying.futures.wait
    monkeypatch.setattr(copying.futures, "wait", interrupted)
    with all_ahead({name: path}, tmp_path) as ahead, pytest.raises(Interrupted):
        ahead.copy_of(name)
    assert in_folder(tmp_path) == []


def test_a_file_that_is_emptied_while_it_is_copied_is_no_database(sources, tmp_path, monkeypatch):
    path = next(iter(sources.values()))
    copy = live_file.copy

    def emptied(source, place):
        os.truncate(source, 0)
        return copy(source, place)

    monkeypatch.setattr(live_file, "copy", emptied)
    with pytest.raises(SourceError, match="is empty"):
        copying.copy(path, tmp_path / "snapshots", "full")
    assert in_folder(tmp_path) == []


def test_a_copy_that_will_be_kept_is_written_through_to_the_disk(saved_bot, monkeypatch):
    kept, written = saved_bot.folder / "snapshots" / sample_bot.PREMIUM, []
    take = copying.copy
    monkeypatch.setattr(copying, "copy", lambda *about: copy(*about))
    monkeypatch.setattr(os, "fsync", lambda file: written.append(os.fstat(file).st_ino))

    def copy(source, *about):
        return made_up("behind") if source.name == "behind" else take(source, *about)

    def copied():
        sources = {"premium": saved_bot.premium, "behind": Path("behind")}
        with copying.Ahead(sources, saved_bot.folder / "mine", "full", {"premium": kept}) as ahead:
            made = ahead.copy_of("premium").path
            ahead.copy_of("behind")  # its turn comes when the first one is on the disk
        return made.stat().st_ino

    copied()
    assert written == []  # it is the same as the one that is kept
    saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET stars_amount = stars_amount + 1")
    assert [copied()] == written


def test_an_older_copy_is_not_saved_over_a_newer_one(saved_bot, monkeypatch):
    """Another run saves the source while this one waits for its turn; then a new copy is taken."""
    settings = config.load(saved_bot.folder / ".env")
    sources, options = {"user_requests": saved_bot.requests}, BackupOptions()
    lock, others = runs.take, []

    def outrun(*arguments):
        if not others:
            saved_bot.sqlite(saved_bot.requests, "INSERT INTO user_requests VALUES (1, -1, 'newer', 5)")
            others.append(saved_bot.backup("user_requests"))
        return lock(*arguments)

    monkeypatch.setattr(runs, "take", outrun)
    report = back_up_all(settings, sources, options, trial.silent())
    assert [run.outcome for run in report.runs] == ["saved"], report.failures
    assert saved_bot.query("SELECT count(*) FROM backup_user_requests.user_requests WHERE gift_name = 'newer'") == [(1,)]
