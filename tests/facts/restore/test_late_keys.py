"""Of a large table the keys are made after the rows: what comes back is the same."""

import contextlib
import sqlite3

import pytest

from lib.sqlite.building import declaration, late_keys
from tests.cases import hostile
from tests.stand_ins.deployment import Deployment

KEYS = {
    "two columns": "a INTEGER, b TEXT, PRIMARY KEY (a, b)",
    "descending, without case": "a TEXT COLLATE NOCASE, b REAL, PRIMARY KEY (b DESC, a)",
    "the rowid, and others": "a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT UNIQUE, c NUMERIC, UNIQUE (c, b)",
    "no rowid, though it says so": "a INTEGER PRIMARY KEY DESC, b TEXT",
    "a type in quotes": 'a "VARCHAR ""INT""(10)" PRIMARY KEY, "b ""c" [any thing] UNIQUE',
}
ROW = [7, "x"], [8, "8"], [9, None]


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(late_keys, "MANY_ROWS", 0)


@pytest.mark.campaign
@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_a_hostile_database_comes_back_identical(family, tmp_path, prepared, late):
    deployment = Deployment(tmp_path, prepared)
    hostile.build(family, deployment.path)
    deployment.set_up()
    deployment.assert_round_trip()


@pytest.mark.parametrize("keys", KEYS)
def test_every_kind_of_key_is_made_last_and_holds_its_rows(keys, tmp_path, prepared, late, monkeypatch):
    left_out = []
    replaced = declaration.replaced
    monkeypatch.setattr(declaration, "replaced", lambda *given, **more: left_out.append(given[1]) or replaced(*given, **more))
    deployment = Deployment(tmp_path, prepared)
    deployment.script(f"CREATE TABLE t ({KEYS[keys]}); CREATE TABLE none (a); INSERT INTO none VALUES (1)")
    with contextlib.closing(sqlite3.connect(deployment.path)) as database, database:
        names = [name for _, name, *_ in database.execute("PRAGMA table_xinfo(t)")][:2]
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        database.executemany(f"INSERT INTO t ({quoted}) VALUES (?, ?)", ROW)
    deployment.set_up()
    deployment.assert_round_trip()
    assert set(left_out) == {"t"}


@pytest.mark.parametrize("name", ["nocase", "Binary"])
def test_a_table_may_be_called_like_a_collation(name, tmp_path, prepared, late):
    deployment = Deployment(tmp_path, prepared)
    deployment.script(
        f"CREATE TABLE {name} (a TEXT, b TEXT COLLATE NOCASE UNIQUE, c AS (a || b) UNIQUE, PRIMARY KEY (a, b));"
        f" INSERT INTO {name} (a, b) VALUES ('x', 'y'); CREATE TABLE RTRIM (id INTEGER PRIMARY KEY, a TEXT UNIQUE);"
        " INSERT INTO RTRIM VALUES (1, 'x')"
    )
    deployment.set_up()
    deployment.assert_round_trip()


def test_what_would_convert_without_its_declaration_keeps_it(late):
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b ANY)")
        with late_keys.made_last(database, "t", 1):
            assert database.execute("PRAGMA index_list(t)").fetchall() != []


def test_a_key_that_two_rows_have_is_refused_and_the_table_can_be_filled_again(late):
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.execute("CREATE TABLE t (a INTEGER, b TEXT COLLATE NOCASE UNIQUE)")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"), late_keys.made_last(database, "t", 2):
            database.executemany("INSERT INTO t VALUES (?, ?)", [(1, "x"), (2, "X")])
        database.execute("DELETE FROM t")
        with late_keys.made_last(database, "t", 1):
            database.execute("INSERT INTO t VALUES (1, 'x')")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT a FROM t WHERE b = 'X'").fetchall() == [(1,)]
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("INSERT INTO t VALUES (2, 'X')")


def test_a_small_table_keeps_its_keys_while_it_is_filled():
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (a UNIQUE)")
        with late_keys.made_last(database, "t", late_keys.MANY_ROWS - 1):
            assert database.execute("PRAGMA index_list(t)").fetchall() != []
        with late_keys.made_last(database, "t", late_keys.MANY_ROWS):
            assert database.execute("PRAGMA index_list(t)").fetchall() == []
        assert database.execute("PRAGMA index_list(t)").fetchall() != []
