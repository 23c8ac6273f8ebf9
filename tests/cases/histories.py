"""What a bot and its people do over many runs, and whether every run that is listed comes back."""

import contextlib
import datetime
import sqlite3

from lib.postgres.books import points
from lib.postgres.link.connection import Target
from lib.settings.retention import Retention
from tests import compare

DAY = datetime.timedelta(days=1)
NEVER = Retention(3650, 3650 * DAY, 3650 * DAY)


def listed(deployment):
    """Return the runs that are listed as restorable, newest first."""
    with Target(deployment.settings.targets[0], "backup") as target:
        return [point["run"] for point in points.restore_points(target, deployment.path.stem)[0] if point["restorable"]]


def assert_listed_come_back(deployment, copies):
    """Every run that is listed as restorable comes back as it was; return how many there are."""
    runs = [run for run in listed(deployment) if run in copies]
    for run in runs:
        assert compare.differences(copies[run], deployment.restored(run)) == [], run
    return len(runs)


def keep(deployment, copies):
    copies[deployment.run] = deployment.folder / f"run-{deployment.run}.db"
    copies[deployment.run].write_bytes(deployment.path.read_bytes())


def random_history(database, chance, run):
    for _ in range(chance.randint(1, 40)):
        with contextlib.suppress(sqlite3.Error):
            database.execute(
                chance.choice(
                    (
                        "INSERT INTO t (a, n) VALUES (hex(randomblob(3)), random() % 5)",
                        "INSERT INTO t (a, n) VALUES ('odd' || char(0), x'00ff')",
                        "UPDATE t SET n = n + 0.5 WHERE id % 3 = abs(random()) % 3",
                        "DELETE FROM t WHERE id % 5 = abs(random()) % 5",
                        "INSERT OR REPLACE INTO u VALUES (abs(random()) % 20, random())",
                        "UPDATE u SET rowid = rowid + 100",
                    )
                )
            )
    ddl = {
        5: "ALTER TABLE t ADD COLUMN extra REAL DEFAULT 0.1",
        9: "CREATE TABLE fresh (x, y)",
        12: "INSERT INTO fresh VALUES (1, 2), (1, 2), (NULL, x'')",
        14: "DROP TABLE u",
        17: "CREATE TABLE u (k INTEGER, j TEXT, v BLOB, PRIMARY KEY (j, k)) WITHOUT ROWID",
        18: "INSERT INTO u VALUES (1, 'a', x'01'), (2, 'b', NULL)",
        20: "ALTER TABLE t RENAME COLUMN a TO b",
        22: "CREATE INDEX i ON t (b); CREATE VIEW w AS SELECT * FROM t; PRAGMA user_version = 22",
        24: "DROP TABLE fresh",
        26: "CREATE TABLE fresh (x PRIMARY KEY); INSERT INTO fresh VALUES ('again')",
        28: "DELETE FROM t",
    }
    with contextlib.suppress(sqlite3.Error):
        database.executescript(ddl.get(run, ""))


def keeping(deployment, retention):
    object.__setattr__(deployment.settings, "retention", retention)


def pass_time(deployment, seconds):
    """Let so much time pass: every time that is stored lies further back."""
    past = f"- interval '{seconds} s'"
    deployment.rows(f"UPDATE backup.runs SET started_at = started_at {past}, finished_at = finished_at {past}")


def wake(deployment, seconds):
    """Let a bot that has been still for so long make a run, and the next one, which confirms that the time has passed."""
    pass_time(deployment, seconds)
    deployment.back_up()
    deployment.back_up()


def thin(deployment, retention):
    """Let the owner ask for it until there is no more to do; return how often that was."""
    days, every, hourly = retention
    calls = 0
    is_thinned = False
    while not is_thinned:
        calls += 1
        assert calls < 500
        told = deployment.rows(f"SELECT backup.prune('source', {days}, '{every}', '{hourly}')")
        assert told == [(None,)]
        ((is_thinned,),) = deployment.rows("SELECT is_thinned FROM backup.sources")
    return calls


def log(deployment):
    """Return how many records there are, how many rows, and how many in the largest record."""
    counted = "count(*), coalesce(sum(row_count), 0)::int, coalesce(max(row_count), 0)"
    return deployment.rows(f"SELECT {counted} FROM backup.undo_log")[0]


def many_runs(deployment, number):
    """Say that there have been so many more runs since the last one, a second after each other."""
    deployment.rows(
        "INSERT INTO backup.runs (source, outcome, started_at, finished_at, version, source_schema, undo_mark)"
        " SELECT source, 'saved', finished_at, finished_at + n * interval '1 second', version, source_schema, undo_mark"
        f" FROM backup.runs, generate_series(1, {number}) AS n WHERE run = (SELECT last_run FROM backup.sources) ORDER BY n"
    )
    deployment.rows("UPDATE backup.sources SET last_run = (SELECT max(run) FROM backup.runs)")
