"""One table comes back: its rows as they were, the rest as it is; what does not fit is named, and nothing is touched."""

import contextlib
import shutil
import sqlite3

import pytest

from lib.base.errors import Problem
from lib.restoring import one_table, rebuild, steps
from lib.sqlite.building import replace_table
from lib.sqlite.files.read_schema import Unsayable
from lib.tables.conditions import of as conditions_of
from tests import compare
from tests.stand_ins.deployment import Deployment

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER);"
ROWS = "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'two', NULL);"
OTHER = "CREATE TABLE other (a, b); INSERT INTO other VALUES (1, 'kept'), (1, 'kept'), (NULL, x'00');"


def made(path, script):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(script)
    return path


@pytest.fixture
def put_back(tmp_path):
    """Put the table t of one script back into another's database; expect all else to be as it was."""

    def put(then, now, missing=None, **options):
        rebuilt, present = made(tmp_path / "then.db", then), made(tmp_path / "now.db", now)
        copy = shutil.copy(present, tmp_path / "copy.db")
        put.rows = lambda query="SELECT * FROM t": rows(copy, query)
        try:
            return replace_table.put_back(copy, rebuilt, "t", [] if missing is None else missing, **options)
        finally:
            differs = compare.differences(present, copy)
            rest = [found for found in differs if found[:11].lower() != "rows of b't" and "sqlite_sequence" not in found]
            assert rest == []

    return put


def rows(path, query):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


LOST = "t.number is not brought back, because the present table does not store it."
ALL = [(1, "one", 1), (2, "two", 2), (3, "two", None)]
TAKEN = {
    "the same table": (T, [], ALL),
    "a column that is gone": ("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT);", [LOST], [row[:2] for row in ALL]),
    "a column that is new": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER, more TEXT NOT NULL DEFAULT 'new');",
        ["t.more is new, and has its default."],
        [(*row, "new") for row in ALL],
    ),
    "another order and case": (
        "CREATE TABLE t (NUMBER INTEGER, Word TEXT, ID INTEGER PRIMARY KEY);", [], [row[::-1] for row in ALL],
    ),
    "a column that is computed now": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER AS (id * 2));",
        [LOST],
        [(id, word, id * 2) for id, word, _ in ALL],
    ),
    "WITHOUT ROWID": ("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER) WITHOUT ROWID;", [], ALL),
    "an index that all rows fit": (T + "CREATE UNIQUE INDEX u ON t (number);", [], ALL),
    "a foreign key": (
        "CREATE TABLE p (id PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER REFERENCES p);",
        ["2 rows of t refer to rows of p that are not there: number = 1; number = 2."],
        ALL,
    ),
    "a table that refers to it": (
        T + "INSERT INTO t VALUES (9, '', 9); CREATE TABLE c (t INTEGER REFERENCES t); INSERT INTO c VALUES (9);",
        ["1 row of c refers to rows of t that are not there: t = 9."],
        ALL,
    ),
    "one row is healed, another one comes to be lonely": (
        T + "INSERT INTO t VALUES (9, '', 9); CREATE TABLE c (t INTEGER REFERENCES t); INSERT INTO c VALUES (1), (9);",
        ["1 row of c refers to rows of t that are not there: t = 9."],
        ALL,
    ),
    "beside a foreign key that SQLite cannot follow": (
        T + "INSERT INTO t VALUES (9, '', 9); CREATE TABLE a (x); CREATE TABLE b (y REFERENCES a (x)); INSERT INTO b VALUES (1);"
        "CREATE TABLE c (t INTEGER REFERENCES t); INSERT INTO c VALUES (9);",
        ["1 row of c refers to rows of t that are not there: t = 9."],
        ALL,
    ),
    "a table called like what is asked": (T + "CREATE TABLE pragma_foreign_key_check (t REFERENCES t);", [], ALL),
    "its name in another case": ("CREATE TABLE T (id INTEGER PRIMARY KEY, word TEXT, number INTEGER);", [], ALL),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_what_fits_comes_back_and_what_is_missing_is_said(case, put_back):
    now, warnings, expected = TAKEN[case]
    brought = put_back(T + ROWS, now + OTHER)
    assert (brought.rows, brought.warnings) == (3, warnings)
    assert put_back.rows() == expected


