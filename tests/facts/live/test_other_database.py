"""A file that is written over in place is another database, whatever it counts: no batch sends it unchecked."""

import contextlib
import sqlite3

import pytest

from lib.base.errors import SourceError
from lib.sqlite.snapshots import previous, watched
from tests.stand_ins.deployment import Deployment

TABLE, INDEX = "CREATE TABLE t (id INTEGER PRIMARY KEY, what TEXT, who INTEGER)", "CREATE INDEX of_who ON t (who)"
ROWS = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, {what} || i, {who} FROM n"
COMMIT = "UPDATE t SET what = 'changed ' || random() WHERE id = 1"


def made(path, what="'row '", who="i % 97 + 2", commits=0):
    """Make a database of the one schema, with so many commits more than one needs."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(f"{TABLE}; {ROWS.format(what=what, who=who)}; {INDEX}")
        for _ in range(commits):
            database.execute(COMMIT)
    return path.read_bytes()


@pytest.fixture
def deployment(tmp_path, database):
    """A source of which a batch has been sent."""
    deployment = Deployment(tmp_path / "ours", database)
    made(deployment.path)
    deployment.set_up()
    deployment.back_up()
    deployment.script(COMMIT)
    assert deployment.live_batch()
    return deployment


def written_over(path, content):
    """Write into the file that is there; return its state before and after."""
    before = watched.state(path)
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate()
    return before, watched.state(path)


def test_another_database_with_the_same_schema_is_checked(deployment, tmp_path):
    """It counts more changes than ours, and its schema has as many."""
    checked = previous.read(deployment.kept)["checked"]
    before, now = written_over(deployment.path, made(tmp_path / "other.db", "'another '", commits=50))
    assert watched.is_same_file(now, before)
    assert not deployment.live_batch()
    # It is no ordinary run for that: the next one is not put off, and the brake goes on comparing with the last one.
    assert previous.read(deployment.kept)["checked"] == checked
    deployment.script(COMMIT)
    assert deployment.live_batch()
    deployment.assert_round_trip()


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_most_of_another_database_is_not_sent(deployment, tmp_path, share):
    """As it is seen while somebody writes it slowly: the beginning of the one, the end of the other."""
    ours = deployment.path.read_bytes()
    other = made(tmp_path / "other.db", who="i * 31 % 97 + 2", commits=50)
    assert len(other) == len(ours)
    sent = deployment.rows("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM backup_source.t")
    so_far = int(len(other) * share) // 4096 * 4096
    written_over(deployment.path, other[:so_far] + ours[so_far:])
    with pytest.raises(SourceError):
        deployment.live_batch()
    assert deployment.rows("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM backup_source.t") == sent


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_another_schema_is_another_file(tmp_path, mode):
    """Such as the same bot's before its last migration, or another program's."""
    ours = tmp_path / "ours.db"
    made(ours)
    other = made(tmp_path / "other.db", commits=50)
    with contextlib.closing(sqlite3.connect(ours, isolation_level=None)) as database:
        database.executescript(f"PRAGMA journal_mode = {mode}; ALTER TABLE t ADD COLUMN late")
    before, now = written_over(ours, other[:18] + ours.read_bytes()[18:20] + other[20:])
    assert not watched.is_same_file(now, before)


def test_what_is_written_without_being_counted_is_checked(deployment):
    """Who writes slowly has written the counter first; a transaction that is rolled back leaves all as it was."""
    content = deployment.path.read_bytes()
    written_over(deployment.path, content.replace(b"row 77", b"ROW 77", 1))
    assert not deployment.live_batch()
    deployment.script(COMMIT)
    assert deployment.live_batch()
    deployment.script(f"PRAGMA cache_size = 5; BEGIN; {COMMIT}; UPDATE t SET what = 'spilled'; ROLLBACK")
    assert not deployment.live_batch()  # it is no run: nothing is new
    assert deployment.rows("SELECT max(run) FROM backup.runs") == [(4,)]


def test_a_smaller_database_that_is_half_written_is_not_sent(deployment, tmp_path):
    deployment.script("UPDATE t SET what = hex(zeroblob(20000)) WHERE id = 3; UPDATE t SET what = 'row 3' WHERE id = 3")
    assert deployment.live_batch()
    ours, other = deployment.path.read_bytes(), made(tmp_path / "other.db", who="i * 31 % 97 + 2", commits=50)
    assert len(other) < len(ours)
    sent = deployment.rows("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM backup_source.t")
    so_far = int(len(other) * 0.6) // 4096 * 4096
    written_over(deployment.path, other[:so_far] + ours[so_far:])
    with pytest.raises(SourceError):
        deployment.live_batch()
    assert deployment.rows("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM backup_source.t") == sent


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_commits_of_rows_leave_it_the_same_file(tmp_path, mode):
    path = tmp_path / "ours.db"
    made(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        before = watched.state(path)
        for statement in (COMMIT, "DELETE FROM t WHERE id > 10", "PRAGMA wal_checkpoint", COMMIT):
            database.execute(statement)
            now = watched.state(path)
            assert watched.is_same_file(now, before)
            before = now
