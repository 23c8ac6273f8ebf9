"""Whoever removes a run, thinning or somebody in the dashboard, harms no later point; what cannot be thinned costs no backup."""

import datetime

import pytest

from lib.backing_up import health
from lib.postgres.link.connection import Target
from lib.settings.retention import Retention
from tests import compare
from tests.cases.histories import NEVER, assert_listed_come_back, keep, keeping, listed, log, pass_time, thin, wake
from tests.stand_ins.deployment import Deployment

TABLES = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE loose (x); CREATE TABLE old (id INTEGER PRIMARY KEY, a TEXT)"
)
MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO t SELECT i, 'x' FROM n"


@pytest.fixture
def deployment(tmp_path, database):
    made = Deployment(tmp_path / "bot", database)
    made.script(f"{TABLES}; INSERT INTO old VALUES (1, 'precious')")
    made.set_up()
    keeping(made, NEVER)
    made.back_up()
    return made


def lived(deployment):
    """Let some runs be made, of which only one has found something in `loose`; return the copies of the file by run."""
    copies = {}
    for change in ("INSERT INTO t VALUES (1, 'a')", "INSERT INTO loose VALUES ('only here')", "UPDATE t SET a = 'b'", "SELECT 1"):
        deployment.script(change)
        deployment.back_up()
        keep(deployment, copies)
    return copies


@pytest.mark.parametrize(
    "which", ["run = 1", "run = 3", "run < 5", "run IN (2, 4)", "run = (SELECT max(run) FROM backup.runs)", "true"]
)
def test_a_run_that_somebody_deletes_is_no_loss_to_the_others(deployment, which):
    copies = lived(deployment)
    deployment.rows(f"DELETE FROM backup.runs WHERE {which}")
    left = [run for (run,) in deployment.rows("SELECT run FROM backup.runs")]
    assert assert_listed_come_back(deployment, copies) == len({*left} & {*copies})
    deployment.script("UPDATE t SET a = 'later'")
    deployment.back_up()
    keep(deployment, copies)
    assert deployment.run in listed(deployment)
    assert assert_listed_come_back(deployment, copies) == len({*left} & {*copies}) + 1
    thin(deployment, Retention(1, datetime.timedelta(0), datetime.timedelta(0)))
    assert_listed_come_back(deployment, copies)


def test_books_that_are_emptied_are_begun_anew(deployment):
    lived(deployment)
    deployment.rows("TRUNCATE backup.runs")
    assert listed(deployment) == []
    deployment.back_up()
    assert compare.differences(deployment.path, deployment.restored()) == []


def test_a_result_that_is_deleted_alone_is_never_restored_without_its_rows(deployment):
    lived(deployment)
    deployment.rows("DELETE FROM backup.run_tables WHERE table_name = 'loose' AND run = 3")
    with pytest.raises(Exception, match="loose"):
        deployment.restored()
    deployment.back_up(full=True)
    assert compare.differences(deployment.path, deployment.restored()) == []


SPOILT = {
    "a text that jsonb refuses": "ALTER TABLE backup_source.t ADD note json;"
    " UPDATE backup_source.t SET note = json_build_object('a', E'\\\\u0000')::text::json",
    "a line that somebody has cut": "UPDATE backup.undo_log SET lines = left(lines, 5) WHERE record = 2",
    "one that was cut unseen": "ALTER TABLE backup.undo_log DISABLE TRIGGER ALL;"
    " UPDATE backup.undo_log SET lines = left(lines, 5); ALTER TABLE backup.undo_log ENABLE ALWAYS TRIGGER note_lost_updates",
}


@pytest.mark.parametrize("way", SPOILT)
def test_what_cannot_be_thinned_costs_no_backup(deployment, way):
    for value in range(4):
        pass_time(deployment, 60)
        deployment.script(f"INSERT OR REPLACE INTO t VALUES (1, 'v{value}')")
        deployment.back_up()
    deployment.rows(SPOILT[way])
    keeping(deployment, Retention())
    pass_time(deployment, 90_000)
    for value in range(3):
        deployment.script(f"INSERT OR REPLACE INTO t VALUES (2, 'w{value}')")
        deployment.back_up()
        assert compare.differences(deployment.path, deployment.restored()) == []
    assert len(deployment.rows("SELECT run FROM backup.runs WHERE outcome = 'saved'")) <= 6
    assert deployment.rows("SELECT is_thinned FROM backup.sources") == [(True,)]


def test_any_error_in_thinning_is_told_and_the_run_is_saved(deployment):
    deployment.rows(
        "CREATE OR REPLACE FUNCTION backup.usual_pause(of_source text, up_to bigint) RETURNS interval"
        " LANGUAGE plpgsql AS $$ BEGIN RAISE query_canceled USING MESSAGE = 'too long'; END $$"
    )
    deployment.back_up()
    assert deployment.warnings == ["source: history was not thinned (too long). The next run tries again."]
    assert deployment.rows("SELECT count(*) FROM backup.runs WHERE outcome = 'saved'") == [(2,)]


