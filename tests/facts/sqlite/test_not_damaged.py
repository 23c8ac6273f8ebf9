"""A sound file is never met with the advice to restore it; that is said of a damaged file with a backup alone."""

import contextlib
import errno
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from lib.base.errors import Problem, SourceError
from lib.restoring import local_state
from lib.sqlite.files import integrity, remedy
from lib.sqlite.snapshots import copying, live_file, snapshot
from tests import compare
from tests.cases import hostile
from tests.stand_ins.deployment import Deployment

RESTORE = "restore it with  python3 restore.py --database premium_system"
OLDER = f"this Python's SQLite {sqlite3.sqlite_version} is older than what made the file"
# What the SQLite of the future may write, and this one does not understand.
FUTURE = {
    "a view": ("view", "CREATE VIEW newer AS SELECT n FROM t BACKWARDS 7", 0),
    "a trigger": ("trigger", "CREATE TRIGGER newer AFTER INSERT ON t BEGIN UPDATE t SET n = 0z7; END", 0),
    "an index": ("index", "CREATE INDEX newer ON t (n ->>> 2)", 1),
    "a table": ("table", "CREATE TABLE newer (n DEFAULT 0z7) FUTURE", 1),
}


def entered(path: Path, kind: str, text: str, pages: int) -> None:
    """Write what this SQLite would refuse into a schema, with a page of its own where it needs one."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS t (n)")
        if pages:
            as_it_is = "CREATE INDEX newer ON t (n)" if kind == "index" else "CREATE TABLE newer (n)"
            database.execute(as_it_is)
        table = "t" if kind == "trigger" else "newer"
        database.execute("PRAGMA writable_schema = ON")
        if pages:
            database.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'newer'", [text])
        else:
            database.execute("INSERT INTO sqlite_master VALUES (?, 'newer', ?, 0, ?)", [kind, table, text])


@pytest.mark.parametrize("what", FUTURE)
def test_a_schema_that_is_newer_is_no_damage(saved_bot, what):
    entered(saved_bot.premium, *FUTURE[what])
    before = saved_bot.premium.read_bytes()
    for script, *flags in (("backup.py", "premium_system"), ("backup.py", "--verify"), ("setup_supabase.py", "--check")):
        done = saved_bot.run(script, *flags).expect(1)
        said = done.stderr + done.stdout
        assert f"premium_system.db: {OLDER}: it does not understand newer (" in said
        assert "the file is sound; run the scripts with a Python that has a newer SQLite" in said
        assert "restore it" not in said
    assert saved_bot.premium.read_bytes() == before


@pytest.mark.parametrize("what", FUTURE)
def test_a_backup_whose_schema_is_newer_is_refused_and_nothing_is_touched(saved_bot, what):
    """As a new server has it whose Python is older than the old one's."""
    kind, text, _ = FUTURE[what]
    query = "SELECT definition FROM backup.source_schemas WHERE source = 'premium_system'"
    found = json.loads(saved_bot.query(query)[0][0])
    table, text = "refunds" if kind == "trigger" else "newer", text.replace(" t ", " refunds ")
    found["objects"].append({"type": kind, "name": "newer", "table": table, "is_virtual": False, "sql": text})
    saved_bot.query("UPDATE backup.source_schemas SET definition = %s WHERE source = 'premium_system'", [json.dumps(found)])
    before = saved_bot.premium.read_bytes()
    for flags in (["--yes"], ["--drill"], ["--yes", "--to", str(saved_bot.folder / "out")]):
        said = saved_bot.run("restore.py", "--database", "premium_system", *flags).expect(1).stderr
        assert f"cannot be rebuilt: {OLDER}: it does not understand newer (" in said
        assert "Try: run the scripts with a Python that has a newer SQLite" in said
    assert saved_bot.premium.read_bytes() == before
    assert list(saved_bot.data.glob("*restor*")) == []


def test_a_newer_sqlite_that_checked_the_same_bytes_before_changes_nothing(saved_bot):
    """Where cron takes an older Python than the last run, nothing is checked anew, and the schema is still not damaged."""
    entered(saved_bot.premium, *FUTURE["a view"])
    kept = saved_bot.folder / "snapshots" / "premium_system.db"
    folder = saved_bot.folder / "look"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "copy.db")) as copy:
        live_file.copy(saved_bot.premium, folder / "copy.db")
        copy.close()
    shutil.copy(folder / "copy.db", kept)
    note = json.loads(kept.with_name("premium_system.db.json").read_text())
    note["hash"] = copying.previous.file_hash(kept)
    kept.with_name("premium_system.db.json").write_text(json.dumps(note))
    said = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert OLDER in said
    assert "restore it" not in said


