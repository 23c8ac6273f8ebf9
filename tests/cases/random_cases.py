"""Random schemas, rows and sequences of changes (rows and DDL), judged by the independent comparison.

usage: python3 tests/cases/random_cases.py cases|histories COUNT [SEED]
"""

import contextlib
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import hypothesis
from hypothesis import strategies as st

from tests import compare
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import make_database

TYPES = (
    "",
    "INTEGER",
    "TEXT",
    "REAL",
    "BLOB",
    "BOOLEAN",
    "NUMERIC",
    "VARCHAR(3)",
    "DATE",
    "INT",
    "ANY",
    "DOUBLE",
    "FLOATING POINT",
)
NAMES = st.sampled_from(
    (
        "a",
        "b",
        "C",
        "d e",
        'q"q',
        "rowid",
        "oid",
        "_rowid_",
        "ctid",
        "xmin",
        "é",
        "É",
        "select",
        "%s",
        "x" * 70 + "1",
        "x" * 70 + "2",
    )
)
TABLES = st.sampled_from(("t", "u", "T2", 'we"ird', "with space", "y" * 65, "ы"))
COLLATIONS = ("", " COLLATE NOCASE", " COLLATE RTRIM")
INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from((2**63 - 1, -(2**63), 2**53 + 1)))
REALS = st.one_of(st.sampled_from((0.0, -0.0, 1.0, 0.1, 1e308, 5e-324, float("inf"), float("-inf"))), st.floats(allow_nan=False))
TEXTS = st.one_of(
    st.sampled_from(("", "1", "1.0", "abc", "ABC", "abc ", "NULL", "\\N", "\\.", "a\0b", '"', "true", "é🎁", "\n", "x" * 3000)),
    st.text(max_size=6).filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)),
)
BLOBS = st.one_of(st.sampled_from((b"", b"1", b"\xff\x00", b"abc")), st.binary(max_size=6))
VALUES = st.one_of(st.none(), INTEGERS, REALS, TEXTS, BLOBS, BLOBS.map(lambda raw: ("text", raw)))


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@st.composite
def tables(draw):
    """Return the CREATE TABLE of a random table."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.lower))
    columns = [quoted(name) + " " + draw(st.sampled_from(TYPES)) + draw(st.sampled_from(COLLATIONS)) for name in names]
    kind = draw(st.sampled_from(("none", "alias", "key", "without rowid")))
    constraints = []
    if kind == "alias":
        columns[0] = quoted(names[0]) + " INTEGER PRIMARY KEY" + draw(st.sampled_from(("", " AUTOINCREMENT", " DESC")))
        columns[0] = columns[0].replace("DESC AUTO", "AUTO")
    elif kind != "none":
        key = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        constraints.append(f"PRIMARY KEY ({', '.join(map(quoted, key))})")
    if draw(st.booleans()):
        constraints.append(
            f"UNIQUE ({', '.join(map(quoted, draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))))})"
        )
    text = f"CREATE TABLE {quoted(draw(TABLES))} ({', '.join(columns + constraints)})"
    return text + (" WITHOUT ROWID" if kind == "without rowid" else "")


@st.composite
def changes(draw):
    """Return a change, as (kind, draws): what it applies to is chosen when the database is there."""
    kind = draw(
        st.sampled_from(
            (
                "insert",
                "insert",
                "insert",
                "update",
                "update",
                "delete",
                "rowid",
                "ddl",
                "ddl",
                "empty",
                "counter",
                "version",
                "vacuum",
            )
        )
    )
    return (
        kind,
        draw(st.integers(0, 99)),
        draw(st.integers(0, 99)),
        draw(st.lists(VALUES, min_size=6, max_size=6)),
        draw(tables()),
        draw(NAMES),
    )


@st.composite
def cases(draw):
    return {
        "encoding": draw(st.sampled_from(("UTF-8", "UTF-8", "UTF-8", "UTF-16le", "UTF-16be"))),
        "tables": draw(st.lists(tables(), min_size=1, max_size=3)),
        "rounds": draw(st.lists(st.lists(changes(), min_size=1, max_size=8), min_size=2, max_size=4)),
    }


def apply(database, change):
    """Apply a change if SQLite allows it; whatever it refuses is no case."""
    kind, which, where, values, table, name = change
    found = [
        row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    ]
    with contextlib.suppress(sqlite3.Error):
        if kind == "version":
            database.execute(f"PRAGMA user_version = {which}")
        elif kind == "vacuum":
            database.execute("VACUUM")
        elif kind == "counter":
            database.execute("UPDATE sqlite_sequence SET seq = ?", [which * 10])
        elif kind == "ddl":
            ddl(database, found, which, where, table, name)
        elif found:
            rows(database, found[which % len(found)], kind, where, values)


def ddl(database, found, which, where, table, name):
    if not found or which < 30:
        database.execute(table)
        return
    chosen = quoted(found[which % len(found)])
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({chosen})")]
    column = quoted(columns[where % len(columns)])
    options = (
        f"ALTER TABLE {chosen} ADD COLUMN {quoted(name)} INTEGER DEFAULT 5",
        f"ALTER TABLE {chosen} DROP COLUMN {column}",
        f"ALTER TABLE {chosen} RENAME COLUMN {column} TO {quoted(name)}",
        f"ALTER TABLE {chosen} RENAME TO {quoted(name)}",
        f"DROP TABLE {chosen}",
        f"CREATE INDEX {quoted('i' + name)} ON {chosen} ({column})",
        f"CREATE VIEW {quoted('v' + name)} AS SELECT * FROM {chosen}",
        f"CREATE TABLE {quoted('c' + name)} AS SELECT * FROM {chosen}",
    )
    database.execute(options[where % len(options)])


def rows(database, table, kind, where, values):
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({quoted(table)})")]
    column = quoted(columns[where % len(columns)])
    marks = ["CAST(substr(?, 1) AS TEXT)" if isinstance(value, tuple) else "?" for value in values]
    bound = [value[1] if isinstance(value, tuple) else value for value in values]
    if kind == "insert":
        count = min(len(columns), len(values))
        names = ", ".join(map(quoted, columns[:count]))
        verb = "INSERT OR REPLACE" if where % 2 else "INSERT"
        database.execute(f"{verb} INTO {quoted(table)} ({names}) VALUES ({', '.join(marks[:count])})", bound[:count])
    elif kind == "update":
        database.execute(
            f"UPDATE {quoted(table)} SET {column} = {marks[0]} WHERE {column} IS {marks[1]} OR abs(random()) % 3 = 0", bound[:2]
        )
    elif kind == "delete":
        database.execute(f"DELETE FROM {quoted(table)} WHERE abs(random()) % 3 = 0")
    elif kind == "rowid":
        database.execute(f"UPDATE {quoted(table)} SET rowid = rowid + ?", [where])
    elif kind == "empty":
        database.execute(f"DELETE FROM {quoted(table)}")


def try_case(deployment, case):
    """Make the database, and after each round of changes: back up twice, restore, compare. Return the number of changes."""
    count = 0
    with contextlib.closing(sqlite3.connect(deployment.path, isolation_level=None)) as database:
        database.execute(f"PRAGMA encoding = '{case['encoding']}'")
        for table in case["tables"]:
            with contextlib.suppress(sqlite3.Error):
                database.execute(table)
        for number, changes in enumerate(case["rounds"]):
            for change in changes:
                apply(database, change)
                count += 1
            if number == 0:
                database.execute("CREATE TABLE IF NOT EXISTS anchor (id INTEGER PRIMARY KEY)")
                deployment.set_up()
            deployment.assert_round_trip()
    return count


def try_history(deployment, case, folder):
    """The same, but back up after each round, and restore every run at the end. Return the number of runs."""
    kept = {}
    with contextlib.closing(sqlite3.connect(deployment.path, isolation_level=None)) as database:
        database.execute(f"PRAGMA encoding = '{case['encoding']}'")
        database.execute("CREATE TABLE anchor (id INTEGER PRIMARY KEY)")
        deployment.set_up()
        for changes in [[], *case["rounds"]]:
            for table in case["tables"] if not changes else ():
                with contextlib.suppress(sqlite3.Error):
                    database.execute(table)
            for change in changes:
                apply(database, change)
            deployment.back_up()
            kept[deployment.run] = Path(shutil.copy(deployment.path, folder / f"{deployment.run}.db"))
    for run, path in kept.items():
        assert compare.differences(path, deployment.restored(run)) == [], run
    return len(kept)


def histories(folder, server, cases: int, seed: int = 0) -> dict[str, int]:
    """Try so many random histories."""

    def restored_runs(case, url, place):
        (place / "kept").mkdir()
        return try_history(Deployment(place, url), case, place / "kept")

    return _tried(folder, server, cases, seed, "runs", restored_runs)


def campaign(folder, server, cases: int, seed: int = 0) -> dict[str, int]:
    """Try so many random cases."""
    return _tried(folder, server, cases, seed, "changes", lambda case, url, place: try_case(Deployment(place, url), case))


def _tried(folder, server, count, seed, what, try_one):
    """Try each case in a database of its own, and add up what `try_one` returns; a failing case is shrunk and raised."""
    done = {"cases": 0, what: 0}

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(cases())
    def every(case):
        name = f"random_{what}_{seed}_{done['cases']}"
        with make_database(server, name) as url, tempfile.TemporaryDirectory(dir=folder) as place:
            done[what] += try_one(case, url, Path(place))
        done["cases"] += 1

    every()
    return done


if __name__ == "__main__":
    from tests.stand_ins import supabase

    with supabase.running() as server, tempfile.TemporaryDirectory() as folder:
        what = {"cases": campaign, "histories": histories}[sys.argv[1]]
        print(what(Path(folder), server, int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
