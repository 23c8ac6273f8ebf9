"""History ends by retention alone: not after a quiet time, not by a wrong clock, and not unnoticed by anybody's hand."""

import contextlib
import itertools
import re
import time
from datetime import datetime

import psycopg2
import pytest

from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.settings.retention import Retention
from lib.trying import sample_bot
from tests import compare
from tests.cases.histories import assert_listed_come_back, keep, listed
from tests.stand_ins.deployment import Deployment

ROWS = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"


@pytest.fixture
def deployment(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script(ROWS)
    deployment.set_up()
    deployment.back_up()
    return deployment


def age(deployment, days):
    """Let so many days pass: every time that is stored lies further back."""
    deployment.rows(
        f"UPDATE backup.runs SET started_at = started_at - interval '{days} days', finished_at = finished_at - interval '{days} days'"
    )


@pytest.mark.campaign
def test_after_two_retentions_without_a_change_every_run_is_still_a_restore_point(deployment):
    copies = {}
    deployment.script("UPDATE t SET v = 'x' WHERE id = 1")
    deployment.back_up()
    keep(deployment, copies)
    for _ in range(22):  # 66 days, nothing changes
        age(deployment, 3)
        deployment.back_up()
        keep(deployment, copies)
    assert deployment.rows("SELECT count(*) FROM backup.undo_log") == [(0,)]
    for value in ("y", "z"):
        deployment.script(f"UPDATE t SET v = '{value}' WHERE id = 2")
        age(deployment, 3)
        deployment.back_up()
        keep(deployment, copies)
    marks = [mark for (mark,) in deployment.rows("SELECT undo_mark FROM backup.runs ORDER BY run")]
    assert marks == sorted(marks)
    assert assert_listed_come_back(deployment, copies) >= 10


def test_marks_that_had_fallen_are_repaired_by_setup(deployment):
    copies = {}
    for value in range(4):
        deployment.script(f"UPDATE t SET v = {value} WHERE id = 1")
        deployment.back_up()
        keep(deployment, copies)
    # As version 3 left it: the log was pruned to nothing up to the first of them, and the quiet runs behind got the mark 0.
    pruned = min(copies)
    deployment.rows(f"DELETE FROM backup.undo_log WHERE record <= (SELECT undo_mark FROM backup.runs WHERE run = {pruned})")
    deployment.rows(f"DELETE FROM backup.runs WHERE run < {pruned}")
    deployment.rows(f"UPDATE backup.sources SET pruned_to = (SELECT undo_mark FROM backup.runs WHERE run = {pruned})")
    quiet = deployment.rows("INSERT INTO backup.runs (source, outcome, started_at, finished_at, version, source_schema, snapshot_hash, undo_mark, rows)"
        f" SELECT source, 'saved', started_at, finished_at, version, source_schema, snapshot_hash, 0, rows FROM backup.runs WHERE run = {max(copies)} RETURNING run")  # fmt: skip
    deployment.rows(
        "DROP TRIGGER note_lost_deletes ON backup.undo_log; COMMENT ON SCHEMA backup IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup, version 3'"
    )
    deployment.set_up()
    marks = [mark for (mark,) in deployment.rows("SELECT undo_mark FROM backup.runs WHERE outcome = 'saved' ORDER BY run")]
    assert marks == sorted(marks)
    assert marks[0] > 0
    assert quiet[0][0] in listed(deployment)
    assert assert_listed_come_back(deployment, copies) == len(copies)


@pytest.mark.parametrize(
    "removal",
    [
        "DELETE FROM backup.undo_log",
        "DELETE FROM backup.undo_log WHERE record = (SELECT max(record) FROM backup.undo_log)",
        "TRUNCATE backup.undo_log",
        "TRUNCATE backup.undo_log RESTART IDENTITY",
        "UPDATE backup.undo_log SET lines = replace(lines, 'b', 'x')",
        "UPDATE backup.undo_log SET mirror = 'other'",
        "SET session_replication_role = replica; DELETE FROM backup.undo_log",
        "DELETE FROM backup.loaded_mirrors",
    ],
)
def test_whatever_is_gone_from_the_undo_log_ends_the_runs_before_it_and_no_others(deployment, server, removal):
    copies = {}
    for value in "xyz":
        deployment.script(f"UPDATE t SET v = '{value}' WHERE id = 2")
        deployment.back_up()
        keep(deployment, copies)
    if "replica" in removal:
        as_superuser(deployment, server, removal)
    else:
        deployment.rows(removal)
    for value in "uvw":
        deployment.script(
            f"UPDATE t SET v = '{value}' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (3, '{value}')"
        )
        deployment.back_up()
        keep(deployment, copies)
    points = assert_listed_come_back(deployment, copies)
    assert points >= 4  # the last one before it, and all after it


def as_superuser(deployment, server, script):
    url = deployment.settings.targets[0]
    with contextlib.closing(
        psycopg2.connect(host=url.host, port=url.port, dbname=url.name, user=server.user, password=server.password)
    ) as admin:
        admin.autocommit = True
        admin.cursor().execute(script)


@pytest.mark.parametrize("wrong", ["2000-01-01", "2050-01-01"])
@pytest.mark.parametrize(("whose", "runs"), [("the server's", 1), ("both", 3)])
def test_clocks_that_are_wrong_for_a_few_runs_prune_nothing(deployment, monkeypatch, wrong, whose, runs):
    """The server's clock is turned by a function of the same name in the functions' own path: nobody else can do that."""
    copies = {}
    for value in "xyz":
        deployment.script(f"UPDATE t SET v = '{value}' WHERE id = 2")
        deployment.back_up()
        keep(deployment, copies)
    turned = turn_clock(deployment, wrong)
    with monkeypatch.context() as patched:
        if whose == "both":
            apart = datetime.fromisoformat(f"{wrong}T00:00:00+00:00").timestamp() - time.time()
            patched.setattr(time, "time", lambda real=time.time: real() + apart)
        for number in range(runs):
            deployment.script(f"UPDATE t SET v = 'in between {number}' WHERE id = 2")
            deployment.back_up()
            keep(deployment, copies)
    turned()
    deployment.script("UPDATE t SET v = 'after' WHERE id = 2")
    deployment.back_up()
    keep(deployment, copies)
    assert assert_listed_come_back(deployment, copies) == 4 + runs
    times = [at for (at,) in deployment.rows("SELECT finished_at FROM backup.runs WHERE outcome = 'saved' ORDER BY run")]
    assert times == sorted(times)
    assert all(abs(at.timestamp() - time.time()) < 3600 for at in times)


def turn_clock(deployment, to):
    """Let the functions that save and prune read another time; return what turns it back."""
    names = (
        "save_run(bigint, jsonb, text, jsonb)",
        "prune_or_fail(text, integer, interval, interval)",
    )
    texts = [deployment.rows(f"SELECT pg_get_functiondef('backup.{name}'::regprocedure)")[0][0] for name in names]
    for text in texts:
        deployment.rows(text.replace("clock_timestamp()", f"(clock_timestamp() - now() + timestamptz '{to}')"))
    return lambda: [deployment.rows(text) for text in texts]


@pytest.mark.campaign
def test_a_wrong_clock_is_said_where_something_would_have_been_pruned(saved_bot):
    sample_bot.live(saved_bot.data, 1)
    saved_bot.backup()
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '40 days' WHERE run <= 3")
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '20 days' WHERE run > 3")
    warnings = "\n".join(saved_bot.backup()["warnings"])
    assert re.search(
        r"premium_system: the clocks say [\d: -]+, and the last run was at [\d: -]+ \(UTC\). History was not pruned", warnings
    )
    # What lies before the time that no run saw pass is kept, until the runs after it are as old as the retention.
    assert saved_bot.backup()["warnings"] == []
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE run < 3") == [(2,)]
    for _ in range(9):
        saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '4 days'")
        assert saved_bot.backup()["warnings"] == []
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE run <= 4") == [(0,)]


def test_without_a_stored_retention_thirty_days_are_kept(writer, saved_bot):
    saved_bot.query("DELETE FROM backup.retention; UPDATE backup.runs SET finished_at = finished_at - interval '20 days'")
    writer.query("SELECT backup.prune('premium_system', -1000, '-1d', '-1d')")
    assert saved_bot.query("SELECT count(*) FROM backup.runs") == [(4,)]


@pytest.mark.campaign
def test_nobody_prunes_by_the_servers_clock(writer, saved_bot):
    for seed in range(3):
        sample_bot.live(saved_bot.data, seed)
        writer.backup()
    before = saved_bot.query("SELECT count(*) FROM backup.runs")
    saved_bot.rows = saved_bot.query
    turned = turn_clock(saved_bot, "2050-01-01")
    assert writer.query("SELECT backup.prune('premium_system', 30, '24h', '7d')") == [(None,)]
    turned()
    assert saved_bot.query("SELECT count(*) FROM backup.runs") == before


@pytest.mark.campaign
@pytest.mark.parametrize(("keep_days", "ahead"), [(30, 13.5), (30, 29), (7, 6.5), (1, 6), (30, 45)])
def test_clocks_that_are_a_little_ahead_for_one_run_cost_no_history(deployment, monkeypatch, keep_days, ahead):
    copies = {}
    object.__setattr__(deployment.settings, "retention", Retention(keep_days))
    deployment.rows(f"UPDATE backup.retention SET keep_days = {keep_days}")
    for value in range(keep_days + 5):
        deployment.script(f"UPDATE t SET v = {value} WHERE id = 2")
        deployment.back_up()
        keep(deployment, copies)
        age(deployment, 1)
    turned = turn_clock(deployment, datetime.fromtimestamp(time.time() + ahead * 86400).isoformat())
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda real=time.time: real() + ahead * 86400)
        deployment.script("UPDATE t SET v = 'ahead' WHERE id = 2")
        deployment.back_up()
    turned()
    deployment.back_up()
    assert len(listed(deployment)) >= keep_days + 2
    assert assert_listed_come_back(deployment, copies) >= keep_days


