"""The books are small: a run notes what it has changed, and every point still comes back whole."""

import contextlib

import psycopg2
import pytest

from lib.base.errors import Problem
from tests import compare
from tests.stand_ins.deployment import Deployment

STORED = """SELECT sum(pg_relation_size(oid))::int FROM pg_class
    WHERE relnamespace = 'backup'::regnamespace AND relkind IN ('r', 'i')"""
PAGES_OF_RUNS = 3 * 8192
MOST_BYTES = 200
RUNS = 400


@pytest.fixture
def deployment(tmp_path, database):
    made = Deployment(tmp_path / "source", database, name="premium_system.db")
    made.script("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT)")
    made.script("INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (1, 'a')")
    made.set_up()
    made.back_up()
    return made


def noted(deployment):
    """Return which tables each run has noted."""
    return deployment.rows(
        "SELECT run, array_agg(table_name ORDER BY table_name) FROM backup.run_tables GROUP BY run ORDER BY run"
    )


def test_a_run_notes_what_it_has_changed_and_nothing_else(deployment):
    deployment.back_up()
    deployment.script("UPDATE t SET a = 'b'")
    deployment.back_up()
    deployment.back_up(full=True)
    assert noted(deployment) == [(1, ["t", "u"]), (3, ["t"])]
    assert deployment.rows("SELECT count(snapshot_hash), count(rows), count(*) FROM backup.runs") == [(2, 2, 4)]


def test_what_this_machine_has_not_noted_postgres_need_not_store_twice(deployment):
    deployment.kept.unlink()
    deployment.back_up()
    assert noted(deployment) == [(1, ["t", "u"])]
    deployment.assert_round_trip()


def test_a_table_that_is_dropped_stays_away_and_comes_back_as_it_is_made_again(deployment):
    kept = {}
    for number, change in enumerate(
        (
            "UPDATE u SET a = 'b'",
            "DROP TABLE t",
            "UPDATE u SET a = 'c'",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'a')",
            "UPDATE u SET a = 'd'",
            "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)",
            "UPDATE u SET a = 'e'",
        )
    ):
        deployment.script(change)
        deployment.back_up()
        kept[deployment.run] = deployment.restored().rename(deployment.folder / f"kept-{number}.db")
        assert compare.differences(deployment.path, kept[deployment.run]) == []
    for run, file in kept.items():
        assert compare.differences(file, deployment.restored(run)) == [], run


def test_the_oldest_point_stands_alone_when_what_it_relied_on_is_pruned(deployment):
    for _ in range(2):
        deployment.back_up()
    kept = deployment.restored().rename(deployment.folder / "kept.db")
    deployment.script("UPDATE u SET a = 'b'")
    deployment.back_up()
    deployment.rows("UPDATE backup.runs SET finished_at = finished_at - interval '1 day' * 20 * (5 - run)")
    deployment.back_up()
    ((oldest,),) = deployment.rows("SELECT min(run) FROM backup.runs WHERE outcome = 'saved'")
    assert oldest == 3
    assert compare.differences(kept, deployment.restored(oldest)) == []
    assert noted(deployment) == [(3, ["t", "u"]), (4, ["u"])]
    deployment.assert_round_trip()


def test_a_run_that_does_not_say_what_it_left_is_not_saved(deployment):
    ((run,),) = deployment.rows("SELECT run FROM backup.open_run('premium_system', 'm', 'v')")
    about = f'{{"mirrors": "{{\\"new\\": null}}", "snapshot_hash": "{"0" * 64}", "snapshot_bytes": 1, "rows": 1, "bytes_sent": 1,'
    about += ' "machine_time": 1}'
    with pytest.raises(Problem, match="does not say what it has left in every table"):
        deployment.rows(
            f"BEGIN; SELECT backup.take_source({run}); SELECT backup.save_run({run}, '{about}', '{{}}', '[]'); COMMIT"
        )


def stored(database):
    """Return the bytes of the books' tables and indexes, dead rows cleared away."""
    with contextlib.closing(psycopg2.connect(database)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute(STORED)
        return cursor.fetchone()[0]


@pytest.mark.campaign
def test_a_quiet_run_leaves_little_behind(deployment, database):
    before = stored(database)
    for _ in range(RUNS):
        deployment.back_up()
    assert stored(database) - before < RUNS * MOST_BYTES + PAGES_OF_RUNS
