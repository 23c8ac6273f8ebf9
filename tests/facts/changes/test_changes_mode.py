"""A run sends what differs from the previous snapshot, and every row where that snapshot cannot be relied on."""

import contextlib
import csv
import io
import shutil
import threading

import psycopg2
import pytest
from psycopg2 import sql

from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import equal, names, statement
from lib.postgres.mirrors import altered, last_run, merge, sending
from lib.sqlite.compare import find_changes
from lib.sqlite.compare.table_change import NO_ROW, TableChange
from lib.sqlite.lines import read_lines
from tests import compare
from tests.cases import hostile
from tests.stand_ins.deployment import Deployment

LIVE = """
    UPDATE message_owners SET timestamp = timestamp + 1 WHERE message_id % 100 = 0;
    DELETE FROM message_owners WHERE message_id % 200 = 1;
    INSERT INTO message_owners
        SELECT message_id + 10000000, chat_id, user_id, timestamp FROM message_owners WHERE message_id % 100 = 2
"""


def tables_sent(found):
    return {table["table"]: table["bytes_sent"] for run in found["runs"] for table in run["tables"] if table["bytes_sent"]}


def log_of(bot):
    return (bot.folder / "supabase_backup.log").read_text()


def csv_bytes(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return len(text.getvalue().encode())


def test_only_the_changed_rows_and_the_vanished_keys_are_sent(saved_bot):
    rows_before = set(saved_bot.sqlite_rows(saved_bot.requests, "SELECT rowid, * FROM message_owners"))
    saved_bot.sqlite(saved_bot.requests, LIVE)
    rows_now = set(saved_bot.sqlite_rows(saved_bot.requests, "SELECT rowid, * FROM message_owners"))
    keys = {row[1:3] for row in rows_before} - {row[1:3] for row in rows_now}
    found = saved_bot.backup()
    needed = csv_bytes(rows_now - rows_before) + csv_bytes(keys)
    assert set(tables_sent(found)) == {"message_owners"}
    assert 0 < tables_sent(found)["message_owners"] <= 1.3 * needed
    ((inserted, updated, deleted),) = [
        (table["inserted"], table["updated"], table["deleted"])
        for run in found["runs"]
        for table in run["tables"]
        if table["table"] == "message_owners"
    ]
    assert deleted == len(keys)
    assert inserted + updated == len(rows_now - rows_before)
    assert saved_bot.run("backup.py", "--verify").expect(0)
    saved_bot.assert_restorable()


def test_counters_that_did_not_move_are_not_sent(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET stars_amount = stars_amount + 1 WHERE id = 3")
    found = saved_bot.backup()
    assert set(tables_sent(found)) == {"refunds"}
    (premium, _) = [run["run"] for run in found["runs"]]
    assert saved_bot.query(f"SELECT 1 FROM backup.left_by({premium}) WHERE table_name = 'sqlite_sequence'") == [(1,)]


def test_keys_that_vanished_are_found_in_one_pass_however_many(saved_bot):
    """Where a key's columns depend on each other, Postgres expects one row once it knows the mirror, and pairs all with all."""
    key, mirror = ("user_id", "chat_id", "command_name"), ("backup_user_requests", "command_requests")
    parts = {
        "mirror": sql.Identifier(*mirror),
        "gone": sql.Identifier("pg_temp", "gone_0"),
        "staging": sql.Identifier("pg_temp", "staging_0"),
        "key": names(key),
        "is_gone": equal(key, "mirror", "gone"),
        "label": sql.Literal("command_requests"),
    }
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE merged (table_name text, deleted bigint)")
        rows = "SELECT n, n, 'x' || n, 0, 0, -n FROM generate_series(1, 20000) AS n"
        cursor.execute(f"INSERT INTO backup_user_requests.command_requests {rows}")
        for staging in ("gone_0", "staging_0"):
            copied = "SELECT user_id, chat_id, command_name FROM backup_user_requests.command_requests"
            cursor.execute(f"CREATE TEMPORARY TABLE {staging} AS {copied}")
        cursor.execute("ANALYZE backup_user_requests.command_requests")
        cursor.execute(sql.SQL("EXPLAIN ") + statement("delete_gone", **parts))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "SetOp Except" in plan
    assert "Anti Join" not in plan


@pytest.fixture
def two_tables(tmp_path, prepared, monkeypatch):
    """Two saved tables in which every row has changed since, as if that were much, and of many."""
    monkeypatch.setattr(sending, "MUCH_BYTES", 1)
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    deployment = Deployment(tmp_path, prepared)
    deployment.script(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES (1, 'old'), (2, 'old');"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, v); INSERT INTO b SELECT * FROM a"
    )
    deployment.set_up()
    deployment.back_up()
    deployment.script("UPDATE a SET v = 'new'; UPDATE b SET v = 'new'")
    return deployment


def test_postgres_merges_a_large_table_while_the_next_one_is_looked_through(two_tables, monkeypatch):
    begun, look_for = threading.Event(), find_changes.since

    def looking(*arguments):
        parts = look_for(*arguments)
        first = next(parts)
        yield first
        for _ in range(3000):  # until Postgres is free to begin
            yield TableChange(first.table, first.result, NO_ROW)
            if begun.wait(0.01):
                break
        assert begun.is_set(), "the merge of the first table waits for the second"
        yield from parts

    def merging(*arguments, merge_it=merge._merge):
        begun.set()
        return merge_it(*arguments)

    monkeypatch.setattr(find_changes, "since", looking)
    monkeypatch.setattr(merge, "_merge", merging)
    assert two_tables.back_up() == {"a": (0, 2, 0), "b": (0, 2, 0)}
    two_tables.assert_round_trip()


@pytest.mark.parametrize(("ahead", "copies"), [(0, 4), (30, 3), (4_000_000, 1)])
def test_while_postgres_is_busy_the_next_tables_are_looked_through(two_tables, monkeypatch, ahead, copies):
    """And what is little is read, up to so many bytes of all tables; it travels together."""
    monkeypatch.setattr(sending, "MUCH_BYTES", 100_000)
    monkeypatch.setattr(merge, "AHEAD_BYTES", ahead)
    looked, look_for, copied = threading.Event(), find_changes.since, []

    def looking(*arguments):
        yield from look_for(*arguments)
        looked.set()

    def confirming(*arguments, confirm=last_run.confirm):
        assert looked.wait(30), "the second table waits for Postgres"
        return confirm(*arguments)

    def copying(*arguments, copy_in=Target.copy_in):
        copied.append(arguments)
        copy_in(*arguments)

    monkeypatch.setattr(find_changes, "since", looking)
    monkeypatch.setattr(last_run, "confirm", confirming)
    monkeypatch.setattr(Target, "copy_in", copying)
    assert two_tables.back_up() == {"a": (0, 2, 0), "b": (0, 2, 0)}
    assert len(copied) == copies
    two_tables.assert_round_trip()


def reraise(*arguments):
    raise arguments[-1]


def test_a_mirror_that_a_later_merge_changes_is_not_proven(two_tables, monkeypatch):
    """A trigger or a foreign key of the operator's may do so, if nobody took it away."""
    monkeypatch.setattr(altered, "clear", reraise)
    two_tables.rows(
        "CREATE FUNCTION public.also() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN UPDATE backup_source.a SET v = 'wrong' WHERE id = 1; RETURN NULL; END$$;"
        "CREATE TRIGGER also AFTER UPDATE ON backup_source.b FOR EACH STATEMENT EXECUTE FUNCTION public.also()"
    )
    with pytest.raises(Problem, match="does not hold what the snapshot holds"):
        two_tables.back_up()
    assert two_tables.rows("SELECT v FROM backup_source.a UNION ALL SELECT v FROM backup_source.b") == [("old",)] * 4


def test_a_row_that_the_server_changes_while_it_is_merged_is_not_proven(two_tables, monkeypatch):
    """As if nobody had seen the trigger."""
    two_tables.rows(
        "CREATE FUNCTION public.also() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.id = 1 THEN NEW.v := 'wrong'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER also BEFORE UPDATE ON backup_source.b FOR EACH ROW EXECUTE FUNCTION public.also()"
    )
    monkeypatch.setattr(last_run, "_doubt", lambda *_: "")
    monkeypatch.setattr(altered, "clear", reraise)
    with pytest.raises(Problem, match="2 rows in the snapshot, 2 sent or kept, 2 in the mirror, digests differ"):
        two_tables.back_up()
    assert two_tables.rows("SELECT v FROM backup_source.a UNION ALL SELECT v FROM backup_source.b") == [("old",)] * 4


def test_nobody_changes_a_mirror_while_a_run_works(two_tables, monkeypatch):
    def confirming(*arguments, confirm=last_run.confirm):
        with pytest.raises(Problem, match="source is being backed up; nothing was changed"):
            two_tables.rows("UPDATE backup_source.b SET v = 'by hand' WHERE id = 2")
        return confirm(*arguments)

    monkeypatch.setattr(last_run, "confirm", confirming)
    assert two_tables.back_up() == {"a": (0, 2, 0), "b": (0, 2, 0)}
    assert two_tables.back_up() == {}


def test_a_mirror_that_has_nothing_to_be_sent_is_not_waited_for(saved_bot):
    saved_bot.sqlite(saved_bot.requests, "UPDATE user_requests SET minute = minute + 1")
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as somebody:
        somebody.cursor().execute("UPDATE backup_user_requests.message_owners SET user_id = user_id WHERE false")
        assert set(tables_sent(saved_bot.backup())) == {"user_requests"}


def test_a_merge_that_fails_beside_leaves_everything_as_it_was(two_tables, monkeypatch):
    monkeypatch.setattr(altered, "clear", reraise)
    two_tables.rows("ALTER TABLE backup_source.a ADD CONSTRAINT not_today CHECK (v <> 'new')")
    with pytest.raises(Problem, match="not_today"):
        two_tables.back_up()
    assert two_tables.rows("SELECT v FROM backup_source.a UNION ALL SELECT v FROM backup_source.b") == [("old",)] * 4
    two_tables.rows("ALTER TABLE backup_source.a DROP CONSTRAINT not_today")
    assert two_tables.back_up() == {"a": (0, 2, 0), "b": (0, 2, 0)}


def test_without_a_change_the_kept_snapshot_is_not_written_again(saved_bot):
    kept = saved_bot.folder / "snapshots" / "premium_system.db"
    before = kept.stat()
    run = saved_bot.backup()["runs"][0]["run"]
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns > before.st_mtime_ns) == (before.st_ino, True)
    assert f"premium_system: the snapshot of run {run}, " in saved_bot.run("restore.py", "--local", "--dry-run").stdout


def places(bot):
    """Where every row version of every mirror is: an update moves it."""
    query = "SELECT rowid, ctid::text FROM backup_user_requests.{}"
    return {name: set(bot.query(query.format(name))) for name in ("user_requests", "command_requests", "message_owners")}


def test_a_run_of_changes_rewrites_no_other_row(saved_bot):
    before = places(saved_bot)
    saved_bot.sqlite(saved_bot.requests, "UPDATE message_owners SET timestamp = 1 WHERE rowid IN (5, 6)")
    saved_bot.backup()
    after = places(saved_bot)
    assert {row for row, _ in after.pop("message_owners") - before.pop("message_owners")} == {5, 6}
    assert after == before


def forget(bot):
    shutil.rmtree(bot.folder / "snapshots")


def damage(bot):
    with open(bot.folder / "snapshots" / "user_requests.db", "r+b") as file:
        file.seek(5000)
        file.write(b"damage" * 20)


def exchange(bot):
    for suffix in ("db", "db.json"):
        shutil.copy(bot.folder / "snapshots" / f"premium_system.{suffix}", bot.folder / "snapshots" / f"user_requests.{suffix}")


def go_back(bot):
    kept = shutil.copytree(bot.folder / "snapshots", bot.folder / "older")
    bot.sqlite(bot.requests, "UPDATE message_owners SET timestamp = 1 WHERE rowid = 5")
    bot.backup()
    shutil.rmtree(bot.folder / "snapshots")
    shutil.move(kept, bot.folder / "snapshots")


def spoil_the_note(bot):
    (bot.folder / "snapshots" / "user_requests.db.json").write_text("[]")


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (forget, "there is no previous snapshot on this machine"),
        (damage, "the previous snapshot is damaged"),
        (spoil_the_note, "the previous snapshot is damaged"),
        (exchange, "the previous snapshot is not the last run's"),
        (go_back, "the previous snapshot is not the last run's"),
    ],
)
def test_a_snapshot_that_cannot_be_relied_on_is_not_used(saved_bot, what, reason):
    what(saved_bot)
    saved_bot.sqlite(saved_bot.requests, "UPDATE message_owners SET timestamp = timestamp + 9 WHERE rowid IN (7, 8)")
    found = saved_bot.backup("user_requests")
    assert tables_sent(found)["message_owners"] > 200_000
    assert log_of(saved_bot).count(f"user_requests: every row is sent, because {reason}.") == 1
    told = [warning for warning in found["warnings"] if "user_requests.db.json is damaged" in warning]
    assert found["warnings"] == told
    assert len(told) == (what is spoil_the_note)
    saved_bot.assert_restorable()
    saved_bot.sqlite(saved_bot.requests, "UPDATE message_owners SET timestamp = timestamp + 9 WHERE rowid = 9")
    assert tables_sent(saved_bot.backup("user_requests")).keys() == {"message_owners"}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("UPDATE backup_user_requests.message_owners SET timestamp = 0 WHERE rowid = 3", "changed the mirror by hand"),
        (
            "DROP TABLE backup_user_requests.linked_messages CASCADE",
            "somebody has altered the mirror, which is gone. It was made anew",
        ),
        (
            "ALTER TABLE backup_user_requests.message_owners DISABLE TRIGGER USER;"
            "DELETE FROM backup_user_requests.message_owners WHERE rowid < 50",
            "every row is sent, because the mirrors no longer hold what the last run left.",
        ),
        (
            "CREATE TABLE public.other (id bigint PRIMARY KEY);"
            "ALTER TABLE backup_user_requests.message_owners ADD FOREIGN KEY (user_id) REFERENCES public.other NOT VALID",
            "every row is sent, because the mirrors have triggers or foreign keys that are not ours",
        ),
        (
            "CREATE FUNCTION public.log_undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER other BEFORE UPDATE ON backup_user_requests.message_owners"
            " FOR EACH ROW EXECUTE FUNCTION public.log_undo()",
            "every row is sent, because the mirrors have triggers or foreign keys that are not ours",
        ),
    ],
)
def test_a_mirror_that_somebody_changed_gets_every_row(saved_bot, edit, reason):
    saved_bot.query(edit)
    saved_bot.sqlite(saved_bot.requests, "UPDATE user_requests SET minute = 1 WHERE rowid = 3")
    assert tables_sent(saved_bot.backup("user_requests"))["message_owners"] > 200_000
    assert reason in log_of(saved_bot)
    assert saved_bot.run("backup.py", "--verify").expect(0)
    saved_bot.assert_restorable()


