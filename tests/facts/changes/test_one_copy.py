"""What little has changed travels in one COPY, of however many tables; what is much has a COPY of its own."""

import re

import pytest

from lib.postgres.link.connection import Target
from lib.postgres.mirrors import merge, sending
from tests.cases import hostile
from tests.stand_ins.deployment import Deployment

# COPY waits for the server twice; then one question merges all and proves it.
TRIPS_OF_CHANGES = 3
CHANGES = """UPDATE t{0} SET v = 'changed', r = 0.30000000000000004 WHERE id = 1; DELETE FROM t{0} WHERE id = 2;
    INSERT INTO t{0} VALUES (7, '', NULL, x'00', 1), (8, NULL, 1e308, x'', 0), (9, '"\\.', -0.1, NULL, NULL);"""


def many(tables):
    made = """CREATE TABLE t{0} (id INTEGER PRIMARY KEY, v TEXT, r REAL, b BLOB, is_new BOOLEAN);
        INSERT INTO t{0} VALUES (1, 'a', 0.1, x'ff', 1), (2, 'b', 0.2, x'5c', 0), (3, 'c', NULL, NULL, NULL);"""
    return f"BEGIN; {''.join(made.format(place) for place in range(tables))} COMMIT;"


@pytest.fixture
def copies(monkeypatch):
    """The places that were copied to, without their numbers."""
    found = []

    def copying(target, query, lines, copy_in=Target.copy_in):
        place = query.as_string(target.connection).rpartition("COPY ")[2].partition(" (")[0]
        found.append(re.sub(r"[^a-z]", "", place.removeprefix('"pg_temp"')))
        copy_in(target, query, lines)

    monkeypatch.setattr(Target, "copy_in", copying)
    return found


def saved(deployment, script):
    """Return it after two runs, the second of which changed nothing."""
    deployment.script(script)
    deployment.set_up()
    deployment.back_up()
    assert deployment.back_up() == {}
    return deployment


@pytest.mark.parametrize("changed", [1, 9, 40])
def test_changes_cost_three_round_trips_in_however_many_tables(tmp_path, prepared, copies, changed):
    deployment = saved(Deployment(tmp_path, prepared), many(40))
    quiet, first = deployment.round_trips, deployment.run
    del copies[:]
    deployment.script("".join(CHANGES.format(place) for place in range(changed)))
    assert deployment.back_up() == {f"t{place}": (3, 1, 1) for place in range(changed)}
    assert copies == ["staged"]
    assert deployment.round_trips == quiet + TRIPS_OF_CHANGES == 5
    deployment.assert_round_trip()
    assert deployment.restored(first).exists()


@pytest.mark.parametrize(("few", "trips"), [(1000, 5), (119, 6)])
def test_where_rows_are_few_their_count_travels_with_the_first_of_them(tmp_path, prepared, monkeypatch, few, trips):
    monkeypatch.setattr(merge, "FEW_ROWS", few)
    deployment = saved(Deployment(tmp_path, prepared), many(40))
    deployment.script(CHANGES.format(0))
    deployment.back_up()
    assert deployment.round_trips == trips


@pytest.mark.parametrize("few", [1000, 0])
@pytest.mark.parametrize("changed", [CHANGES.format(0), "VACUUM", "UPDATE t0 SET id = id + 10"])
def test_a_row_that_nobody_saw_go_is_missed_before_anything_is_sent(tmp_path, prepared, monkeypatch, changed, few):
    monkeypatch.setattr(merge, "FEW_ROWS", few)
    deployment = saved(Deployment(tmp_path, prepared), many(3))
    deployment.rows(
        "ALTER TABLE backup_source.t2 DISABLE TRIGGER USER; DELETE FROM backup_source.t2 WHERE id = 3;"
        "ALTER TABLE backup_source.t2 ENABLE ALWAYS TRIGGER undo_begin, ENABLE ALWAYS TRIGGER undo_insert,"
        " ENABLE ALWAYS TRIGGER undo_update, ENABLE ALWAYS TRIGGER undo_delete, ENABLE ALWAYS TRIGGER undo_truncate"
    )
    deployment.script(changed)
    assert deployment.back_up()["t2"] == (1, 0, 0)
    assert deployment.rows(f"SELECT table_name FROM backup.lost_history WHERE before_run = {deployment.run}") == [("t2",)]
    deployment.assert_round_trip()


