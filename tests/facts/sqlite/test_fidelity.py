"""Any SQLite database survives setup, two backups and a restore, logically identical; the second backup changes nothing."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base.errors import Problem
from lib.sqlite.lines import expressions, read_lines
from tests import compare
from tests.cases import hostile, random_cases, sequences
from tests.stand_ins.bot import Bot
from tests.stand_ins.deployment import Deployment


@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_a_hostile_database_comes_back_identical(family, tmp_path, prepared):
    deployment = Deployment(tmp_path, prepared)
    hostile.build(family, deployment.path)
    deployment.set_up()
    deployment.assert_round_trip()


@pytest.mark.campaign
@pytest.mark.parametrize("sequence", sequences.SEQUENCES)
def test_the_new_state_comes_back_after_a_change(sequence, tmp_path, prepared):
    before, after = sequences.SEQUENCES[sequence]
    deployment = Deployment(tmp_path, prepared)
    deployment.script(before)
    deployment.set_up()
    deployment.back_up()
    deployment.script(after)
    deployment.assert_round_trip()
    deployment.script("VACUUM")
    deployment.assert_round_trip()


def test_misfits_are_counted_and_shown(tmp_path, prepared):
    deployment = Deployment(tmp_path, prepared)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t (n) VALUES (1), (2), ('three'), (4.5)")
    deployment.set_up()
    deployment.back_up()
    assert deployment.misfits == 2


@pytest.mark.campaign
def test_the_bots_typed_tables_keep_odd_values(saved_bot):
    saved_bot.sqlite(
        saved_bot.premium,
        "UPDATE premium_subscriptions SET is_active = 2, stars_amount = 'many' WHERE id = 2;"
        "UPDATE refunds SET refund_reason = char(0), processed_by = x'ff' WHERE id = 1;"
        "UPDATE payment_history SET created_at = 1.5 WHERE id = 3",
    )
    tables = {table["table"]: table for run in saved_bot.backup()["runs"] for table in run["tables"]}
    assert {name: table["misfits"] for name, table in tables.items() if table["misfits"] and name != "sqlite_sequence"} == {
        "premium_subscriptions": 1, "refunds": 1, "payment_history": 1,
    }  # fmt: skip
    saved_bot.assert_restorable()
    assert saved_bot.changes() == {}


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("columns", ["n INTEGER, v", "r REAL", "v"])
def test_rows_come_together_whatever_their_number_and_their_rowids(rows_at_once, columns, tmp_path, prepared, monkeypatch):
    """Misfits, large rows, and rows whose line is empty among them."""
    monkeypatch.setattr(read_lines, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(expressions, "LARGE", 50)
    deployment = Deployment(tmp_path, prepared)
    column = columns.split()[0]
    values = ["NULL", "1", "'a'", "printf('%.*c', 90, 'x')", "1.5", "char(1)", "x'01'", "NULL"]
    rowids = [-(2**63), -5, 0, 1, 2, 3, 10**12, 2**63 - 1]
    rows = ", ".join(f"({rowid}, {value})" for rowid, value in zip(rowids, values, strict=True))
    deployment.script(
        f"CREATE TABLE t ({columns}); CREATE TABLE empty ({columns}); INSERT INTO t (rowid, {column}) VALUES {rows};"
        f"CREATE TABLE two ({columns}); INSERT INTO two ({column}) VALUES (NULL), (NULL)"
    )
    deployment.set_up()
    deployment.back_up()
    assert deployment.back_up(full=True) == {}
    deployment.assert_round_trip()


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "100%41.db", "with space.db", "ü🎁.db", "a;b'c.db"])
def test_odd_characters_in_the_path(name, tmp_path, prepared):
    deployment = Deployment(tmp_path, prepared, name=name)
    deployment.script("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    deployment.set_up()
    deployment.assert_round_trip()


def test_rows_that_are_only_in_the_wal(tmp_path, prepared):
    deployment = Deployment(tmp_path, prepared)
    deployment.script("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
    deployment.set_up()
    with contextlib.closing(sqlite3.connect(deployment.path)) as bot:
        bot.execute("PRAGMA wal_autocheckpoint = 0")
        bot.execute("INSERT INTO t VALUES ('only in the wal')")
        bot.commit()
        assert deployment.back_up()["t"] == (1, 0, 0)
        bot.execute("INSERT INTO t VALUES ('not committed')")
        assert deployment.back_up() == {}


def test_a_hot_journal_is_rolled_back(tmp_path, prepared):
    """A bot that was killed in the middle of a commit leaves a journal that must be played back."""
    deployment = Deployment(tmp_path, prepared)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t (a) VALUES ('good')")
    deployment.set_up()
    crash = f"""import os, sqlite3