@pytest.mark.parametrize("rows", ["many", "large"])
def test_an_interval_of_large_runs_is_packed_in_the_end(deployment, rows):
    copies = {}
    keep(deployment, copies)
    deployment.script(MANY if rows == "many" else "INSERT INTO t VALUES (1, '')")
    deployment.back_up()
    for value in range(4):
        deployment.script("UPDATE t SET a = hex(randomblob(600000))" if rows == "large" else f"UPDATE t SET a = 'v{value}'")
        deployment.back_up()
        keep(deployment, copies)
    deployment.rows("UPDATE backup.runs SET finished_at = date_trunc('hour', finished_at)")
    wake(deployment, 90_000)
    thin(deployment, Retention())
    assert log(deployment)[1] <= (6000 if rows == "many" else 1)
    assert assert_listed_come_back(deployment, copies) >= 1
    assert deployment.rows("SELECT count(*) FROM backup.runs WHERE packing IS NOT NULL") == [(0,)]
    assert deployment.rows("SELECT count(*) FROM backup.open_statements") == [(0,)]


def test_a_clock_that_is_days_ahead_for_one_run_thins_nothing_and_the_next_run_confirms(deployment):
    for _ in range(4):
        pass_time(deployment, 300)
        deployment.back_up()
    keeping(deployment, Retention())
    pass_time(deployment, 3 * 86_400)
    deployment.back_up()
    assert deployment.rows("SELECT count(*) FROM backup.runs") == [(6,)]
    deployment.back_up()
    assert deployment.rows("SELECT count(*) FROM backup.runs")[0][0] < 7


def test_what_was_dated_by_clocks_that_came_right_stays(deployment):
    """Both clocks are days behind for one run: the runs before it seem to be of the future, and get its time."""
    keeping(deployment, Retention(30, datetime.timedelta(days=1), datetime.timedelta(days=7)))
    pass_time(deployment, 50 * 3600)
    deployment.rows("UPDATE backup.sources SET created_at = created_at - interval '100 days'")
    copies = {}
    for number in range(12):
        pass_time(deployment, 1800)
        deployment.script(f"INSERT INTO t VALUES ({number}, 'a')")
        deployment.back_up()
        keep(deployment, copies)
    pass_time(deployment, -3 * 86_400)
    deployment.back_up()
    pass_time(deployment, 3 * 86_400)
    for _ in range(4):
        pass_time(deployment, 1800)
        deployment.back_up()
    assert assert_listed_come_back(deployment, copies) == len(copies)


def test_a_run_whose_definition_somebody_has_deleted_is_not_listed_as_restorable(deployment):
    copies = {}
    keep(deployment, copies)
    deployment.script("CREATE TABLE another (id INTEGER PRIMARY KEY)")
    deployment.back_up()
    keep(deployment, copies)
    oldest = "SELECT min(source_schema) FROM backup.source_schemas"
    deployment.rows(f"DELETE FROM backup.source_schemas WHERE source_schema = ({oldest})")
    assert listed(deployment) == [deployment.run]
    assert assert_listed_come_back(deployment, copies) == 1


def test_a_shorter_retention_is_due_at_once_for_every_source(deployment):
    deployment.rows("INSERT INTO backup.sources (source, mirror_schema) VALUES ('other', 'other')")
    deployment.rows("SELECT backup.prune('source', 9, '1h', '1h')")
    assert deployment.rows("SELECT is_thinned FROM backup.sources WHERE source = 'other'") == [(False,)]


def test_the_pace_is_that_of_runs_between_which_nothing_was_thinned(deployment):
    deployment.rows(
        "INSERT INTO backup.runs (source, outcome, started_at, finished_at, version, source_schema, undo_mark, waited)"
        " SELECT source, 'saved', at, at, version, source_schema, undo_mark, CASE WHEN n < 15 THEN interval '1 day' END"
        " FROM backup.runs, generate_series(1, 20) AS n,"
        " LATERAL (SELECT finished_at + CASE WHEN n < 15 THEN n * interval '1 day' ELSE interval '14 days' END"
        " + n * interval '1 min') AS t (at)"
    )
    with Target(deployment.settings.targets[0], "backup") as target:
        assert health.asked(target, ["source"])["source"]["pace"] == 60


def test_what_is_kept_is_released_also_where_it_cannot_be_restored_any_more(deployment):
    lived(deployment)
    deployment.rows("SELECT backup.keep_runs('{source}', 3, 'why'); DELETE FROM backup.undo_log")
    assert deployment.rows("SELECT run FROM backup.release_runs('{source}', 3)") == [(3,)]