def test_round_trips_are_counted_as_the_link_sees_them(saved_bot, line):
    """A login asks, too, and is counted by nobody."""
    saved_bot.backup()
    asked, counted = [], []
    for change in ("", "UPDATE refunds SET stars_amount = stars_amount + 1"):
        if change:
            saved_bot.sqlite(saved_bot.premium, change)
        line.reset()
        counted.append(sum(run["round_trips"] for run in saved_bot.backup()["runs"]))
        asked.append(line.questions)
    assert asked[1] - asked[0] == counted[1] - counted[0] == TRIPS_OF_CHANGES


def test_what_is_much_travels_alone_beside_what_is_little(tmp_path, prepared, copies, monkeypatch):
    monkeypatch.setattr(sending, "MUCH_BYTES", 3000)
    deployment = saved(Deployment(tmp_path, prepared), many(4))
    del copies[:]
    deployment.script("".join(CHANGES.format(place) for place in range(3)))
    deployment.script(
        "INSERT INTO t3 SELECT 10 * a.id + b.id, hex(zeroblob(500)), 0, NULL, 1 FROM t0 AS a, t1 AS b WHERE b.id < 9"
    )
    assert deployment.back_up()["t3"][0] > 3
    assert copies == ["staging", "gone", "staged"]
    deployment.assert_round_trip()


def test_misfits_new_tables_and_tables_without_a_mirror_travel_with_the_rest(tmp_path, prepared, copies):
    deployment = saved(
        Deployment(tmp_path, prepared), many(3) + """CREATE TABLE 'a "b", c' (k, v); CREATE VIRTUAL TABLE f USING fts5(v);"""
    )
    del copies[:]
    deployment.script(
        CHANGES.format(0) + "INSERT INTO t1 VALUES (5, x'00', 'text', 1, 2); CREATE TABLE new (id INTEGER PRIMARY KEY, v);"
        "INSERT INTO new VALUES (1, 'x'), (2, 3); INSERT INTO f VALUES ('words'); INSERT INTO 'a \"b\", c' VALUES ('k', x'00')"
    )
    deployment.back_up()
    assert copies == ["staged"]
    assert deployment.misfits > 2
    deployment.assert_round_trip()


def test_large_rows_are_framed_as_others(tmp_path, prepared, copies):
    deployment = saved(Deployment(tmp_path, prepared), many(3))
    del copies[:]
    large = "hex(zeroblob(20000)) || char(10) || '\"' || char(10)"
    deployment.script(
        f"UPDATE t0 SET v = {large} WHERE id < 3; INSERT INTO t1 VALUES (5, {large}, 1, x'00', 1), (6, 'small', 2, NULL, 0);"
    )
    deployment.script("INSERT INTO t2 VALUES (5, x'00' || zeroblob(9000), 1, zeroblob(9000), 2)")
    deployment.back_up()
    assert copies == ["staged"]
    deployment.assert_round_trip()


def test_a_very_wide_table_travels_alone(tmp_path, prepared, copies):
    columns = ", ".join(f"c{place}" for place in range(sending.SHARED_COLUMNS))
    deployment = saved(Deployment(tmp_path, prepared), many(2) + f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
    del copies[:]
    deployment.script(CHANGES.format(0) + "INSERT INTO wide (id, c7) VALUES (1, 'x')")
    deployment.back_up()
    assert copies == ["staging", "gone", "staged"]
    deployment.assert_round_trip()


@pytest.mark.campaign
@pytest.mark.parametrize("much", [40, 400])
@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_a_hostile_database_may_change_a_little_and_much(family, much, tmp_path, prepared, monkeypatch):
    monkeypatch.setattr(sending, "MUCH_BYTES", much)
    monkeypatch.setattr(merge, "AHEAD_BYTES", 10 * much)
    deployment = Deployment(tmp_path, prepared)
    hostile.build(family, deployment.path)
    deployment.assert_changes_come_back()