@pytest.mark.campaign
@pytest.mark.parametrize(
    "made", ["CREATE TABLE nXX (a)", "CREATE TABLE n (a, bXX)", "CREATE TABLE nXX (bXX PRIMARY KEY) WITHOUT ROWID"]
)
def test_a_table_whose_name_is_no_text_is_refused_plainly(saved_bot, made):
    restored = saved_bot.folder / "out"
    saved_bot.sqlite(saved_bot.premium, made)
    hostile.spoil(saved_bot.premium)
    before = saved_bot.premium.read_bytes()
    for script, *flags in (
        ("backup.py", "premium_system"),
        ("backup.py", "--dry-run"),
        ("backup.py", "--verify"),
        ("setup_supabase.py",),
        ("restore.py", "--table", "refunds", "--yes"),
        ("restore.py", "--table", "refunds", "--at", "1", "--yes"),
    ):
        done = saved_bot.run(script, *flags).expect(1)
        said = done.stderr + done.stdout
        assert "premium_system.db: a " in said
        assert r" has a name that is not UTF-8: " in said
        assert r"\udcff\udcfe" in said
        assert "let the program that made it give it another one" in said
        assert "restore it" not in said
    seen = saved_bot.run("restore.py", "--dry-run").expect(0).stderr
    assert "the present file of premium_system cannot be compared" in seen
    assert r" has a name that is not UTF-8: " in seen
    assert saved_bot.premium.read_bytes() == before
    for flags in (["--drill"], ["--yes", "--to", str(restored)], ["--yes"]):
        saved_bot.run("restore.py", *flags).expect(0)
    assert compare.differences(saved_bot.premium, restored / "premium_system.db") == []


def test_a_name_that_is_no_text_can_be_asked_for(saved_bot):
    said = saved_bot.run("restore.py", "--table", "n\udcff", "--yes").expect(1).stderr
    assert r"n\udcff" in said


