"""Whether a run is a restore point has one answer: in the list, in the status, where it is asked for, and where one keeps it."""

import pytest

from lib.backing_up import health
from lib.base.errors import SourceError
from lib.postgres.books import points
from lib.postgres.link.connection import Target
from tests.cases.histories import listed, log
from tests.stand_ins.deployment import Deployment

TABLES = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a')"
SECOND = "(SELECT undo_mark FROM backup.runs WHERE run = 2)"
OLDEST = "(SELECT min(source_schema) FROM backup.source_schemas)"
# What somebody does to the books, the runs that are no whole points then, and why.
HINDRANCES = {
    "nothing": ("SELECT 1", set(), ""),
    "the log has ended": (f"DELETE FROM backup.undo_log WHERE record <= {SECOND}", {1}, "the undo log no longer reaches it"),
    "no definition": (
        f"DELETE FROM backup.source_schemas WHERE source_schema = {OLDEST}",
        {1, 2, 3},
        "its definition was deleted",
    ),
    "a table is lost": ("INSERT INTO backup.lost_history VALUES ('source', 't', 3)", {1, 2}, "it may lack tables"),
}


@pytest.fixture
def deployment(tmp_path, database):
    """Five runs; from the fourth on there is another table."""
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script(TABLES)
    deployment.set_up()
    for change in ("SELECT 1", "UPDATE t SET v = 'b'", "UPDATE t SET v = 'c'", "CREATE TABLE u (v)", "UPDATE t SET v = 'd'"):
        deployment.script(change)
        deployment.back_up()
    assert deployment.run == 5
    return deployment


@pytest.fixture(params=HINDRANCES)
def hindered(request, deployment):
    script, hindered, why = HINDRANCES[request.param]
    deployment.rows(script)
    return deployment, hindered, why


@pytest.fixture
def target(deployment):
    with Target(deployment.settings.targets[0], "backup") as target:
        yield target


def test_the_list_and_the_status_agree(hindered):
    deployment, runs, _ = hindered
    assert {*listed(deployment)} == {1, 2, 3, 4, 5} - runs
    (found,) = health.of_all(deployment.settings, deployment.settings.sources)
    shown = found.known["restore_points"]
    assert (shown["count"], shown["oldest"]) == (5 - len(runs), max(runs, default=0) + 1)


def test_what_is_no_whole_point_is_not_kept_and_why_is_said(hindered, target):
    deployment, runs, why = hindered
    for run in range(1, 6):
        if run in runs:
            with pytest.raises(SourceError) as refused:
                points.keep(target, ["source"], str(run), "why")
            assert f"run {run} of source cannot be kept: {why}" in str(refused.value)
            assert "python3 restore.py --list" in refused.value.remedy
        else:
            assert points.keep(target, ["source"], str(run), "why") == [("source", run)]
    kept = deployment.rows("SELECT run FROM backup.runs WHERE kept_at IS NOT NULL ORDER BY run")
    assert kept == [(run,) for run in range(1, 6) if run not in runs]


def test_a_run_that_is_asked_for_is_given_or_refused_and_never_another_one(hindered, target):
    """Of one that may lack a table the others still come back: it is given, and compared."""
    _, runs, why = hindered
    for run in range(1, 6):
        if run in runs and "lack" not in why:
            said = why if "definition" in why else "cannot go back that far: its oldest restore point is run 2,"
            with pytest.raises(SourceError, match=said):
                points.run_at(target, "source", run, None)
        else:
            assert points.run_at(target, "source", run, None) == run


def test_of_several_databases_none_is_kept_where_one_cannot_be(deployment, target):
    deployment.rows(
        "INSERT INTO backup.sources (source, mirror_schema) VALUES ('whole', 'whole');"
        " INSERT INTO backup.runs (source, outcome, finished_at, version, source_schema, undo_mark)"
        " SELECT 'whole', outcome, finished_at, version, source_schema, undo_mark FROM backup.runs WHERE run = 5;"
        " INSERT INTO backup.lost_history VALUES ('source', 't', 9)"
    )
    with pytest.raises(SourceError, match="run 5 of source cannot be kept: it may lack tables") as refused:
        points.keep(target, ["source", "whole"], "6", "why")
    assert "--database" in refused.value.remedy
    assert deployment.rows("SELECT count(*) FROM backup.runs WHERE kept_at IS NOT NULL") == [(0,)]
    assert points.keep(target, ["whole"], "6", "why") == [("whole", 6)]


def test_what_can_be_restored_is_thinned_by_itself(deployment):
    """The first run of the hour has lost its definition, as have two others: the fourth is the first that can be restored."""
    script, *_ = HINDRANCES["no definition"]
    deployment.rows(script)
    deployment.rows("UPDATE backup.runs SET finished_at = date_trunc('day', now()) - interval '1 day' + run * interval '1 s'")
    stays = "SELECT run, stays FROM backup.staying('source', 0, 4, 0, 0, NULL) ORDER BY run"
    assert [run for run, stays in deployment.rows(stays) if stays] == [1, 4, 5]


def test_a_record_that_somebody_numbers_anew_ends_history_at_both_numbers(deployment):
    newest = log(deployment)[0]
    deployment.rows("UPDATE backup.undo_log SET record = DEFAULT WHERE record = (SELECT min(record) FROM backup.undo_log)")
    assert deployment.rows("SELECT pruned_to > undo_mark FROM backup.sources, backup.runs WHERE run = last_run") == [(True,)]
    assert log(deployment)[0] == newest
    assert listed(deployment) == []
    deployment.back_up()
    assert listed(deployment) == [6]


def test_a_record_that_somebody_gives_to_another_source_ends_the_history_of_both(deployment):
    deployment.rows("INSERT INTO backup.sources (source, mirror_schema) VALUES ('other', 'other')")
    deployment.rows(f"UPDATE backup.undo_log SET source = 'other' WHERE record = {SECOND}")
    assert deployment.rows(f"SELECT count(*) FROM backup.sources WHERE pruned_to = {SECOND}") == [(2,)]
