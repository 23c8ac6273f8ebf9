"""What a bot and its people do over many runs, and whether every run that is listed comes back."""

import contextlib
import sqlite3

from lib.postgres.books import points
from lib.postgres.link.connection import Target
from tests import compare


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