REFUSED = {
    "a unique index": (T + "CREATE UNIQUE INDEX u ON t (word);", r"UNIQUE constraint failed: t\.word\): 1 do not fit, id 3\."),
    "a unique index without case": (T + "CREATE UNIQUE INDEX u ON t (word COLLATE NOCASE);", "1 do not fit, id 3"),
    "a unique expression": (T + "CREATE UNIQUE INDEX u ON t (length(word));", r"index 'u'\): 2 do not fit, id 2; id 3"),
    "a partial unique index": (T + "CREATE UNIQUE INDEX u ON t (word) WHERE id > 1;", "1 do not fit, id 3"),
    "another key": ("CREATE TABLE t (id INTEGER, word TEXT PRIMARY KEY, number INTEGER);", "1 do not fit, id 3"),
    "a new column without a default": ("CREATE TABLE t (id INTEGER PRIMARY KEY, word, number, more NOT NULL);",
        r"NOT NULL constraint failed: t\.more\): 3 do not fit, id 1; id 2; id 3\."),
    "a column that may not be NULL": ("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER NOT NULL);",
        "1 do not fit, id 3"),
    "a check": ("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER CHECK (number < 2));",
        r"CHECK constraint failed: number < 2\): 1 do not fit, id 2\."),
    "another type": ("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number TEXT);", "would hold other values than then"),
    "no table": ("CREATE TABLE u (a);", "there is no table t in the present database"),
    "no column": ("CREATE TABLE t (a, b);", "t has no column that it had then"),
}  # fmt: skip
if sqlite3.sqlite_version_info >= (3, 37):
    strict = "CREATE TABLE t (id INTEGER PRIMARY KEY, word INTEGER, number INTEGER) STRICT;"
    REFUSED["a strict type"] = (strict, r"cannot store TEXT value in INTEGER column t\.word")


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_named(case, put_back):
    now, expected = REFUSED[case]
    with pytest.raises(Problem, match=expected) as refused:
        put_back(T + ROWS, now + OTHER)
    assert refused.value.untouched == "The SQLite files were not touched."
    assert "python3 restore.py --to FOLDER" in refused.value.remedy


