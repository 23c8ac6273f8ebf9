"""How old runs are is known by their own order and times, exactly, though no call reads all of them."""

import pytest

from tests.cases.histories import NEVER, keeping, many_runs, pass_time, wake
from tests.stand_ins.deployment import Deployment


@pytest.fixture
def deployment(tmp_path, database):
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    deployment.set_up()
    keeping(deployment, NEVER)
    deployment.back_up()
    return deployment


# How old each run is, by reading all of them.
AGES = """WITH steps AS (
    SELECT run, waited, finished_at - lag(finished_at) OVER (ORDER BY run) AS step FROM backup.runs WHERE outcome = 'saved'
), pauses AS (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY step) AS pause
    FROM (SELECT step FROM steps ORDER BY run DESC LIMIT 1000) AS newest
), lived AS (
    SELECT run, sum(coalesce(waited, CASE WHEN step <= greatest(interval '8 days', 2 * pause)
        THEN least(step, greatest(interval '1 day', pause)) ELSE interval '0' END)) OVER (ORDER BY run) AS lived
    FROM steps CROSS JOIN pauses
)
SELECT coalesce(max(run) FILTER (WHERE age > '3000 s'), 0), coalesce(max(run) FILTER (WHERE age > '5000 s'), 0),
    coalesce(max(run) FILTER (WHERE age > '1 day'), 0)
FROM (SELECT run, max(lived) OVER () - coalesce(lived, '0') AS age FROM lived) AS ages"""
BOUNDS = """SELECT every_after, hourly_after, oldest, is_known
FROM (SELECT true, 1, interval '3000 s', interval '5000 s') AS given (only_row, keep_days, keep_all, keep_hourly), backup.sources,
    LATERAL backup.bounds('source', last_run, ROW(given.*)::backup.retention)"""


def known_bounds(deployment):
    """Ask until all is known; return the bounds, and how often that was."""
    for calls in range(1, 50):
        *bounds, is_known = deployment.rows(BOUNDS)[0]
        if is_known:
            return tuple(bounds), calls
    raise AssertionError("never known")


CHANGES = {
    "nothing": "SELECT 1",
    "runs in the middle are deleted": "DELETE FROM backup.runs WHERE run BETWEEN 3000 AND 3700",
    "the newest are deleted": "DELETE FROM backup.runs WHERE run > 5500",
    "what is noted is deleted": "DELETE FROM backup.runs WHERE lived IS NOT NULL",
    "nothing is noted any more": "UPDATE backup.runs SET lived = NULL",
    "all are dated otherwise": "UPDATE backup.runs SET finished_at = finished_at - interval '9 hours'",
    "one is dated otherwise": "UPDATE backup.runs SET finished_at = finished_at - interval '1 s' WHERE run = 2502",
    "many more": "SELECT 1",
}


@pytest.mark.parametrize("change", CHANGES)
def test_how_old_runs_are_is_known_without_reading_all_as_if_all_were_read(deployment, change):
    many_runs(deployment, 7000)
    bounds, calls = known_bounds(deployment)
    assert bounds == deployment.rows(AGES)[0]
    assert calls > 1
    many_runs(deployment, 5000 if change == "many more" else 0)
    deployment.rows(CHANGES[change])
    deployment.rows("UPDATE backup.sources SET last_run = (SELECT max(run) FROM backup.runs)")
    assert known_bounds(deployment)[0] == deployment.rows(AGES)[0]
    assert known_bounds(deployment)[1] == 1


READ = """SELECT sum(pg_stat_get_xact_tuples_returned(relation))::int
    FROM (SELECT indexrelid FROM pg_index WHERE indrelid = 'backup.runs'::regclass
    UNION ALL SELECT 'backup.runs'::regclass) AS read (relation)"""
# Rows of the runs, for each call and for each run that it removes; to read all of them once is 30,000. A call takes as many
# steps as its time allows.
MOST_READ, MOST_FOR_EACH = 29_000, 60


def read_by_prune(deployment):
    """Return how many rows of the runs one call reads, beyond those that removing some takes, and whether all is done."""
    ((before,),) = deployment.rows("SELECT count(*) FROM backup.runs")
    read = deployment.rows(f"SELECT backup.prune('source', 30, '24h', '7d'); {READ}")[0][0]
    ((left, is_thinned),) = deployment.rows("SELECT (SELECT count(*) FROM backup.runs), is_thinned FROM backup.sources")
    return read - MOST_FOR_EACH * (before - left), is_thinned


@pytest.mark.parametrize("believes", ["ANALYZE backup.runs", "SELECT 1"], ids=["many", "few"])
@pytest.mark.parametrize("seconds", [0, 20_000, 200_000])
def test_what_a_run_reads_does_not_grow_with_the_runs(deployment, seconds, believes):
    """All are young, some are due, or all are due; nothing is noted yet, and Postgres believes that there are many, or few."""
    deployment.rows("ALTER TABLE backup.runs SET (autovacuum_enabled = off)")
    many_runs(deployment, 30_000)
    deployment.rows(believes)
    pass_time(deployment, 70_000)
    wake(deployment, seconds)
    is_thinned = False
    while not is_thinned:
        read, is_thinned = read_by_prune(deployment)
        assert read < MOST_READ
    deployment.rows("UPDATE backup.sources SET is_thinned = false")
    assert read_by_prune(deployment)[0] < MOST_READ
