"""History is thinned: what stays a restore point comes back as its run left it, and nothing goes that the retention keeps."""

import contextlib
import datetime
import random
import sqlite3

import psycopg2
import pytest

from lib.base.errors import Problem
from lib.settings.retention import Retention
from tests import compare
from tests.cases.histories import (
    DAY,
    NEVER,
    assert_listed_come_back,
    keep,
    keeping,
    log,
    many_runs,
    pass_time,
    random_history,
    thin,
    wake,
)
from tests.stand_ins.deployment import Deployment

TABLES = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, n); CREATE TABLE u (k TEXT PRIMARY KEY, v)"
BY_HAND = (
    "UPDATE backup_source.t SET a = 'by hand' WHERE id % 7 = {n}",
    "DELETE FROM backup_source.t WHERE id % 11 = {n}",
    "INSERT INTO backup_source.t (id, a) VALUES (100000 + {n}, 'by hand') ON CONFLICT DO NOTHING",
    "DELETE FROM backup.misfit_rows WHERE table_name IN ('t', 'u', 'fresh') AND left(line_hash, 1) = '{n}'",
    "UPDATE backup_source.t SET id = id + 200000 WHERE id % 13 = {n}",
)


@pytest.fixture
def deployment(tmp_path, database):
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script(TABLES)
    deployment.set_up()
    keeping(deployment, NEVER)
    deployment.back_up()
    return deployment


def due_to_stay(deployment, retention):
    """Return the runs that have to stay, by a judgement of its own; a day in which there was no run is no longer than a day."""
    saved = "FROM backup.runs WHERE outcome = 'saved' ORDER BY run DESC"
    runs = deployment.rows(f"SELECT run, finished_at, kept_at IS NOT NULL {saved}")
    days = retention.keep_days * DAY
    age, later, ages = 0 * DAY, runs[0][1], {}
    for run, at, _ in runs:
        age, later = age + min(later - at, DAY), at
        ages[run] = age
    stays, seen = {runs[0][0]} | {run for run, _, is_kept in runs if is_kept}, set()
    for run, at, _ in reversed(runs):
        hour, day = (at.astimezone(datetime.timezone.utc).strftime(form) for form in ("%F %H", "%F"))
        kept_for = max(retention.keep_all, (hour not in seen) * retention.keep_hourly, (day not in seen) * days)
        stays |= {run} if ages[run] <= min(kept_for, days) else set()
        seen |= {hour, day}
    return stays | {max((run for run, age in ages.items() if age > days), default=runs[0][0])}


def live(deployment, chance, number):
    with contextlib.closing(sqlite3.connect(deployment.path, isolation_level=None)) as database:
        random_history(database, chance, number % 30)
    if chance.random() < 0.15:
        with contextlib.suppress(Problem):  # the table may be gone, or of other columns
            deployment.rows(chance.choice(BY_HAND).format(n=chance.randint(0, 6)))


def lived(deployment, seed, runs, longest):
    """Let the bot live for so many runs; return the copies of its file by run."""
    chance, copies = random.Random(seed), {}
    for number in range(runs):
        pass_time(deployment, chance.choice([20, 300, 3600, chance.randint(1, longest)]))
        live(deployment, chance, number)
        deployment.back_up()
        keep(deployment, copies)
        if chance.random() < 0.05:
            deployment.rows(f"SELECT backup.keep_runs('{{source}}', {deployment.run}, 'chance')")
    return copies


def assert_thinned_right(deployment, copies, retention):
    """Every listed point comes back, before and after; those stay that have to, and no other."""
    deployment.back_up()
    expected = due_to_stay(deployment, retention)
    by_hand = "SELECT record, operation, lines FROM backup.undo_log WHERE run IS NULL ORDER BY record"
    before, hand_before = log(deployment), deployment.rows(by_hand)
    first = deployment.rows("SELECT max(pruned_to) FROM backup.sources")[0][0]
    thin(deployment, retention)
    assert {*deployment.rows("SELECT run FROM backup.runs WHERE outcome = 'saved'")} == {(run,) for run in expected}
    assert assert_listed_come_back(deployment, copies) == len(expected & {*copies})
    after = log(deployment)
    assert after[:2] <= before[:2]
    assert after[2] <= 1000
    pruned_to = deployment.rows("SELECT max(pruned_to) FROM backup.sources")[0][0]
    assert pruned_to >= first
    assert deployment.rows(by_hand) == [edit for edit in hand_before if edit[0] > pruned_to]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.campaign), pytest.param(3, marks=pytest.mark.campaign)])