@pytest.mark.parametrize(("every", "keep_days", "runs"), [(31, 30, 2), (16, 30, 3), (14, 7, 2), (9, 1, 2), (7, 10, 3), (2, 7, 5)])
def test_whatever_the_schedule_history_is_pruned_and_nothing_is_warned_of(deployment, every, keep_days, runs):
    object.__setattr__(deployment.settings, "retention", Retention(keep_days))
    deployment.rows(f"UPDATE backup.retention SET keep_days = {keep_days}")
    for value in range(14):
        age(deployment, every)
        deployment.script(f"UPDATE t SET v = {value} WHERE id = 1")
        deployment.back_up()
        assert deployment.rows(f"SELECT backup.prune('source', {keep_days}, '24h', '7d')") == [(None,)]
    assert deployment.rows("SELECT count(*) FROM backup.runs") == [(runs,)]


def test_what_was_set_up_under_a_wrong_clock_is_put_right_by_setup(deployment):
    deployment.rows("UPDATE backup.sources SET created_at = '2050-01-01'; UPDATE backup.runs SET finished_at = '2050-01-01'")
    deployment.back_up()
    deployment.set_up()
    deployment.back_up()
    assert deployment.rows("SELECT count(*) FROM backup.runs WHERE finished_at > now()") == [(0,)]