bot = sqlite3.connect({str(deployment.path)!r}, isolation_level=None)
bot.execute("PRAGMA cache_size = 1"); bot.execute("PRAGMA cache_spill = 1"); bot.execute("BEGIN")
bot.execute("UPDATE t SET a = 'torn'")
bot.execute("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) INSERT INTO t (a) SELECT n FROM c")
os._exit(9)"""
    subprocess.run([sys.executable, "-c", crash], check=False)
    assert Path(f"{deployment.path}-journal").stat().st_size > 0
    deployment.back_up()
    assert deployment.tables["t"].rows == 1
    with contextlib.closing(sqlite3.connect(deployment.restored())) as restored:
        assert restored.execute("SELECT a FROM t").fetchall() == [("good",)]


def test_a_symlink_is_followed(tmp_path, prepared):
    deployment = Deployment(tmp_path, prepared)
    real = tmp_path / "elsewhere.db"
    with contextlib.closing(sqlite3.connect(real)) as bot:
        bot.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    deployment.path.symlink_to(real)
    deployment.set_up()
    deployment.assert_round_trip()


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(3))
def test_one_value_of_64_mb_needs_only_a_few_times_its_size(seed, tmp_path, database):
    """Measured in a process of its own: the peak of its memory, above that of a run with a small value."""
    bot = Bot(tmp_path, database)
    path = bot.data / "big.db"
    path.parent.mkdir()
    bot.write_env(SQLITE_DATABASES="sqlite_data/big.db")
    bot.sqlite(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'small')")
    bot.run("setup_supabase.py").expect(0)
    small = bot.peak_memory("backup.py")
    value = ("zeroblob(64000000)", "hex(zeroblob(32000000))", "char(0) || hex(zeroblob(32000000))")[seed]
    bot.sqlite(path, f"UPDATE t SET v = {value}")
    assert bot.peak_memory("backup.py") - small < 8 * 64_000_000
    assert bot.peak_memory("restore.py", "--yes", "--to", str(tmp_path / "out")) - small < 14 * 64_000_000
    assert compare.differences(path, tmp_path / "out" / "big.db") == []


def test_a_value_that_postgres_cannot_hold_is_named(tmp_path, prepared, monkeypatch):
    deployment = Deployment(tmp_path, prepared)
    deployment.script(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t VALUES (7, zeroblob(10)), (8, zeroblob(2000))"
    )
    deployment.set_up()
    monkeypatch.setattr(read_lines, "LARGEST", 1000)
    monkeypatch.setattr(expressions, "LARGE", 1000)
    with pytest.raises(Problem, match=r"t.v holds 2,000 bytes in the row id = 8; Postgres takes 1,000 at most."):
        deployment.back_up()
    deployment.script("DELETE FROM t WHERE id = 8")
    deployment.assert_round_trip()


@pytest.mark.campaign
def test_random_databases_and_changes(tmp_path, server):
    """HYBRID_BACKUP_TEST_CASES says how many; each is a random schema, rows, and a sequence of changes to both."""
    done = random_cases.campaign(tmp_path, server, cases=int(os.environ.get("HYBRID_BACKUP_TEST_CASES", "60")))
    assert done["cases"] > 0
    assert done["changes"] > done["cases"]