TRIGGERS = """CREATE TABLE log (what);
CREATE TRIGGER a AFTER INSERT ON T BEGIN INSERT INTO log VALUES ('inserted'); END;
CREATE TRIGGER "b""c" BEFORE DELETE ON "t" BEGIN SELECT RAISE(ABORT, 'no'); END;
CREATE TRIGGER d AFTER INSERT ON other BEGIN SELECT 1; END;
CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER e INSTEAD OF INSERT ON v BEGIN SELECT 1; END;"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_no_trigger_runs_and_all_of_them_stay(put_back, encoding):
    pragma = f"PRAGMA encoding = '{encoding}';"
    brought = put_back(
        pragma + T + ROWS, pragma + T + OTHER + TRIGGERS + "CREATE TRIGGER ü AFTER UPDATE ON t BEGIN SELECT 'ü'; END;"
    )
    assert brought.rows == 3
    assert put_back.rows("SELECT * FROM log") == []


def test_a_row_that_was_lonely_by_a_key_only_the_bot_can_compare_is_not_told_as_new(tmp_path):
    then, now = tmp_path / "then.db", tmp_path / "now.db"
    for path in (then, now):
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.create_collation("bots_own", lambda ours, theirs: (ours > theirs) - (ours < theirs))
            database.executescript(
                "CREATE TABLE t (k TEXT COLLATE bots_own PRIMARY KEY); INSERT INTO t VALUES ('a');"
                "CREATE TABLE c (k TEXT COLLATE bots_own REFERENCES t); INSERT INTO c VALUES ('a'), ('gone')"
            )
    assert replace_table.put_back(now, then, "t", []).warnings == []


BAD = """PRAGMA writable_schema = ON;
UPDATE sqlite_master SET sql = CAST(replace(sql, 'QQ', x'ff') AS TEXT), name = CAST(replace(name, 'QQ', x'ff') AS TEXT)
WHERE type = 'trigger';"""


def test_a_trigger_that_is_not_utf_8_stays_byte_for_byte(put_back):
    put_back(T + ROWS, T + OTHER + "CREATE TRIGGER aQQ AFTER INSERT ON t BEGIN SELECT 'QQ', RAISE(ABORT, 'no'); END;" + BAD)
    assert put_back.rows("SELECT hex(name) FROM sqlite_master WHERE type = 'trigger'") == [("61FF",)]


def test_a_column_whose_name_is_not_utf_8_is_said(put_back):
    bad = "CREATE TABLE t (id INTEGER PRIMARY KEY, wQQ);"
    spoil = (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = CAST(replace(sql, 'QQ', x'fe') AS TEXT) WHERE name = 't';"
    )
    value = "INSERT INTO t (id) VALUES (CAST(1 AS INTEGER));"
    with pytest.raises(Unsayable, match=r"a column of t has a name that is not UTF-8: w\\udcfe"):
        put_back(bad + value + spoil, T + OTHER)


def test_counters_only_grow(put_back):
    counted = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT);"
    put_back(counted + "INSERT INTO t VALUES (5, 'five');", counted + "INSERT INTO t VALUES (90, 'ninety');")
    assert put_back.rows("SELECT seq FROM sqlite_sequence") == [(90,)]
    put_back.rows()


@pytest.mark.parametrize("now", ["CREATE TABLE t (v, w TEXT COLLATE NOCASE);", "CREATE TABLE t (w TEXT COLLATE NOCASE, v);"])
def test_every_class_and_every_hidden_rowid_comes_back_exactly(put_back, tmp_path, now):
    values = "(5, 1, 'A'), (3, 1.0, 'a'), (9, '1', NULL), (1, x'31', ''), (2, -0.0, 'b'), (4, 0.0, 'B')"
    then = f"CREATE TABLE t (v, w TEXT COLLATE NOCASE); INSERT INTO t (rowid, v, w) VALUES {values};"
    assert put_back(then, now + OTHER).rows == 6
    query = "SELECT rowid, typeof(v), v, w FROM t ORDER BY rowid"
    assert repr(put_back.rows(query)) == repr(rows(tmp_path / "then.db", query))
    assert "-0.0" in repr(put_back.rows(query))


def test_a_column_that_is_called_rowid_is_not_the_hidden_one(put_back):
    brought = put_back("CREATE TABLE t (v); INSERT INTO t (rowid, v) VALUES (7, 'seven');", "CREATE TABLE t (rowid TEXT, v);")
    assert put_back.rows("SELECT rowid, _rowid_, v FROM t") == [(None, 7, "seven")]
    assert brought.warnings == ["t.rowid is new, and has its default."]


def test_what_only_the_bot_knows_is_noted(put_back, tmp_path):
    missing = []
    then = T + ROWS

    def knowing(database):
        database.create_collation("ours", lambda a, b: (a > b) - (a < b))

    with contextlib.closing(sqlite3.connect(tmp_path / "now.db")) as database:
        knowing(database)
        database.executescript(T + "CREATE INDEX i ON t (word COLLATE ours); INSERT INTO t VALUES (7, 'seven', 7)")
    assert put_back(then, "", missing).rows == 3
    assert set(missing) == {"ours"}


def test_a_changed_other_table_would_be_noticed(tmp_path):
    before, after = made(tmp_path / "a.db", T + OTHER), made(tmp_path / "b.db", T + ROWS + OTHER)
    replace_table.refuse_others_changed(before, after, "T")
    made(after, "UPDATE other SET b = 'lost' WHERE a IS NULL")
    with pytest.raises(Problem, match="putting back t would change other as well"):
        replace_table.refuse_others_changed(before, after, "t")
    made(after, "UPDATE other SET b = x'00' WHERE a IS NULL; CREATE INDEX i ON other (a)")
    with pytest.raises(Problem, match="would change the schema as well"):
        replace_table.refuse_others_changed(before, after, "t")


def test_it_says_what_it_did(saved_bot):
    ((count,),) = saved_bot.sqlite_rows(saved_bot.premium, "SELECT count(*) FROM refunds")
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds; ALTER TABLE refunds ADD COLUMN more TEXT DEFAULT 'new'")
    before = saved_bot.premium.read_bytes()
    ours = ("--table", "refunds", "--database", "premium_system")
    asked = saved_bot.run("restore.py", *ours, "--dry-run").expect(0)
    assert "Warning: refunds.more is new, and has its default." in asked.stderr
    assert saved_bot.premium.read_bytes() == before
    done = saved_bot.run("restore.py", *ours, "--yes").expect(0)
    assert f"{count} rows of refunds from run 1, every row compared; the other tables as they were\n" in done.stdout
    assert "Warning: refunds.more is new, and has its default." in done.stderr
    (restored,) = saved_bot.run("restore.py", *ours, "--yes", "--json").expect(0).json["restored"]
    told = {"source", "run", "rows", "table", "warnings", "path", "kept"}
    assert (set(restored), restored["rows"], restored["table"]) == (told, count, "refunds")
    assert restored["warnings"] == ["refunds.more is new, and has its default."]


def test_a_table_without_a_database_to_go_into_is_told_to_restore_all_of_it(saved_bot):
    """On a new machine, too, which knows of no backup: the run stands right above."""
    ours, whole = ("--table", "refunds", "--yes"), "restore all of it:  python3 restore.py --database premium_system\n"
    shutil.rmtree(saved_bot.folder / "snapshots")
    content = saved_bot.premium.read_bytes()
    for damaged in (content[:4096] + b"\xff" * 4096 + content[8192:], b"", None):
        saved_bot.premium.write_bytes(damaged) if damaged is not None else saved_bot.premium.unlink()
        said = saved_bot.run("restore.py", *ours).expect(1).stderr
        assert whole in said, said
        assert "correct SQLITE_DATABASES" not in said


def test_only_databases_that_have_the_table_count(saved_bot):
    """Run 1 is of the other database, whose table it is: that user_requests has no run 1 does not matter."""
    for table in ("refunds", "REFUNDS"):
        done = saved_bot.run("restore.py", "--table", table, "--at", "1", "--yes").expect(0)
        assert "rows of refunds from run 1" in done.stdout
        assert "user_requests" not in done.stdout + done.stderr
    said = saved_bot.run("restore.py", "--table", "user_requests", "--at", "1", "--yes").expect(1).stderr
    assert "user_requests cannot go back that far: its oldest restore point is run 2" in said
    said = saved_bot.run("restore.py", "--table", "refundz", "--yes").expect(1).stderr
    assert "there are 0 databases with a table refundz.\n" in said
    assert "Try: write it as in the database: refunds\n" in said


def test_what_does_not_fit_touches_nothing(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds; CREATE UNIQUE INDEX u ON refunds (status)")
    before = saved_bot.premium.read_bytes()
    done = saved_bot.run("restore.py", "--table", "refunds", "--database", "premium_system", "--yes").expect(1)
    assert (
        "Error: the present table refunds does not take its rows of then (UNIQUE constraint failed: refunds.status)"
        in done.stderr
    )
    assert saved_bot.premium.read_bytes() == before
    assert list(saved_bot.data.glob("*restor*")) == []


def test_what_the_bot_wrote_meanwhile_is_not_lost(tmp_path, database, monkeypatch):
    """An idle bot in rollback mode holds no lock; what it commits while the file is built must not be swapped away."""
    deployment = Deployment(tmp_path, database)
    deployment.script(T + ROWS + OTHER)
    deployment.set_up()
    deployment.back_up()
    built = rebuild.Rebuilt("source", 1, 7, deployment.path, deployment.restored(), [])
    patched = one_table.put_back(built, deployment.path, "t")
    deployment.script("INSERT INTO other VALUES (2, 'meanwhile')")
    with pytest.raises(Problem, match="is in use by another program"):
        steps.put_in_place(patched)
    assert rows(deployment.path, "SELECT b FROM other WHERE a = 2") == [("meanwhile",)]


def test_a_table_in_another_folder_leaves_the_present_database_alone(saved_bot):
    out = saved_bot.folder / "out"
    ours = ("--table", "refunds", "--database", "premium_system", "--yes", "--to", str(out))
    for _ in range(2):
        saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds; UPDATE payment_history SET status = 'now'")
        before = saved_bot.premium.read_bytes()
        saved_bot.run("restore.py", *ours).expect(0)
        assert saved_bot.premium.read_bytes() == before
        assert saved_bot.sqlite_rows(out / saved_bot.premium.name, "SELECT DISTINCT status FROM payment_history") == [("now",)]
        assert saved_bot.sqlite_rows(out / saved_bot.premium.name, "SELECT count(*) > 0 FROM refunds") == [(1,)]
        saved_bot.sqlite(saved_bot.premium, "UPDATE payment_history SET status = 'later'")


ONE_ROW = ("--table", "payment_history", "--where", "id=2", "--at", "2")
PAID = "SELECT id, stars_amount, status FROM payment_history ORDER BY id"


def test_some_rows_come_back_and_no_other_is_touched(saved_bot):
    then = saved_bot.sqlite_rows(saved_bot.premium, PAID)
    saved_bot.sqlite(
        saved_bot.premium,
        """UPDATE payment_history SET stars_amount = 1; DELETE FROM payment_history WHERE id IN (3, 4);
        INSERT INTO payment_history VALUES (9001, 7, 'new', 5, 'paid', 0)""",
    )
    now = saved_bot.sqlite_rows(saved_bot.premium, PAID)
    flags = ("--table", "Payment_History", "--where", "id<4", "--where", "id>1", "--at", "2")
    before = saved_bot.premium.read_bytes()
    shown = saved_bot.run("restore.py", *flags, "--dry-run").expect(0).stdout
    assert f"premium_system.payment_history id = 2: stars_amount 1 → {then[1][1]}\n" in shown
    assert "premium_system.payment_history id = 3: appeared, id = 3, " in shown
    assert saved_bot.premium.read_bytes() == before
    told = saved_bot.run("restore.py", *flags, "--yes", "--json").expect(0).json
    assert [(row["now"] and row["now"]["stars_amount"], row["then"]["id"]) for row in told["rows"]] == [(1, 2), (None, 3)]
    expected = {number: row for number, *row in now} | {number: row for number, *row in then if number in (2, 3)}
    assert saved_bot.sqlite_rows(saved_bot.premium, PAID) == sorted((number, *row) for number, row in expected.items())
    saved_bot.run("backup.py").expect(0)
    saved_bot.assert_restorable()


def test_rows_that_were_not_there_cannot_come_back(saved_bot):
    before = saved_bot.premium.read_bytes()
    flags = ("--table", "payment_history", "--at", "2", "--yes", "--where")
    for condition, said in (("id=77777", "run 1 has no such row"), ("nothing=1", "is no condition on a column")):
        assert said in saved_bot.run("restore.py", *flags, condition).stderr
    assert saved_bot.premium.read_bytes() == before


KEY = "CREATE TABLE t (k INTEGER PRIMARY KEY, n"
# The table, its rows then and now, which of them are to come back, and what there is then, or why they cannot.
PARTS = {
    "a key of text": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, n)",
        "'a', 1), ('b', 2",
        "'c', 3), ('a', 9",
        "k=a",
        [("a", 1), ("c", 3)],
    ),
    "two columns": (
        "CREATE TABLE t (k, j, n, PRIMARY KEY (k, j)) WITHOUT ROWID",
        "1, 'x', 1), (1, 'y', 2",
        "1, 'x', 8), (2, 'x', 9",
        "k=1",
        [(1, "x", 1), (1, "y", 2), (2, "x", 9)],
    ),
    "a key of another case": (
        "CREATE TABLE t (k TEXT PRIMARY KEY COLLATE NOCASE, n)",
        "'a', 1), ('b', 2",
        "'A', 9), ('b', 3",
        "k=a",
        [("a", 1), ("b", 3)],
    ),
    "no key": ("CREATE TABLE t (k, n)", "'a', 1", "'a', 9", "k=a", "has no key"),
    "a value that is taken": (f"{KEY} UNIQUE)", "1, 'taken'", "2, 'taken'", "k=1", "does not take its rows of then"),
    "a NULL in the key": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, n)",
        "NULL, 1), (NULL, 2",
        "NULL, 5), (NULL, 6",
        "n=1",
        "has NULL in a key, which may be there several times",
    ),
    "a value that would push out another row": (
        f"{KEY} UNIQUE ON CONFLICT REPLACE)",
        "1, 'taken'",
        "2, 'taken'",
        "k=1",
        "does not take its rows of then",
    ),
    "text that is none": (f"{KEY})", "1, CAST(x'61ff' AS TEXT)", "1, 0), (2, CAST(x'62ff' AS TEXT)", "k=1", 2),
    "a computed column": (f"{KEY}, j AS (n * 2) STORED)", "1, 5), (2, 6", "1, 7), (3, 8", "k=1", [(1, 5, 10), (3, 8, 16)]),
    "a virtual column": (
        f"{KEY}, j AS (n * 2)); CREATE INDEX i ON t (j)",
        "1, 5), (2, 6",
        "1, 7), (3, 8",
        "k=1",
        [(1, 5, 10), (3, 8, 16)],
    ),
}
# Since SQLite 3.37.
STRICT = {
    "a strict table": (
        "CREATE TABLE t (k INTEGER PRIMARY KEY, n ANY, j REAL) STRICT",
        "1, x'00ff', 0.5), (2, '5', 1",
        "1, 5, 2), (3, 8, 3",
        "k=1",
        [(1, b"\0\xff", 0.5), (3, 8, 3.0)],
    ),
    "a strict table by its key": (
        "CREATE TABLE t (k TEXT, n INT, PRIMARY KEY (k)) STRICT, WITHOUT ROWID",
        "'a', 1), ('b', 2",
        "'a', 7), ('c', 3",
        "n=1",
        [("a", 1), ("c", 3)],
    ),
}
PARTS |= STRICT if sqlite3.sqlite_version_info >= (3, 37) else {}


@pytest.mark.parametrize("case", PARTS)
def test_rows_of_every_kind_of_key_come_back_alone(tmp_path, database, case):
    table, then, now, where, expected = PARTS[case]
    columns = "(k, n)" if " AS (" in table else ""
    deployment = Deployment(tmp_path, database)
    deployment.script(
        f"{table}; INSERT INTO t {columns} VALUES ({then}); CREATE TRIGGER g AFTER DELETE ON t BEGIN DELETE FROM t; END"
    )
    deployment.set_up()
    deployment.back_up()
    restored = deployment.restored()
    deployment.script(f"DROP TRIGGER g; DELETE FROM t; INSERT INTO t {columns} VALUES ({now})")
    built = rebuild.Rebuilt("source", deployment.run, 2, deployment.path, restored, [])
    conditions = [conditions_of(where, ["k", "j", "n"])]
    if isinstance(expected, str):
        before = deployment.path.read_bytes()
        with pytest.raises(Problem, match=expected):
            one_table.put_back(built, deployment.path, "t", conditions)
        assert deployment.path.read_bytes() == before
        return
    one_table.put_back(built, deployment.path, "t", conditions)
    query = "SELECT * FROM t ORDER BY 1, 2" if isinstance(expected, list) else "SELECT CAST(n AS BLOB) FROM t ORDER BY k"
    assert rows(restored, query) == (expected if isinstance(expected, list) else [(b"a\xff",), (b"b\xff",)])


OTHERWISE = {
    "another key": "CREATE TABLE t (k INTEGER, n, PRIMARY KEY (k, n))",
    "no key": "CREATE TABLE t (k INTEGER, n)",
    "another collation": "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, n)",
    "another column": f"{KEY}, j DEFAULT 5)",
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_of_a_table_that_is_declared_otherwise_no_row_is_put_back_by_itself(tmp_path, put_back, case):
    then = f"{KEY}); INSERT INTO t VALUES (1, 'then'), (2, 'x')"
    with pytest.raises(Problem, match="is declared otherwise than then"):
        put_back(then, f"{OTHERWISE[case]}; INSERT INTO t (k, n) VALUES (1, 'a')", is_some=True)
    assert put_back.rows("SELECT CAST(k AS INTEGER), n FROM t") == [(1, "a")]


def test_a_row_that_stays_keeps_its_rowid_and_so_does_one_that_changes(put_back):
    table = "CREATE TABLE t (k TEXT PRIMARY KEY, n);"
    put_back(
        f"{table} INSERT INTO t VALUES ('a', 1), ('b', 2)",
        f"{table} INSERT INTO t VALUES ('z', 0), ('b', 2), ('a', 9)",
        is_some=True,
    )
    assert put_back.rows("SELECT rowid, k, n FROM t ORDER BY rowid") == [(1, "z", 0), (2, "b", 2), (3, "a", 1)]


def test_another_row_that_would_change_is_noticed(tmp_path):
    table = "CREATE TABLE t (k INTEGER PRIMARY KEY, n);"
    before = made(tmp_path / "before.db", f"{table} INSERT INTO t VALUES (1, 1), (2, 2)")
    after = made(tmp_path / "after.db", f"{table} INSERT INTO t VALUES (1, 7), (2, 3)")
    with pytest.raises(Problem, match="would change other rows of t as well"):
        replace_table.refuse_others_changed(before, after, "t", [({"k": 1, "n": 1}, {"k": 1, "n": 7})])