def test_a_damaged_index_whose_name_is_no_text_is_damage(tmp_path):
    path = tmp_path / "source.db"
    hostile.names_that_are_no_text(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = CAST(replace(CAST(sql AS BLOB), CAST('(a)' AS BLOB),"
            " CAST('(a COLLATE NOCASE DESC)' AS BLOB)) AS TEXT) WHERE sql LIKE 'CREATE INDEX i%'; "
        )
    with pytest.raises(SourceError, match="malformed"):
        doubts(path)


DAMAGED = {
    "an impossible root page": "UPDATE sqlite_master SET rootpage = 99999 WHERE name = 'refunds'",
    "no SQL at all": "UPDATE sqlite_master SET sql = 'nothing that SQL knows' WHERE name = 'refunds'",
    "two tables of one name": "UPDATE sqlite_master SET name = 'refunds', tbl_name = 'refunds', sql = "
    "replace(sql, 'payment_history', 'refunds') WHERE name = 'payment_history'",
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_schema_that_contradicts_itself_is_damage(saved_bot, what):
    saved_bot.sqlite(saved_bot.premium, f"PRAGMA writable_schema = ON; {DAMAGED[what]}")
    said = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert "malformed" in said
    assert f"Try: {RESTORE}" in said


def test_a_damaged_file_that_is_also_newer_is_damaged(saved_bot):
    entered(saved_bot.premium, *FUTURE["a view"])
    content = saved_bot.premium.read_bytes()
    saved_bot.premium.write_bytes(content[:8192] + bytes(4096) + content[12_288:])
    said = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert "malformed" in said
    assert f"Try: {RESTORE}" in said


def test_a_newer_file_format_is_no_damage(saved_bot):
    content = saved_bot.premium.read_bytes()
    saved_bot.premium.write_bytes(content[:18] + b"\x03\x03" + content[20:])
    said = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert f"premium_system.db: {OLDER}: it does not understand premium_system.db (its file format is newer)." in said
    assert "restore it" not in said


def test_an_encrypted_file_is_not_restored_over(saved_bot):
    saved_bot.premium.write_bytes(b"\x9c" + os.urandom(saved_bot.premium.stat().st_size - 1))
    said = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert "premium_system.db: file is not a database." in said
    assert "Hybrid backup reads no encrypted databases" in said
    assert "restore it" not in said


@pytest.mark.parametrize("content", [b"", b"These are my notes. " * 500, b"SQLite format 3\0" + bytes(5000), None])
def test_where_no_backup_is_known_nobody_is_sent_to_it(bot, content):
    if content is None:
        bot.premium.unlink()
    else:
        bot.premium.write_bytes(content)
    said = bot.run("setup_supabase.py").expect(1 if content is not None else 3).stdout  # the other one is set up
    assert "premium_system" in said
    assert "restore it" not in said
    assert "restore.py --database" not in said


# What can go wrong around a sound file, as SQLite and the system say it.
SURROUNDINGS = (
    sqlite3.OperationalError("disk I/O error"),
    sqlite3.OperationalError("unable to open database file"),
    sqlite3.OperationalError("attempt to write a readonly database"),
    sqlite3.OperationalError("database or disk is full"),
    sqlite3.OperationalError("database is locked"),
    sqlite3.OperationalError("locking protocol"),
    sqlite3.OperationalError("unknown tokenizer: x"),
    sqlite3.OperationalError("no such module: x"),
    sqlite3.DatabaseError("out of memory"),
    sqlite3.DatabaseError("authorization denied"),
    sqlite3.OperationalError("something that nobody has thought of"),
    *(
        OSError(number, os.strerror(number))
        for number in (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EACCES, errno.ENOMEM)
    ),
)


@pytest.mark.parametrize("error", SURROUNDINGS, ids=str)
def test_what_is_wrong_around_a_file_is_no_damage(error, saved_bot):
    with pytest.raises(SourceError) as caught, copying.explained(saved_bot.premium, {"run": 4}):
        raise error
    assert caught.value.remedy
    assert "restore" not in caught.value.remedy


@pytest.mark.parametrize("error", SURROUNDINGS, ids=str)
def test_what_is_wrong_around_a_snapshot_is_no_damage_of_it(error, saved_bot, monkeypatch):
    path = next((saved_bot.folder / "snapshots").glob("**/premium_system.db"))
    state = local_state.newest({1: path}, "premium_system", [])

    def fail(_):
        raise error

    monkeypatch.setattr(integrity, "of_file", fail)
    with pytest.raises(Problem) as caught, local_state.all_copied({"": state}, {"": saved_bot.folder / "new.db"}):
        pass
    assert "damaged" not in caught.value.what
    assert "--database" not in caught.value.remedy


def test_too_many_open_files_are_told_from_a_file_that_may_not_be_read(saved_bot):
    error = sqlite3.OperationalError("unable to open database file")
    assert "ulimit -n" in remedy.source_error(saved_bot.premium, error, True).remedy
    gone = saved_bot.folder / "gone.db"
    assert remedy.source_error(gone, error, True).remedy == f"let this user read it:  ls -l {gone}"


def doubts(path: Path) -> list[str]:
    with snapshot.being_checked(copying.copy(path, path.parent / "look", "full")) as found:
        return found.copy.finish_check()


def test_an_index_of_the_bots_own_function_is_a_warning(tmp_path, database):
    deployment = Deployment(tmp_path, database)
    hostile.build("the bot's functions of SQLite's names", deployment.path)
    told = sorted(doubts(deployment.path))  # new releases do not find that the partial index p has an entry too many
    assert (
        {"source.db: the index l"}
        <= {text.split(" is not as ")[0] for text in told}
        <= {f"source.db: the index {i}" for i in "lp"}
    )
    assert "let it run  REINDEX" in told[0]


def test_what_may_be_wrong_is_said_when_it_is_new(tmp_path, database):
    """A warning in each run would teach people to ignore warnings."""
    deployment = Deployment(tmp_path, database)
    hostile.build("the bot's functions of SQLite's names", deployment.path)
    deployment.set_up()

    def said():
        deployment.back_up()
        return [text for text in deployment.warnings if "is not as SQLite's own functions would make it" in text]

    assert said()
    assert said() == []
    deployment.script("CREATE TABLE more (id INTEGER PRIMARY KEY)")
    assert said() == []
    deployment.script("CREATE TABLE w (v); CREATE INDEX later ON w (lower(v)); INSERT INTO w VALUES ('A')")
    with contextlib.closing(sqlite3.connect(deployment.path, isolation_level=None)) as database:
        database.create_function("lower", 1, lambda text: text, deterministic=True)
        database.execute("INSERT INTO w VALUES ('B')")
    (new,) = said()
    assert "the index later" in new
    deployment.kept.unlink()
    assert len(said()) > 1


def test_a_damaged_index_that_no_function_computes_is_damage(tmp_path):
    path = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(
            "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2), (3, 4); CREATE INDEX i ON t (a + 1);"
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE INDEX i ON t (a + 2)' WHERE name = 'i'"
        )
    with pytest.raises(SourceError, match=r"malformed .*missing from index i"):
        doubts(path)


STANDS_IN = {
    "a collation": "CREATE TABLE s (k TEXT COLLATE the_bots PRIMARY KEY); INSERT INTO s VALUES ('b'), ('A')",
    "a function": "CREATE TABLE s (v); CREATE INDEX f ON s (the_bots(v)); INSERT INTO s VALUES ('b'), ('A')",
}


@pytest.mark.parametrize("what", STANDS_IN)
@pytest.mark.parametrize("is_damaged", [True, False])
def test_beside_what_only_the_bot_knows_the_indexes_of_the_other_tables_are_checked(tmp_path, what, is_damaged):
    path = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_collation("the_bots", lambda left, right: (left.lower() > right.lower()) - (left.lower() < right.lower()))
        database.create_function("the_bots", 1, lambda text: text.lower(), deterministic=True)
        database.executescript(f"{STANDS_IN[what]}; CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1), (2);")
        if is_damaged:
            database.executescript(
                "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE INDEX i ON t (-a)' WHERE name = 'i'"
            )
    if is_damaged:
        with pytest.raises(SourceError, match=r"malformed \(integrity_check: .*missing from index i"):
            doubts(path)
    else:
        assert doubts(path) == []


@pytest.mark.campaign
@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 44), reason="this SQLite's check asks no virtual tables")
def test_a_search_index_that_disagrees_is_a_warning(saved_bot):
    saved_bot.sqlite(
        saved_bot.premium,
        "CREATE VIRTUAL TABLE words USING fts5(a); INSERT INTO words VALUES ('one'), ('two');"
        "DELETE FROM words_content WHERE id = 1",
    )
    told = saved_bot.backup()["warnings"]
    said = "premium_system.db: the virtual table words does not agree with its rows, which are backed up as they are ("
    assert [text for text in told if text.startswith(said)]
    saved_bot.sqlite(saved_bot.premium, "CREATE TABLE more (a)")
    assert [text for text in saved_bot.backup()["warnings"] if text.startswith(said)] == []
    saved_bot.assert_restorable()


def test_a_check_writes_nothing(tmp_path):
    """It takes virtual tables out of the schema meanwhile."""
    path = tmp_path / "source.db"
    hostile.build("search indexes that are not as their rows", path)
    before, files = path.read_bytes(), sorted(tmp_path.iterdir())
    copying.Checking(path, "full").finish()
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == files


def test_one_table_with_a_computed_column_comes_back(tmp_path, database):
    deployment = Deployment(tmp_path, database)
    hostile.build("stored columns that the bot's function computed", deployment.path)
    deployment.set_up()
    deployment.back_up()
    present = shutil.copy(deployment.path, tmp_path / "present.db")
    with contextlib.closing(sqlite3.connect(present)) as file, file:
        file.execute("DELETE FROM t WHERE id > 3")
    from lib.sqlite.building import replace_table

    replace_table.put_back(Path(present), deployment.restored(), "t", [])
    assert compare.differences(deployment.path, Path(present)) == []


@pytest.mark.parametrize("has_snapshot", [True, False], ids=["with the snapshot", "by digest"])
def test_a_stored_value_that_comes_back_changed_is_found(has_snapshot, tmp_path, database, monkeypatch):
    from lib.restoring import rebuild

    deployment = Deployment(tmp_path, database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, a, s AS (a || 'x') STORED); INSERT INTO t (a) VALUES ('p'), ('q')")
    deployment.set_up()
    deployment.back_up()
    build = rebuild._build

    def damaged(*arguments):
        missing = build(*arguments)
        with contextlib.closing(sqlite3.connect(arguments[2], isolation_level=None)) as file:
            as_any = "replace(sql, 'AS (a || ''x'') STORED', '') WHERE name = 't'"
            file.executescript(f"PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = {as_any}")
        with contextlib.closing(sqlite3.connect(arguments[2], isolation_level=None)) as file:
            file.executescript("UPDATE t SET s = NULL WHERE id = 1")
        return missing

    monkeypatch.setattr(rebuild, "_build", damaged)
    with pytest.raises(Problem, match="the rebuilt table differs from what run 1 saved"):
        deployment.restored(kept=deployment.kept if has_snapshot else None)