def test_a_new_index_sends_no_row(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "CREATE INDEX by_status ON refunds (status)")
    assert not any(tables_sent(saved_bot.backup()).values())
    saved_bot.assert_restorable()


@pytest.mark.parametrize(
    ("schema", "change"),
    [
        ("CREATE TABLE t (a, v); INSERT INTO t VALUES (1, 1), (2, 2)", "UPDATE t SET v = 1.0 WHERE a = 1"),
        ("CREATE TABLE t (v); INSERT INTO t VALUES (0.0), (0.5)", "UPDATE t SET v = -0.0 WHERE rowid = 1"),
        ("CREATE TABLE t (v); INSERT INTO t VALUES (1), (1)", "UPDATE t SET v = '1' WHERE rowid = 1"),
        ("CREATE TABLE t (v); INSERT INTO t VALUES ('1'), ('2')", "UPDATE t SET v = x'31' WHERE rowid = 1"),
        ("CREATE TABLE t (v NUMERIC); INSERT INTO t VALUES (1), (2.5), (3.5)", "UPDATE t SET v = 2.0 WHERE rowid = 1"),
        (
            "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('a'), ('b')",
            "UPDATE t SET k = 'A' WHERE k = 'a'",
        ),
        ("CREATE TABLE t (k TEXT COLLATE RTRIM PRIMARY KEY); INSERT INTO t VALUES ('a')", "UPDATE t SET k = 'a '"),
        ("CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2)", "UPDATE t SET rowid = rowid + 5"),
        (
            "CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3)",
            "UPDATE t SET k = k || 1; UPDATE t SET k = CASE k WHEN 'a1' THEN 'b' WHEN 'b1' THEN 'c' ELSE 'a' END",
        ),
        ("CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2)", "REPLACE INTO t VALUES ('a', 1)"),
        ("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 1), (1, 1), (1, 1)", "DELETE FROM t WHERE rowid = 2"),
        (
            "CREATE TABLE t (rowid, oid, _rowid_, k INT PRIMARY KEY, v);INSERT INTO t VALUES (1, 1, 1, 1, 1), (2, 2, 2, NULL, 0)",
            "UPDATE t SET v = 3 WHERE rowid = 2",
        ),
        ("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a')", "UPDATE t SET v = 'a' || char(0)"),
        ("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a' || char(0))", "UPDATE t SET v = 'a'"),
        ("CREATE TABLE t (i INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (5)", "UPDATE sqlite_sequence SET seq = 9"),
        (
            "CREATE TABLE changed_0 (v); CREATE TABLE replaced_0 (v); INSERT INTO changed_0 VALUES (1), (2)",
            "DELETE FROM changed_0 WHERE v = 1; INSERT INTO replaced_0 VALUES (7)",
        ),
        ("CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)", "UPDATE t SET v = NULL WHERE v = 1"),
        ("CREATE TABLE t (rowid); INSERT INTO t VALUES (NULL)", "INSERT INTO t VALUES (NULL)"),
        (
            "CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (-9223372036854775808), (2)",
            "UPDATE t SET v = -9223372036854775808.0 WHERE v < 2",
        ),
        (
            "CREATE TABLE t (k INT, v, PRIMARY KEY (k, v)) WITHOUT ROWID;"
            "INSERT INTO t VALUES (-9223372036854775808, 'a'), (2, 'b')",
            "UPDATE t SET k = -9223372036854775808.0 WHERE k < 2",
        ),
        ("CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (1), (0), (NULL)", "UPDATE t SET v = 0 WHERE v = 1"),
        ("CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (1), (0), (NULL)", "UPDATE t SET v = 0.5 WHERE v = 1"),
        ("CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (1), (0), (NULL)", "UPDATE t SET v = '' WHERE v = 0"),
        (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (5, 5)",
            "INSERT INTO t VALUES (3, 3), (9, 9); DELETE FROM t WHERE id = 1",
        ),
        (
            "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('b', 1), ('d', 1)",
            "INSERT INTO t VALUES ('a', 1), ('c', 1), ('e', 1); DELETE FROM t WHERE k = 'd'",
        ),
        (
            "CREATE TABLE t (a TEXT, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('b', 1)",
            "INSERT INTO t VALUES ('a', 2), ('c', 1); DELETE FROM t WHERE a = 'b'",
        ),
        ("CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)", "DELETE FROM t; INSERT INTO t VALUES (3), (4), (5)"),
        (
            "CREATE TABLE t (rowid, oid, _rowid_, k TEXT PRIMARY KEY); INSERT INTO t VALUES (1, 1, 1, 'a')",
            "INSERT INTO t VALUES (1, 1, 1, NULL)",
        ),
        (
            "CREATE TABLE t (rowid, oid, _rowid_, k TEXT PRIMARY KEY); INSERT INTO t VALUES (1, 1, 1, 'a')",
            "UPDATE t SET k = NULL",
        ),
    ],
)  # fmt: skip
def test_whatever_changes_in_a_row_is_sent(tmp_path, prepared, schema, change):
    deployment = Deployment(tmp_path, prepared)
    deployment.script(schema)
    deployment.set_up()
    deployment.back_up()
    deployment.script(change)
    assert deployment.back_up() != {}
    deployment.assert_round_trip()