def test_the_list_of_loaded_mirrors_is_not_all_that_is_known_of_them(deployment):
    copies = {}
    for script in ("CREATE TABLE u (id INTEGER PRIMARY KEY, v); INSERT INTO u VALUES (1, 'a')", "DROP TABLE u"):
        deployment.script(script)
        deployment.back_up()
        keep(deployment, copies)
    deployment.rows("DELETE FROM backup.loaded_mirrors")
    deployment.script("CREATE TABLE u (id INTEGER PRIMARY KEY, v); INSERT INTO u VALUES (1, 'other'), (3, 'c')")
    deployment.back_up()
    keep(deployment, copies)
    assert assert_listed_come_back(deployment, copies) == 3


# What acts within the statement that it follows is refused, before anything is changed.
ACTS = "ALTER TABLE backup_source.t ADD parent bigint REFERENCES backup_source.t {}"
UNSEEN_WITHIN = [
    "ON UPDATE CASCADE / UPDATE backup_source.t SET parent = 1; UPDATE backup_source.t SET id = 11 WHERE id = 1",
    "ON DELETE CASCADE / DELETE FROM backup_source.t WHERE id = 1",
    "ON DELETE SET NULL / WITH d AS (DELETE FROM backup_source.t WHERE id = 2 RETURNING id) INSERT INTO backup_source.t SELECT 80, 'x', id FROM d",
]


