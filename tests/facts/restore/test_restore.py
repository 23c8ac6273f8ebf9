"""A restore brings every file back identical, and destroys nothing on the way."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from lib.base.errors import Problem
from lib.restoring import rebuild
from tests import compare
from tests.stand_ins.bot import environment
from tests.stand_ins.deployment import Deployment


def test_both_databases_come_back_identical(saved_bot):
    saved_bot.assert_restorable()


def test_a_new_server_with_an_empty_folder(saved_bot):
    kept = saved_bot.keep_copies()
    shutil.rmtree(saved_bot.data)
    said = saved_bot.run("restore.py", "--yes").expect(0).stdout
    assert "every row compared" in said
    for path in saved_bot.databases:
        assert compare.differences(kept[path.stem], path) == []
    assert len(saved_bot.databases) == 2
    assert saved_bot.changes() == {}


def test_the_replaced_file_is_kept_with_its_journal(saved_bot):
    saved_bot.premium.write_bytes(b"this is no database")
    (saved_bot.data / "premium_system.db-journal").write_bytes(b"stale")
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    kept = sorted(path.name for path in saved_bot.data.glob("*.before-restore-*"))
    assert len(kept) == 2
    assert kept[1] == f"{kept[0]}-journal"
    assert (saved_bot.data / kept[0]).read_bytes() == b"this is no database"
    assert not (saved_bot.data / "premium_system.db-journal").exists()


def test_a_stale_wal_beside_the_destination_does_no_harm(saved_bot):
    expected = saved_bot.keep_copies()["premium_system"]
    with contextlib.closing(sqlite3.connect(saved_bot.premium)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE payment_history SET stars_amount = 0")
        writer.commit()
        shutil.copy(f"{saved_bot.premium}-wal", saved_bot.folder / "wal")
    shutil.copy(saved_bot.folder / "wal", f"{saved_bot.premium}-wal")
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    assert compare.differences(expected, saved_bot.premium) == []


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_running_bot_is_an_error_that_says_so(saved_bot, mode):
    with contextlib.closing(sqlite3.connect(saved_bot.premium, isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM refunds WHERE id = 1")
        done = saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(1)
        assert "premium_system.db is in use by another program.\nThe file was not touched.\nTry: stop the bot" in done.stderr
        writer.execute("COMMIT")
    assert list(saved_bot.data.glob("*restor*")) == []
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT count(*) FROM refunds WHERE id = 1") == [(0,)]


def test_journal_mode_and_pragmas_come_back(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "PRAGMA journal_mode = WAL; PRAGMA user_version = 7; PRAGMA application_id = -5;")
    saved_bot.sqlite(saved_bot.requests, "PRAGMA auto_vacuum = FULL; PRAGMA page_size = 8192; VACUUM")
    saved_bot.changes()
    saved_bot.assert_restorable()


def test_views_triggers_and_indexes_come_back_word_for_word(saved_bot):
    saved_bot.sqlite(
        saved_bot.premium,
        """CREATE VIEW "odd view" AS SELECT /* comment */ * FROM refunds WHERE status<>'x';
        CREATE VIEW dangling AS SELECT * FROM nowhere;
        CREATE TRIGGER explode AFTER INSERT ON refunds BEGIN SELECT RAISE(ABORT, 'no'); END;
        CREATE INDEX partial ON refunds (owner_id) WHERE status = 'pending';
        CREATE UNIQUE INDEX expression ON refunds (id + 1, lower(status))""",
    )
    saved_bot.changes()
    saved_bot.assert_restorable()


def test_only_the_named_database_is_replaced(saved_bot):
    before = saved_bot.requests.stat().st_ino
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    assert saved_bot.requests.stat().st_ino == before
    assert len(list(saved_bot.data.glob("premium_system.db.before-restore-*"))) == 1


def test_another_folder_leaves_the_files_alone(saved_bot):
    before = {path: path.read_bytes() for path in saved_bot.databases}
    saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "look")).expect(0)
    assert {path: path.read_bytes() for path in saved_bot.databases} == before


def test_mode_of_the_old_file_is_kept_and_a_new_file_is_private(saved_bot):
    os.chmod(saved_bot.premium, 0o640)
    saved_bot.requests.unlink()
    saved_bot.run("restore.py", "--yes").expect(0)
    assert saved_bot.premium.stat().st_mode & 0o777 == 0o640
    assert saved_bot.requests.stat().st_mode & 0o777 == 0o600


def test_without_a_terminal_it_refuses_to_guess(saved_bot):
    before = saved_bot.premium.stat().st_ino
    done = saved_bot.run("restore.py").expect(2)
    assert "Error: nobody is here to answer.\nThe files were not touched.\nTry: python3 restore.py --yes" in done.stderr
    assert "premium_system: run 1, " in done.stdout
    assert saved_bot.premium.stat().st_ino == before


@pytest.mark.skipif(shutil.which("script") is None, reason="util-linux's script is not installed")
@pytest.mark.parametrize(("answer", "is_replaced"), [("yes", True), ("no", False), ("", False)])
def test_on_a_terminal_it_asks(saved_bot, answer, is_replaced):
    before = saved_bot.premium.stat().st_ino
    command = " ".join(saved_bot.command("restore.py"))
    subprocess.run(["script", "-qec", command, "/dev/null"], input=f"{answer}\n", text=True, env=environment(), timeout=60)
    assert (saved_bot.premium.stat().st_ino != before) == is_replaced


def test_dry_run_and_list_write_nothing(saved_bot):
    before = sorted(saved_bot.data.iterdir()), saved_bot.premium.stat().st_mtime_ns
    assert "Nothing was done." in saved_bot.run("restore.py", "--dry-run").expect(0).stdout
    found = saved_bot.run("restore.py", "--list", "--json").expect(0).json["runs"]
    assert all({"run", "source", "finished_at", "rows", "restorable"} <= set(run) for run in found)
    assert [run["run"] for run in found] == [1, 2]
    assert (sorted(saved_bot.data.iterdir()), saved_bot.premium.stat().st_mtime_ns) == before


def test_list_says_how_much_is_kept_and_how_to_remove_it(saved_bot):
    size = saved_bot.premium.stat().st_size
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    (kept,) = saved_bot.data.glob("*.before-restore-*Z")
    said = saved_bot.run("restore.py", "--list").expect(0).stdout
    assert f"   replaced by a restore and kept: {kept}, {size / 1000:.1f} kB\n" in said
    (command,) = re.findall(r"   to remove it for ever:  (rm .*)", said)
    subprocess.run(command, shell=True, check=True)
    assert not kept.exists()
    assert "to remove it" not in saved_bot.run("restore.py", "--list").expect(0).stdout


def test_a_run_that_was_tampered_with_is_not_restored(saved_bot):
    before = saved_bot.premium.read_bytes()
    shutil.rmtree(saved_bot.folder / "snapshots")
    saved_bot.query("UPDATE backup.run_tables SET rows = rows + 1 WHERE table_name = 'payment_history'")
    done = saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(1)
    assert "premium_system.payment_history: the rebuilt table differs from what run 1 saved" in done.stderr
    assert saved_bot.premium.read_bytes() == before
    assert list(saved_bot.data.glob("*restor*")) == []


DAMAGES = {
    "a row is gone": "DELETE FROM t WHERE id = 1",
    "a row too many": "INSERT INTO t (id, word) VALUES (3, 'new')",
    "another value": "UPDATE t SET word = 'other' WHERE id = 1",
    "only the case": "UPDATE t SET word = 'WORD' WHERE id = 1",
    "another class": "UPDATE t SET anything = 1.0 WHERE id = 1",
    "another sign of zero": "UPDATE t SET zero = -0.0 WHERE id = 1",
    "another row of a table without rowid": "UPDATE w SET v = 2",
    "a row of a table without a key": "UPDATE n SET a = 2",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("has_snapshot", [True, False], ids=["with the snapshot", "by digest"])
def test_a_rebuilt_file_that_differs_is_never_put_in_place(damage, has_snapshot, tmp_path, database, monkeypatch):
    deployment = made(tmp_path, database)
    build = rebuild._build

    def damaged(*arguments):
        missing = build(*arguments)
        with contextlib.closing(sqlite3.connect(arguments[2])) as file, file:
            file.execute(DAMAGES[damage])
        return missing

    monkeypatch.setattr(rebuild, "_build", damaged)
    with pytest.raises(Problem, match="the rebuilt table differs from what run 1 saved"):
        deployment.restored(kept=deployment.kept if has_snapshot else None)


def test_where_the_runs_own_snapshot_is_here_no_row_is_hashed(tmp_path, database, monkeypatch):
    deployment = made(tmp_path, database)
    hashed = []
    monkeypatch.setattr(rebuild.read_lines, "read_through", hashed.append)
    deployment.restored(kept=deployment.kept)
    assert hashed == []


def test_a_snapshot_of_another_run_is_not_compared(tmp_path, database):
    deployment = made(tmp_path, database)
    deployment.script("UPDATE t SET word = 'later'")
    deployment.back_up()
    with contextlib.closing(sqlite3.connect(deployment.restored(1, deployment.kept))) as restored:
        assert restored.execute("SELECT word FROM t WHERE id = 1").fetchall() == [("word",)]


def made(folder: Path, url: str) -> Deployment:
    deployment = Deployment(folder, url)
    deployment.script(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT COLLATE NOCASE, anything, zero);"
        "INSERT INTO t VALUES (1, 'word', 1, 0.0), (2, 'twò', NULL, x'00');"
        "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('k', 1);"
        "CREATE TABLE n (a); INSERT INTO n VALUES (1)"
    )
    deployment.set_up()
    deployment.back_up()
    return deployment