@pytest.mark.parametrize(
    "change", ["INSERT INTO t VALUES ('A', 1)", "UPDATE t SET v = 9 WHERE k = 'b'", "DELETE FROM t WHERE k COLLATE BINARY = 'B'"]
)
def test_where_changed_rows_are_not_enough_every_row_is_sent(tmp_path, prepared, change):
    """A key that tells apart what its column's collation does not: rows that the mirror has already are sent too."""
    deployment = Deployment(tmp_path, prepared)
    deployment.script(
        "CREATE TABLE t (k TEXT COLLATE NOCASE, v, PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID;"
        "INSERT INTO t VALUES ('a', 1), ('b', 2), ('B', 3)"
    )
    deployment.set_up()
    deployment.back_up()
    deployment.script(change)
    assert deployment.back_up() != {}
    assert deployment.back_up(full=True) == {}
    assert compare.differences(deployment.path, deployment.restored()) == []


@pytest.mark.parametrize(("then", "now"), [("UTF-8", "UTF-16le"), ("UTF-16be", "UTF-8"), ("UTF-16le", "UTF-16be")])
def test_a_database_that_is_made_anew_in_another_encoding_is_backed_up(tmp_path, prepared, then, now):
    """As by `.dump` into another file; SQLite cannot attach the previous snapshot to it."""
    deployment, dump = Deployment(tmp_path, prepared), "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'é')"
    deployment.script(f"PRAGMA encoding = '{then}'; {dump}")
    deployment.set_up()
    deployment.back_up()
    deployment.path.unlink()
    deployment.script(f"PRAGMA encoding = '{now}'; {dump}, (2, 'ü')")
    assert deployment.back_up() != {}
    deployment.assert_round_trip()
    deployment.script("DELETE FROM t WHERE id = 1")
    assert deployment.back_up() != {}
    deployment.assert_round_trip()


@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_a_hostile_database_may_change(family, tmp_path, prepared, monkeypatch):
    monkeypatch.setattr(sending, "MUCH_BYTES", 1)  # as if every table were large
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    monkeypatch.setattr(read_lines, "ROWS_AT_ONCE", 2)
    deployment = Deployment(tmp_path, prepared)
    hostile.build(family, deployment.path)
    deployment.assert_changes_come_back()