@pytest.mark.parametrize("way", UNSEEN_WITHIN)
def test_a_foreign_key_that_changes_rows_itself_is_refused_and_named(deployment, way):
    copies = {}
    keep(deployment, copies)
    action, script = way.split(" / ")
    deployment.rows(ACTS.format(action))
    with pytest.raises(
        Problem, match=r"backup_source\.t has a foreign key with ON DELETE or ON UPDATE, which changes rows unseen"
    ):
        deployment.rows(f"BEGIN; {script}; COMMIT")
    assert assert_listed_come_back(deployment, copies) == 1
    deployment.script("UPDATE t SET v = 'later' WHERE id = 2; DELETE FROM t WHERE id = 1")
    deployment.back_up()
    keep(deployment, copies)
    assert compare.differences(deployment.path, deployment.restored()) == []
    assert_listed_come_back(deployment, copies)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("table", ["backup_source.t", "backup.misfit_rows"])
def test_nothing_is_emptied_by_a_transaction_that_does_not_see_it_all(deployment, level, table):
    copies = {}
    deployment.script("CREATE TABLE m (id INTEGER PRIMARY KEY, n INTEGER)")
    deployment.back_up()
    deployment.script("INSERT INTO m VALUES (1, 'one')")
    with Target(deployment.settings.targets[0], "backup") as target:
        target.rows(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
        deployment.script("UPDATE t SET v = 'new' WHERE id = 1; INSERT INTO t VALUES (9, 'i'); INSERT INTO m VALUES (2, 'two')")
        deployment.back_up()
        keep(deployment, copies)
        with pytest.raises(Problem, match="TRUNCATE takes rows that this transaction cannot see"):
            target.rows(f"TRUNCATE {table}; COMMIT")
    assert deployment.misfits == 2
    assert assert_listed_come_back(deployment, copies) == 1


# One statement takes keys away and brings them back, in both orders of what Postgres tells the triggers.
BOTH_WAYS = {
    "delete and insert the same": "WITH d AS (DELETE FROM {t} RETURNING *) INSERT INTO {t} SELECT id, 'new' FROM d",
    "the insert is told first": "WITH d AS (DELETE FROM {t} RETURNING *) INSERT INTO {t} SELECT id, 'new' FROM d LIMIT 2",
    "moved away and inserted": "WITH u AS (UPDATE {t} SET id = id + 100 WHERE id < 3 RETURNING *) INSERT INTO {t} SELECT id - 100, 'new' FROM u LIMIT 1",
    "deleted and moved there": "WITH d AS (DELETE FROM {t} WHERE id = 1 RETURNING *) UPDATE {t} SET id = 1, v = 'moved' FROM d WHERE {t}.id = 2",
    "twice in one transaction": "BEGIN; INSERT INTO {t} VALUES (7, 'seven'); WITH d AS (DELETE FROM {t} RETURNING *) INSERT INTO {t}"
    " SELECT id, 'new' FROM d LIMIT 9; DELETE FROM {t} WHERE id = 7; INSERT INTO {t} VALUES (7, 'again'); COMMIT",
    "inserted, then deleted and inserted by one": "BEGIN; INSERT INTO {t} VALUES (8, 'eight');"
    " WITH d AS (DELETE FROM {t} WHERE id = 8 RETURNING *) INSERT INTO {t} SELECT id, 'again' FROM d LIMIT 1; COMMIT",
    "in savepoints": "BEGIN; SAVEPOINT a; WITH d AS (DELETE FROM {t} RETURNING *) INSERT INTO {t} SELECT id, 'new' FROM d LIMIT 2; ROLLBACK TO a;"
    " WITH d AS (DELETE FROM {t} RETURNING *) INSERT INTO {t} SELECT id, 'newer' FROM d LIMIT 1; COMMIT",
    "a key exchange": "UPDATE {t} SET id = id - 100 WHERE id < 3; UPDATE {t} SET id = -97 - id WHERE id < 0",
}


@pytest.mark.parametrize("way", BOTH_WAYS)
@pytest.mark.parametrize("table", ["t", "m"])
def test_old_rows_come_first_whatever_order_postgres_tells(tmp_path, prepared, way, table):
    """By hand on a mirror (`t`), and on the rows that are kept whole (`m`, whose key column holds text)."""
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script(ROWS + ", (9, 'i'); CREATE TABLE m (id INTEGER PRIMARY KEY, n INTEGER)")
    deployment.set_up()
    deployment.script("INSERT INTO m VALUES (1, 'one'), (2, 'two')")
    deployment.back_up()
    assert deployment.misfits == 2
    first, copies = deployment.run, {}
    keep(deployment, copies)
    if table == "t":
        deployment.rows(BOTH_WAYS[way].format(t="backup_source.t"))
    else:
        deployment.rows(
            "WITH d AS (DELETE FROM backup.misfit_rows WHERE table_name = 'm' RETURNING *)"
            " INSERT INTO backup.misfit_rows SELECT source, table_name, line_hash, copy, line FROM d LIMIT 1"
        )
    assert assert_listed_come_back(deployment, copies) == 1
    deployment.script("UPDATE t SET v = 'later'")
    deployment.back_up()
    keep(deployment, copies)
    assert first in listed(deployment)
    assert assert_listed_come_back(deployment, copies) == 2


# A statement calls another one on the same rows, which ends first. Those in REFUSED insert rows that the inner one changes.
INNER = "CREATE FUNCTION pg_temp.inner(n bigint) RETURNS bigint LANGUAGE {language} AS $$ {body} $$;"
PLPGSQL = INNER.replace("{language}", "plpgsql").replace("{body}", "BEGIN {body}; RETURN n; END")
SQL = INNER.replace("{language}", "sql").replace("{body}", "{body}; SELECT n")
NESTED = {
    "an update in an update": "UPDATE {t} SET v = v || '!' WHERE id = n / UPDATE {t} SET v = 'outer' WHERE id < 3 RETURNING pg_temp.inner(id)",
    "a delete in an update": "DELETE FROM {t} WHERE id = n / UPDATE {t} SET v = 'outer' WHERE id < 3 RETURNING pg_temp.inner(id)",
    "deleted and inserted in an update": "DELETE FROM {t} WHERE id = n; INSERT INTO {t} VALUES (n, 'inner')"
    " / UPDATE {t} SET v = 'outer' WHERE id < 3 RETURNING pg_temp.inner(id)",
    "inserted in a delete": "INSERT INTO {t} VALUES (n, 'inner') / DELETE FROM {t} WHERE id < 3 RETURNING pg_temp.inner(id)",
    "inserted and deleted in a delete": "INSERT INTO {t} VALUES (n, 'inner'); DELETE FROM {t} WHERE id = n"
    " / DELETE FROM {t} WHERE id < 3 RETURNING pg_temp.inner(id)",
    "inserted and changed in a part of a statement": "INSERT INTO {t} VALUES (n, 'inner'); UPDATE {t} SET v = 'again' WHERE id = n"
    " / WITH d AS (DELETE FROM {t} WHERE id < 3 RETURNING pg_temp.inner(id) AS id) INSERT INTO {t} SELECT id + 50, 'new' FROM d",
    "moved to a key that the outer one gives up": "UPDATE {t} SET id = n WHERE id = 3"
    " / UPDATE {t} SET id = 40 WHERE id = 1 RETURNING pg_temp.inner(1)",
    "another level": "WITH u AS (UPDATE {t} SET v = v || '?' WHERE id = n RETURNING pg_temp.second(n) AS n)"
    " UPDATE {t} SET v = 'other' WHERE id = (SELECT u.n + 2 FROM u)"
    " / UPDATE {t} SET v = 'outer' WHERE id < 3 RETURNING pg_temp.inner(id)",
    "other keys in an insert": "UPDATE {t} SET v = 'inner' WHERE id = 2 / INSERT INTO {t} VALUES (7, 'new') RETURNING pg_temp.inner(id)",
    "two parts take the same key": "SELECT 1 / WITH a AS (DELETE FROM {t} WHERE id = 1 RETURNING *),"
    " b AS (UPDATE {t} SET id = 1 FROM a WHERE {t}.id = 2 RETURNING {t}.*) INSERT INTO {t} SELECT 2, 'new' FROM b",
}
REFUSED = {
    "freed for an insert": "DELETE FROM {t} WHERE id = n / INSERT INTO {t} SELECT pg_temp.inner(id), 'outer' FROM generate_series(1, 2) AS id",
    "an inserted row is changed": "UPDATE {t} SET v = 'inner' WHERE id = n / INSERT INTO {t} VALUES (7, 'new') RETURNING pg_temp.inner(id)",
    "an inserted row is deleted": "DELETE FROM {t} WHERE id = n / INSERT INTO {t} VALUES (7, 'new') RETURNING pg_temp.inner(id)",
    "a moved row is deleted": "DELETE FROM {t} WHERE id = 7 / UPDATE {t} SET id = 7 WHERE id = 2 RETURNING pg_temp.inner(id)",
}
SECOND = "CREATE FUNCTION pg_temp.second(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN DELETE FROM {t} WHERE id = n; RETURN n; END $$;"


@pytest.mark.parametrize("by", [PLPGSQL, SQL], ids=["plpgsql", "sql"])
@pytest.mark.parametrize("way", [*NESTED, *REFUSED])
def test_what_a_statement_within_a_statement_changes_is_undone_or_refused(deployment, way, by):
    first, copies = deployment.run, {}
    keep(deployment, copies)
    inner, outer = (NESTED | REFUSED)[way].replace("{t}", "backup_source.t").split(" / ")
    script = f"BEGIN; {SECOND.replace('{t}', 'backup_source.t')} {by.replace('{body}', inner)} {outer}; COMMIT"
    if way in REFUSED:
        with pytest.raises(Problem, match="nothing was changed"):
            deployment.rows(script)
    else:
        deployment.rows(script)
    assert assert_listed_come_back(deployment, copies) == 1
    changed = deployment.back_up()
    assert (changed == {}) is (way in REFUSED)
    keep(deployment, copies)
    assert first in listed(deployment)
    assert assert_listed_come_back(deployment, copies) == 2
    assert deployment.rows("SELECT count(*) FROM backup.open_statements") == [(0,)]


@pytest.mark.campaign
def test_every_mix_of_what_one_transaction_may_do_by_hand_is_undone(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script(ROWS)
    deployment.set_up()
    deployment.back_up()
    copies = {}
    keep(deployment, copies)
    steps = (
        "INSERT INTO backup_source.t VALUES (4, 'four') ON CONFLICT (id) DO UPDATE SET v = 'four again'",
        "DELETE FROM backup_source.t WHERE id IN (1, 4)",
        "UPDATE backup_source.t SET id = id + 10 WHERE id = 2",
        "WITH d AS (DELETE FROM backup_source.t RETURNING *) INSERT INTO backup_source.t SELECT id, v || '!' FROM d LIMIT 2",
    )
    for mix in itertools.permutations(steps):
        deployment.rows("BEGIN; " + "; ".join(mix) + "; COMMIT")
        assert assert_listed_come_back(deployment, copies) == 1, mix
        deployment.back_up()
    assert assert_listed_come_back(deployment, copies) == 1
