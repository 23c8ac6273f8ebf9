"""What cannot come into a bot's file is refused row by row, says why, and leaves the file as it is."""

import pytest

from tests.stand_ins.editing import is_mirrored, outcomes

# What the bot has made, what is accepted of it, what is edited in its mirror, and why that is refused.
REFUSED = {
    "a hidden rowid": (
        "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x')",
        "t.a",
        "a = 'y'",
        "no key but SQLite's hidden rowid",
    ),
    "a generated column": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER AS (a + 1) STORED); INSERT INTO t (id, a) VALUES (1, 1)",
        "t.a,t.b",
        "b = 9",
        "SQLite computes b",
    ),
    "a virtual table's rows": (
        "CREATE VIRTUAL TABLE f USING fts5 (x); INSERT INTO f VALUES ('y'); CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "f_content.c0",
        "c0 = 'z'",
        "belongs to SQLite or to a virtual table",
    ),
    "UNIQUE": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE UNIQUE INDEX one ON t (lower(a));"
        "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "t.a",
        "a = 'X' WHERE id = 2",
        "UNIQUE constraint failed",
    ),
    "UNIQUE that would replace": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE ON CONFLICT REPLACE); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "t.a",
        "a = 'x' WHERE id = 2",
        "UNIQUE constraint failed",
    ),
    "CHECK": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER CHECK (a < 10)); INSERT INTO t VALUES (1, 1)",
        "t.a",
        "a = 10",
        "CHECK constraint failed",
    ),
    "NOT NULL that would replace": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'd'); INSERT INTO t VALUES (1, 'x')",
        "t.a",
        "a = NULL",
        "NOT NULL constraint failed",
    ),
    "what SQLite would store otherwise": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a NUMERIC); INSERT INTO t VALUES (1, 'x')",
        "t.a",
        "a = '12'",
        "SQLite would store a otherwise",
    ),
    "a function of the bot's": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1); CREATE INDEX i ON t (ours(a))",
        "t.a",
        "a = 2",
        "function: ours",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_come_is_refused(what, small):
    script, accepted, change, reason = REFUSED[what]
    bot = small(script, accepted)
    path = bot.data / "small.db"
    before, table = path.read_bytes(), accepted.partition(".")[0]
    unique = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'u'"
    for (name,) in bot.query(unique, [f"backup_small.{table}"]):
        bot.query(f"ALTER TABLE backup_small.{table} DROP CONSTRAINT {name}")
    bot.query(f"ALTER TABLE backup_small.{table} ALTER {change.split()[0]} DROP NOT NULL")
    bot.query(f"UPDATE backup_small.{table} SET {change}")
    said = bot.run("backup.py").expect(0).stderr
    assert reason in said
    assert path.read_bytes() == before
    assert {outcome for _, _, outcome, _ in outcomes(bot)} == {"refused"}
    bot.run("backup.py", "--verify").expect(0)


def test_rows_that_are_kept_whole_are_not_edited(small):
    bot = small("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1)", "t.a,t.delete")
    path = bot.data / "small.db"
    bot.sqlite(path, "INSERT INTO t VALUES (2, 'no number')")
    bot.run("backup.py").expect(0)
    before = path.read_bytes()
    bot.query("DELETE FROM backup.misfit_rows WHERE table_name = 't'")
    assert "rows that are kept whole cannot be edited" in bot.run("backup.py").expect(0).stderr
    assert path.read_bytes() == before
    is_mirrored(bot)


def test_a_whole_row_is_deleted_only_as_it_was(small):
    bot = small("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)", "t.delete")
    path = bot.data / "small.db"
    bot.query("DELETE FROM backup_small.t WHERE id IN (1, 2)")
    bot.sqlite(path, "UPDATE t SET a = 9 WHERE id = 2")
    bot.run("backup.py").expect(0)
    assert bot.sqlite_rows(path, "SELECT * FROM t ORDER BY id") == [(2, 9), (3, 3)]
    assert sorted(outcome for _, _, outcome, _ in outcomes(bot)) == ["applied", "conflict"]
    is_mirrored(bot)
