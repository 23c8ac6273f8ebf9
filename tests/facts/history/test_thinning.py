"""History is thinned: what stays a restore point comes back as its run left it, and nothing goes that the retention keeps."""

import contextlib
import datetime
import random
import sqlite3

import pytest

from lib.base.errors import Problem
from lib.settings.retention import Retention
from tests import compare
from tests.cases.histories import assert_listed_come_back, keep, random_history
from tests.stand_ins.deployment import Deployment

DAY = datetime.timedelta(days=1)
NEVER = Retention(3650, 3650 * DAY, 3650 * DAY)
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


def keeping(deployment, retention):
    object.__setattr__(deployment.settings, "retention", retention)


def pass_time(deployment, seconds):
    """Let so much time pass: every time that is stored lies further back."""
    past = f"- interval '{seconds} s'"
    deployment.rows(f"UPDATE backup.runs SET started_at = started_at {past}, finished_at = finished_at {past}")


def thin(deployment, retention):
    """Let the owner ask for it until there is no more to do; return how often that was."""
    days, every, hourly = retention
    calls = 0
    is_thinned = False
    while not is_thinned:
        calls += 1
        told = deployment.rows(f"SELECT backup.prune('source', {days}, '{every}', '{hourly}')")
        assert told == [(None,)]
        ((is_thinned,),) = deployment.rows("SELECT is_thinned FROM backup.sources")
    return calls


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


def log(deployment):
    """Return how many records there are, how many rows, and how many in the largest record."""
    counted = "count(*), coalesce(sum(row_count), 0)::int, coalesce(max(row_count), 0)"
    return deployment.rows(f"SELECT {counted} FROM backup.undo_log")[0]


def assert_thinned_right(deployment, copies, retention):
    """Every listed point comes back, before and after; those stay that have to, and no other."""
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
@pytest.mark.parametrize("seed", range(10, 14))
def test_a_long_history_is_thinned_again_and_again(deployment, seed):
    copies = {}
    for part in range(8):
        copies |= lived(deployment, seed * 100 + part, 30, 20_000)
        assert_thinned_right(deployment, copies, Retention(12, DAY / 2, 3 * DAY))
        keeping(deployment, Retention(12, DAY / 2, 3 * DAY))  # from now on each run thins, too
    thin(deployment, Retention(12, DAY / 2, 3 * DAY))
    assert assert_listed_come_back(deployment, copies) >= 10