def test_of_a_random_history_what_stays_comes_back(deployment, seed):
    copies = lived(deployment, seed, 40, 30_000)
    assert assert_listed_come_back(deployment, copies) == len(copies)
    assert_thinned_right(deployment, copies, Retention(30, DAY, 7 * DAY))
    assert_thinned_right(deployment, copies, Retention(3, DAY / 4, DAY))
    deployment.back_up()
    assert compare.differences(deployment.path, deployment.restored()) == []


@pytest.mark.campaign
def test_a_long_history_is_thinned_again_and_again(deployment):
    copies = {}
    for part in range(8):
        copies |= lived(deployment, 1000 + part, 30, 20_000)
        assert_thinned_right(deployment, copies, Retention(12, DAY / 2, 3 * DAY))
        keeping(deployment, Retention(12, DAY / 2, 3 * DAY))  # from now on each run thins, too
    thin(deployment, Retention(12, DAY / 2, 3 * DAY))
    assert assert_listed_come_back(deployment, copies) >= 10


def changed(deployment, copies, times):
    """Change rows of a few keys and back up so many times, a minute after each other."""
    for number in range(times):
        pass_time(deployment, 60)
        deployment.script(f"INSERT OR REPLACE INTO t (id, a) VALUES (1, 'a{number}'), ({number % 3 + 2}, 'b{number}')")
        deployment.back_up()
        keep(deployment, copies)


def test_what_no_point_needs_goes_though_packing_never_ends(deployment):
    copies = {}
    changed(deployment, copies, 6)
    pack_all = "FUNCTION backup.pack_all(of_source text, until timestamptz) RETURNS boolean"
    deployment.rows(f"CREATE OR REPLACE {pack_all} LANGUAGE sql AS 'SELECT false'")
    for _ in range(4):
        wake(deployment, 86_400)
    mark = "(SELECT min(undo_mark) FROM backup.runs WHERE outcome = 'saved')"
    deployment.rows("SELECT backup.prune('source', 2, '1h', '1h')")
    assert deployment.rows(f"SELECT count(*), {mark} > 5 FROM backup.undo_log WHERE record <= {mark}") == [(0, True)]
    assert deployment.rows("SELECT is_thinned FROM backup.sources") == [(False,)]


@pytest.mark.campaign
def test_a_bot_that_runs_more_rarely_than_before_is_thinned_again(deployment):
    """The usual pause is still that of the many runs before."""
    copies = {}
    changed(deployment, copies, 30)
    keeping(deployment, Retention(1, DAY / 2, DAY / 2))
    for number in range(12):
        pass_time(deployment, 20_000)
        deployment.script(f"INSERT INTO t (a) VALUES ('rare {number}')")
        deployment.back_up()
        keep(deployment, copies)
    assert len(deployment.rows("SELECT run FROM backup.runs WHERE outcome = 'saved'")) < 10
    assert assert_listed_come_back(deployment, copies) > 3


def test_many_records_of_few_keys_become_few(deployment):
    copies = {}
    keep(deployment, copies)
    changed(deployment, copies, 12)
    assert log(deployment)[:2] >= (12, 24)
    wake(deployment, 90_000)
    thin(deployment, Retention())
    assert len(deployment.rows("SELECT run FROM backup.runs")) <= 5  # an hour may have ended meanwhile
    records, rows, _ = log(deployment)
    assert (records <= 6, rows <= 12) == (True, True), (records, rows)  # five keys, and one hour or two
    assert assert_listed_come_back(deployment, copies) >= 1
    assert deployment.rows("SELECT sum(inserted + updated) FROM backup.run_tables WHERE table_name = 't'") == [(24,)]
    assert deployment.rows("SELECT count(*) FROM backup.open_statements") == [(0,)]


MORE = (
    "SELECT backup.prune('source', -1, '-1d', '-1d')",
    "SELECT backup.prune('source', 0, '0', NULL)",
    "SELECT backup.prune('source', NULL, NULL, NULL)",
    "SELECT backup.thin('source', 1000, 1000, 1000, '0', 'infinity')",
    "SELECT backup.forget('source', 'infinity')",
    "SELECT backup.lived_by('source', 1000, '0')",
    "SELECT backup.note_lived('source', 0, 1000, '90 days', '0')",
    "UPDATE backup.runs SET lived = '-90 days' WHERE run < 3",
    "UPDATE backup.sources SET thinned_to = 1000",
    "SELECT backup.prune_or_fail('source', 0, '0', '0')",
    "SELECT backup.pack('source', '{1,2}', '{0,0}', 1)",
    "SELECT backup.take_known('source', 0, 1, '{2,3}', 1)",
    "SELECT backup.pack_all('source', 'infinity')",
    "SELECT backup.pack_step(runs) FROM backup.runs",
    "SELECT backup.inherit(4, '{2,3}')",
    "DELETE FROM backup.runs WHERE run = 1",
    "SELECT backup.release_runs('{source}', 1000)",
    "UPDATE backup.retention SET keep_all = '0', keep_hourly = '0'",
    "UPDATE backup.runs SET kept_at = NULL, waited = '90 days'",
    "UPDATE backup.sources SET is_thinned = false",
    "INSERT INTO backup.open_statements (relation, operation, last_record, called_by) VALUES (1, '', 0, '')",
    "DELETE FROM backup.undo_log",
)


def test_whoever_may_only_back_up_removes_no_point_that_the_stored_retention_keeps(writer, saved_bot):
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '3 hours'")
    for value in range(4):
        saved_bot.sqlite(saved_bot.premium, f"UPDATE refunds SET status = 's{value}'")
        writer.backup()
    stored = [
        f"SELECT * FROM backup.{book} ORDER BY 1"
        for book in ("runs", "undo_log", "sources", "retention", "run_tables", "open_statements")
    ]
    before = [saved_bot.query(book) for book in stored]
    for attempt in MORE:
        with contextlib.suppress(psycopg2.Error):
            writer.query(attempt.replace("source'", "premium_system'").replace("{source}", "{premium_system}"))
        assert [saved_bot.query(book) for book in stored] == before, attempt


def test_the_owner_alone_shortens_what_is_kept(deployment):
    copies = {}
    changed(deployment, copies, 4)
    keeping(deployment, Retention(1, DAY / 1440, DAY / 1440))
    wake(deployment, 300)
    assert len(deployment.rows("SELECT run FROM backup.runs")) <= 3
    assert deployment.rows("SELECT keep_days, keep_all::text FROM backup.retention") == [(1, "00:01:00")]


@pytest.mark.parametrize("clock", ["3000", "-3700", "90000"])
def test_while_two_clocks_do_not_agree_nothing_is_thinned(deployment, clock):
    copies = {}
    changed(deployment, copies, 3)
    wake(deployment, 90_000)
    runs = deployment.rows("SELECT run FROM backup.runs ORDER BY run")
    deployment.rows(f"UPDATE backup.runs SET clock_ahead = {clock} WHERE run = (SELECT last_run FROM backup.sources)")
    deployment.rows("SELECT backup.prune('source', 30, '24h', '7d')")
    are_thinned = deployment.rows("SELECT run FROM backup.runs ORDER BY run") != runs
    assert are_thinned is (clock == "3000")
    assert_listed_come_back(deployment, copies)


def test_what_failed_is_thinned_as_what_was_saved(deployment):
    deployment.rows(
        "INSERT INTO backup.runs (source, outcome, started_at, finished_at, version, error)"
        " SELECT 'source', 'failed', at, at, '1', 'no' FROM generate_series(1, 300) AS n,"
        " LATERAL (SELECT date_trunc('hour', clock_timestamp()) + interval '1 second' * n AS at) AS times"
    )
    deployment.back_up()
    thin(deployment, Retention())
    failed = "SELECT count(*) FROM backup.runs WHERE outcome = 'failed'"
    assert deployment.rows(failed) == [(300,)]
    for _ in range(2):
        wake(deployment, 50_000)
    thin(deployment, Retention())
    assert deployment.rows(failed) == [(1,)]


def test_a_run_does_a_bounded_part_and_the_next_ones_the_rest(deployment):
    """Six thousand runs are due at once, and what one call looks at is bounded by steps, not by how much there is."""
    many_runs(deployment, 6000)
    wake(deployment, 100_000)
    left = "SELECT count(*) FROM backup.runs"
    deployment.rows("SELECT backup.thin('source', (SELECT max(run) - 2 FROM backup.runs), 0, 0, '1s', '-infinity')")
    assert 5003 <= deployment.rows(left)[0][0] < 6003  # at most a thousand, or up to the first of an hour
    thin(deployment, Retention())
    assert deployment.rows(left)[0][0] <= 7  # of three hours the first, and the last three
