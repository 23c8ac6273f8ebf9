"""What was thought of edits, and was wrong: each of these has lost an edit, or put into the bot's file what nobody meant."""

import contextlib
import resource
import sqlite3
from concurrent import futures

import pytest

from lib.sqlite.editing import compare_and_set, editable
from lib.sqlite.editing.change import Change
from lib.sqlite.editing.references import MOST_LONELY, Lonely, References
from lib.tables.plan import PlannedColumn, TablePlan
from tests.stand_ins.editing import ACCEPTED, S, is_mirrored, notes, outcomes, reasons

THREE = "INSERT INTO v VALUES (1, 'a'), (2, 'b'), (3, 'c')"


def rows(bot, query):
    return bot.sqlite_rows(bot.data / "small.db", query)


def test_a_copy_elsewhere_takes_no_edit(editing, tmp_path):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    other = editing.clone(tmp_path / "other")
    other.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    before = other.premium.read_bytes()
    assert "another bot" in other.run("backup.py").expect(1).stderr
    assert other.premium.read_bytes() == before
    assert outcomes(editing) == []
    run = next(run["run"] for run in editing.backup()["runs"] if run["source"] == "premium_system")
    assert reasons(editing) == [("applied", "")]
    other.run("backup.py", "--undo-edits", str(run)).expect(1)
    assert other.premium.read_bytes() == before
    editing.run("backup.py", "--undo-edits", str(run)).expect(0)
    is_mirrored(editing)


def test_what_strangers_can_write_does_not_come(editing):
    before = editing.premium.read_bytes()
    editing.query(f"GRANT USAGE ON SCHEMA backup_premium_system TO anon; GRANT UPDATE, SELECT ON {S} TO anon")
    editing.query(f"ALTER TABLE {S} DISABLE ROW LEVEL SECURITY; UPDATE {S} SET expires_at = 666 WHERE id = 2")
    assert "anon" in editing.run("backup.py").expect(3).stderr
    assert editing.premium.read_bytes() == before
    assert outcomes(editing) == []


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0" + bytes(5000)])
def test_an_edit_waits_for_a_sound_file(editing, damage):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    before = editing.premium.read_bytes()
    editing.premium.write_bytes(damage)
    editing.run("backup.py").expect(3)
    assert editing.premium.read_bytes() == damage
    assert outcomes(editing) == []
    editing.premium.write_bytes(before)
    editing.run("backup.py").expect(0)
    assert reasons(editing) == [("applied", "")]
    is_mirrored(editing)


def test_a_table_whose_key_the_bot_has_changed_is_left_alone(small):
    bot = small(
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO v VALUES (1, 'a'), (2, 'b'), (3, 'c')", "v.t,v.delete"
    )
    bot.query("UPDATE backup_small.v SET t = 'edited' WHERE id = 1; DELETE FROM backup_small.v WHERE id = 2")
    bot.sqlite(
        bot.data / "small.db",
        "DROP TABLE v; CREATE TABLE v (id INTEGER, t TEXT, lang TEXT, PRIMARY KEY (id, lang));"
        "INSERT INTO v VALUES (1, 'a', 'de'), (1, 'a in english', 'en'), (2, 'b', 'de'), (2, 'b', 'en')",
    )
    before = rows(bot, "SELECT * FROM v ORDER BY id, lang")
    bot.run("backup.py")
    assert rows(bot, "SELECT * FROM v ORDER BY id, lang") == before
    assert {outcome for outcome, _ in reasons(bot)} <= {"refused"}


def test_a_column_that_is_gone_is_no_text(small):
    bot = small(
        "CREATE TABLE v (\"key\" TEXT PRIMARY KEY, t TEXT) WITHOUT ROWID; INSERT INTO v VALUES ('key', 'a'), ('b', 'b')", "v.t"
    )
    bot.query("UPDATE backup_small.v SET t = 'edited' WHERE key = 'key'")
    bot.sqlite(bot.data / "small.db", 'ALTER TABLE v RENAME COLUMN "key" TO name')
    bot.run("backup.py")
    assert rows(bot, "SELECT t FROM v ORDER BY t") == [("a",), ("b",)]


LONELY = {
    "a child without rowid": (
        "CREATE TABLE c (id TEXT PRIMARY KEY, p INTEGER REFERENCES p (id)) WITHOUT ROWID; INSERT INTO c VALUES ('old', 77)"
    ),
    "a foreign key that leads nowhere beside": (
        "CREATE TABLE q (x); CREATE TABLE c (id TEXT PRIMARY KEY, p INTEGER REFERENCES p (id), x REFERENCES q (x)) WITHOUT ROWID"
    ),
}


@pytest.mark.parametrize("how", LONELY)
def test_no_foreign_key_is_broken_unseen(how, small):
    bot = small(
        f"CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2), (3); {LONELY[how]}",
        "c.insert,p.delete",
    )
    bot.sqlite(bot.data / "small.db", "INSERT INTO c (id, p) VALUES ('child', 1)")
    bot.run("backup.py").expect(0)
    bot.query("INSERT INTO backup_small.c (id, p) VALUES ('new', 999); DELETE FROM backup_small.p WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT id FROM p") == [(1,), (2,), (3,)]
    assert rows(bot, "SELECT 1 FROM c WHERE id = 'new'") == []
    assert {outcome for outcome, _ in reasons(bot)} == {"refused"}


def test_a_trigger_breaks_no_foreign_key_elsewhere(small):
    bot = small(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE log (p INTEGER REFERENCES p (id));"
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1);"
        "CREATE TRIGGER logs AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (new.v); END",
        "t.v,t.triggers",
    )
    bot.query("UPDATE backup_small.t SET v = 999 WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert (rows(bot, "SELECT v FROM t"), rows(bot, "SELECT * FROM log")) == ([(1,)], [])
    assert reasons(bot) == [("refused", "it breaks a foreign key")]


def test_a_parent_and_its_child_come_beside_what_is_refused(small):
    bot = small(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id))",
        "c.insert,p.insert",
    )
    bot.query("BEGIN; INSERT INTO backup_small.c VALUES (10, 10), (11, 99); INSERT INTO backup_small.p VALUES (10); COMMIT")
    bot.run("backup.py").expect(0)
    assert (rows(bot, "SELECT * FROM c"), rows(bot, "SELECT * FROM p")) == ([(10, 10)], [(10,)])
    assert sorted(reasons(bot)) == [("applied", ""), ("applied", ""), ("refused", "it breaks a foreign key")]


# What is wrong with one edit must not keep the others from coming, nor any backup from being made.
STUBBORN = {
    "an overflow": ("v INTEGER CHECK (abs(v) >= 0)", "v = -9223372036854775808", ""),
    "a date of today": ("v TEXT CHECK (length(date(v)) > 0)", "v = 'now'", ""),
    "a wrong path": ("v TEXT CHECK (json_type('{}', v) IS NULL)", "v = 'no path'", ""),
    "a trigger that rolls back": (
        "v INTEGER",
        "v = 7",
        "CREATE TABLE other (x); CREATE TRIGGER inner BEFORE INSERT ON other BEGIN SELECT RAISE(ROLLBACK, 'no'); END;"
        "CREATE TRIGGER outer AFTER UPDATE ON t BEGIN INSERT INTO other VALUES (1); END;",
    ),
}


@pytest.mark.parametrize("what", STUBBORN)
def test_one_edit_stops_neither_others_nor_a_backup(what, small):
    declared, change, more = STUBBORN[what]
    bot = small(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {declared}); INSERT INTO t (id) VALUES (1);"
        f"CREATE TABLE bystander (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO bystander VALUES (1, 1); {more}",
        "t.v,t.triggers,bystander.v",
    )
    bot.query(f"UPDATE backup_small.t SET {change} WHERE id = 1; UPDATE backup_small.bystander SET v = 2 WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT v FROM t") == [(None,)]
    assert rows(bot, "SELECT v FROM bystander") == [(2,)]
    assert sorted(outcome for outcome, _ in reasons(bot)) == ["applied", "refused"]
    assert bot.changes() == {}


ALTERED = {
    "another type": "ALTER TABLE backup_small.v ALTER link TYPE integer USING NULL",
    "another name": "ALTER TABLE backup_small.v RENAME id TO id2",
    "a number with a point": "ALTER TABLE backup_small.v ALTER until TYPE numeric; UPDATE backup_small.v SET until = 5.75",
    "an object": "ALTER TABLE backup_small.v ALTER link TYPE jsonb USING '{\"a\": true}'",
    "a column less": "ALTER TABLE backup_small.v DROP COLUMN link",
}


@pytest.mark.parametrize("how", ALTERED)
def test_nothing_comes_from_a_mirror_that_was_altered(how, small):
    bot = small(
        "CREATE TABLE v (id INTEGER PRIMARY KEY, link TEXT, until INTEGER); INSERT INTO v VALUES (1, 'https://x', 1)",
        "v.until,v.link",
    )
    bot.query("UPDATE backup_small.v SET until = 5 WHERE id = 1")
    bot.query(ALTERED[how])
    said = bot.run("backup.py").expect(0).stderr
    assert "https://" not in said
    assert rows(bot, "SELECT * FROM v") == [(1, "https://x", 1)]
    assert {outcome for outcome, _ in reasons(bot)} <= {"refused"}
    is_mirrored(bot)


def test_a_key_is_not_changed_by_half(small):
    bot = small(
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO v VALUES (1, 'a'), (2, 'b'), (3, 'c')", "v.t,v.delete"
    )
    bot.query("DELETE FROM backup_small.v WHERE id = 2")
    bot.query("UPDATE backup_small.v SET id = 2 WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT * FROM v") == [(1, "a"), (2, "b"), (3, "c")]
    assert {outcome for outcome, _ in reasons(bot)} == {"refused"}


def test_a_nought_keeps_its_sign_or_does_not_come(small):
    bot = small("CREATE TABLE v (id INTEGER PRIMARY KEY, r REAL); INSERT INTO v VALUES (1, 0.0)", "v.r")
    bot.query("UPDATE backup_small.v SET r = '-0' WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert [outcome for outcome, _ in reasons(bot)] == ["refused"]
    bot.write_env(SQLITE_DATABASES=str(bot.data / "small.db"))
    bot.query("UPDATE backup_small.v SET r = '-0' WHERE id = 1")
    bot.run("backup.py").expect(0)
    bot.run("backup.py", "--verify").expect(0)


def test_a_row_that_was_added_with_computed_columns_is_taken_back(small):
    bot = small("CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT, u TEXT AS (upper(t)) STORED)", "v.insert")
    bot.query("INSERT INTO backup_small.v (id, t) VALUES (1, 'a')")
    run = bot.backup()["runs"][0]["run"]
    assert rows(bot, "SELECT * FROM v") == [(1, "a", "A")]
    bot.run("backup.py", "--undo-edits", str(run)).expect(0)
    assert rows(bot, "SELECT * FROM v") == []


def test_an_edit_made_while_nothing_was_accepted_does_not_come(editing):
    editing.write_env()
    editing.run("backup.py").expect(0)
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    editing.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    editing.run("backup.py").expect(0)
    assert [outcome for outcome, _ in reasons(editing)] == ["refused"]
    is_mirrored(editing)


def test_a_restore_without_the_target_makes_older_edits_old(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    editing.run("restore.py", "--local", "--yes").expect(0)
    editing.run("backup.py").expect(0)
    assert reasons(editing) == [("refused", "it is older than the last restore")]
    is_mirrored(editing)


def test_the_bot_waits_two_seconds_at_most_for_what_breaks_foreign_keys(tmp_path):
    path = tmp_path / "large.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        made.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id))")
        made.execute("INSERT INTO p VALUES (1)")
        made.executemany("INSERT INTO c VALUES (?, 1)", [(number,) for number in range(1000)])
        made.commit()
    columns = (PlannedColumn("id", "id", "bigint", True, True), PlannedColumn("p", "p", "bigint", False, False))
    table, checks = TablePlan("c", "c", columns), []
    changes = [Change(table, {"id": one, "p": 1}, {"id": one, "p": 99 if one == 50 else None}) for one in range(100)]
    seen = compare_and_set.References._lonely
    compare_and_set.References._lonely = lambda self, child: checks.append(child) or seen(self, child)
    try:
        found = compare_and_set.bring(path, changes)
    finally:
        compare_and_set.References._lonely = seen
    assert [outcome.outcome for outcome in found].count("refused") == 1
    assert found[50].outcome == "refused"
    assert len(checks) < 30


def counted(database, script):
    """Make a table p, and a table c that refers to it, and return the plans of both."""
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.executescript(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, n TEXT);"
            f"CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), u TEXT UNIQUE); {script}"
        )
    identity = PlannedColumn("id", "id", "bigint", True, True)
    number, name, unique = (PlannedColumn(one, one, "text", False, False) for one in ("p", "n", "u"))
    return TablePlan("p", "p", (identity, name)), TablePlan("c", "c", (identity, number, unique))


MANY = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) INSERT INTO"


def test_no_key_is_broken_when_there_is_no_time_left(tmp_path, monkeypatch):
    parent, child = counted(tmp_path / "v.db", "INSERT INTO p VALUES (1, 'a')")
    monkeypatch.setattr(compare_and_set, "SEARCH_SECONDS", 0)
    rows = [{"id": 1, "p": 999, "u": "x"}, {"id": 2, "p": 998, "u": "x"}]
    changes = [Change(child, None, row) for row in rows] + [Change(parent, {"id": 1, "n": "a"}, {"id": 1, "n": "edited"})]
    found = compare_and_set.bring(tmp_path / "v.db", changes)
    assert [outcome.outcome for outcome in found] == ["refused", "refused", "applied"]


def test_of_many_rows_that_lead_nowhere_few_are_read(tmp_path):
    """While they are, the bot waits: a parent of all, and rows that have had none before."""
    script = f"INSERT INTO p VALUES (1, 'a'), (2, 'b'); {MANY} c SELECT i, {{}}, i FROM n"
    parent, _ = counted(tmp_path / "one.db", script.format(1))
    deleted, renamed = Change(parent, {"id": 1, "n": "a"}, None), Change(parent, {"id": 2, "n": "b"}, {"id": 2, "n": "edited"})
    with read_of(Lonely) as read:
        found = compare_and_set.bring(tmp_path / "one.db", [deleted, renamed])
    assert [outcome.outcome for outcome in found] == ["refused", "applied"]
    assert 0 < len(read) <= 2 * (2 * MOST_LONELY + 1)
    counted(tmp_path / "other.db", script.format("i + 10"))
    with read_of(Lonely) as read:
        (outcome,) = compare_and_set.bring(tmp_path / "other.db", [renamed])
    assert (outcome.outcome, outcome.reason) == ("refused", "SQLite cannot check the foreign keys that it may break")
    assert 0 < len(read) <= 2 * MOST_LONELY + 1


@contextlib.contextmanager
def read_of(kind):
    read, new = [], kind.__new__
    kind.__new__ = lambda cls, *values: read.append(values) or new(cls, *values)
    try:
        yield read
    finally:
        kind.__new__ = new


def test_what_only_looks_alike_is_not_blamed(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "v.db")) as made:
        made.executescript("CREATE TABLE p (id PRIMARY KEY); INSERT INTO p VALUES (1), ('1'); CREATE TABLE c (p REFERENCES p)")
        made.executescript("INSERT INTO c VALUES (1)")
    parent = TablePlan("p", "p", (PlannedColumn("id", "id", "text", True, True),))
    found = compare_and_set.bring(tmp_path / "v.db", [Change(parent, {"id": one}, None) for one in (1, "1")])
    assert [outcome.outcome for outcome in found] == ["refused", "applied"]


@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM"])
def test_a_row_is_found_by_its_key_s_index(tmp_path, collation):
    plan = TablePlan("v", "v", tuple(PlannedColumn(name, name, "text", True, True) for name in ("b", "a")))
    with contextlib.closing(sqlite3.connect(tmp_path / "v.db")) as made:
        made.execute(f"CREATE TABLE v (a TEXT COLLATE {collation}, b TEXT COLLATE {collation}, PRIMARY KEY (a, b))")
        where = editable.of(made, plan, accepts_triggers=False).where
        (told,) = made.execute(f"EXPLAIN QUERY PLAN SELECT * FROM v WHERE {where}", ["y", "x"]).fetchall()
    assert told[-1].startswith("SEARCH")
    assert "(a=? AND b=?)" in told[-1]


def test_a_key_whose_collation_only_the_bot_knows_is_no_obstacle(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "v.db")) as made:
        made.create_collation("bots", lambda one, other: (one > other) - (one < other))
        made.executescript(
            "CREATE TABLE v (id TEXT COLLATE bots PRIMARY KEY, t TEXT); INSERT INTO v VALUES ('a', 'a'), ('b', 'b')"
        )
    plan = TablePlan("v", "v", (PlannedColumn("id", "id", "text", True, True), PlannedColumn("t", "t", "text", False, False)))
    found = compare_and_set.bring(tmp_path / "v.db", [Change(plan, {"id": "b", "t": "b"}, {"id": "b", "t": "edited"})])
    assert [outcome.outcome for outcome in found] == ["applied"]


def test_a_source_that_is_none_any_more_gives_the_editor_nothing(editing):
    said = editing.run("setup_supabase.py", "--editor-role").expect(0).stdout
    role, _ = said.split("they are not shown again:\n")[1].split("\n")[0].strip().split(":")
    editing.write_env(SQLITE_DATABASES=str(editing.requests))
    editing.run("setup_supabase.py").expect(0)
    assert editing.query(f"SELECT has_table_privilege('{role}', '{S}', 'SELECT')") == [(False,)]


def test_an_edit_that_is_committed_before_the_lock_is_had_is_seen(small):
    bot = small("CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); " + THREE, "v.t")
    asked = "SELECT CASE WHEN pg_sleep(1) IS NOT NULL THEN backup.take_pending('small') END"
    with futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(bot.query, asked)
        while bot.query("SELECT 1 FROM pg_stat_activity WHERE query = %s AND wait_event = 'PgSleep'", [asked]) == []:
            assert not answer.done()
        bot.query("UPDATE backup_small.v SET t = 'edited' WHERE id = 1")
        ((pending,),) = answer.result()
    assert [edit["key"] for edit in pending["found"]] == ['{"id": 1}']


def test_what_sqlite_says_of_a_row_is_no_damage_of_the_file(small):
    bot = small(
        "CREATE TABLE v (id INTEGER PRIMARY KEY, j TEXT CHECK (json_extract(j, '$.a') > 0)); INSERT INTO v (id) VALUES (1);"
        "CREATE TABLE w (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO w VALUES (1, 'a');"
        "CREATE TRIGGER full AFTER UPDATE ON w BEGIN INSERT INTO full_log VALUES (1); END",
        "v.j,w.t,w.triggers",
    )
    bot.query("UPDATE backup_small.v SET j = 'no json'; UPDATE backup_small.w SET t = 'b'")
    assert "restore" not in bot.run("backup.py").expect(0).stderr
    assert [outcome for outcome, _ in reasons(bot)] == ["refused", "refused"]
    assert bot.changes() == {}


def test_a_reader_in_the_way_costs_no_edit(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    with contextlib.closing(sqlite3.connect(editing.premium, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM premium_subscriptions").fetchone()
        assert "could not be brought in" in editing.run("backup.py").expect(3).stderr
    editing.run("backup.py").expect(0)
    assert reasons(editing) == [("applied", "")]
    assert notes(editing) == []
    is_mirrored(editing)


def test_what_people_have_of_their_own_on_a_mirror_stays(small):
    bot = small("CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); " + THREE, "v.t")
    bot.query("ALTER TABLE backup_small.v ADD COLUMN mine text")
    bot.run("backup.py").expect(0)
    bot.query("UPDATE backup_small.v SET mine = 'keep', t = 'edited' WHERE id = 1")
    bot.query("UPDATE backup_small.v SET mine = 'keep' WHERE id = 2")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT t FROM v ORDER BY id") == [("edited",), ("b",), ("c",)]
    assert bot.query("SELECT id, mine FROM backup_small.v WHERE mine IS NOT NULL ORDER BY id") == [(1, "keep"), (2, "keep")]


def test_what_refers_to_a_mirror_stays(small):
    bot = small("CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); " + THREE, "v.t")
    bot.query("CREATE TABLE public.notes (v bigint REFERENCES backup_small.v ON DELETE CASCADE, note text)")
    bot.query("INSERT INTO public.notes VALUES (1, 'precious'); UPDATE backup_small.v SET t = 'edited' WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT t FROM v WHERE id = 1") == [("edited",)]
    assert bot.query("SELECT note FROM public.notes") == [("precious",)]
    bot.query("DROP TABLE public.notes")


def test_one_row_that_is_mended_does_not_hide_one_that_is_broken(small):
    bot = small(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (id TEXT PRIMARY KEY, p INTEGER REFERENCES p (id)) WITHOUT ROWID; INSERT INTO c VALUES ('old', 77);"
        "CREATE TABLE d (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id)); INSERT INTO d VALUES (5, 78), (6, NULL)",
        "c.insert,p.insert,d.p,d.insert",
    )
    bot.query("INSERT INTO backup_small.p VALUES (77); INSERT INTO backup_small.c VALUES ('new', 999)")
    bot.query("UPDATE backup_small.d SET p = 999 WHERE id = 5; INSERT INTO backup_small.d VALUES (7, NULL)")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT * FROM c") == [("old", 77)]
    assert rows(bot, "SELECT * FROM d") == [(5, 78), (6, None), (7, None)]


def test_a_rehearsal_says_that_edits_are_judged_first(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    said = editing.run("backup.py", "--dry-run").expect(0).stderr
    assert "edits made in Supabase are judged first" in said
    assert "by hand" not in said


@pytest.mark.parametrize("name", ["before-restore-old", "before-restore-2999-01-01T00-00-00Z"])
def test_a_safety_copy_without_a_time_makes_nothing_old(editing, name):
    (editing.data / f"premium_system.db.{name}").write_bytes(b"")
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2")
    editing.run("backup.py").expect(0)
    assert reasons(editing) == [("applied", "")]


MANY_ROWS = """CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT);
    INSERT INTO v WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i, 't' || i FROM n;"""


def test_what_has_suddenly_lost_its_rows_is_not_written_to(small):
    bot = small(MANY_ROWS, "v.t,v.insert")
    bot.query("INSERT INTO backup_small.v VALUES (500, 'n'); UPDATE backup_small.v SET t = 'e' WHERE id IN (5, 50)")
    path = bot.data / "small.db"
    bot.sqlite(path, "DELETE FROM v WHERE id > 10")
    before = path.read_bytes()
    assert "has lost 96 % of its rows" in bot.run("backup.py").expect(1).stderr
    assert path.read_bytes() == before
    assert outcomes(bot) == []
    bot.run("backup.py", "--accept-shrink")
    assert {outcome for _, _, outcome, _ in outcomes(bot)} == {"applied", "conflict"}


@pytest.mark.parametrize("edit", ["UPDATE {v} SET t = 'e' WHERE id = 5", "INSERT INTO {v} VALUES (500, 'n')"])
def test_an_edit_is_no_reason_for_another_database_in_the_place(edit, small):
    bot = small(MANY_ROWS, "v.t,v.insert")
    bot.query(edit.format(v="backup_small.v"))
    path = bot.data / "small.db"
    bot.sqlite(path, "UPDATE v SET id = id + 1000")
    before = path.read_bytes()
    assert "are gone or replaced" in bot.run("backup.py").expect(1).stderr
    assert path.read_bytes() == before
    assert bot.query("SELECT count(*) FROM backup_small.v WHERE id <= 300") == [(300,)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_error_of_the_disk_is_no_edit_s_fault(tmp_path, mode):
    path = tmp_path / "v.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(f"PRAGMA journal_mode = {mode}; {MANY_ROWS.replace('300)', '20000)')}")
    plan = TablePlan("v", "v", (PlannedColumn("id", "id", "bigint", True, True), PlannedColumn("t", "t", "text", False, False)))
    rows = range(1, 20000, 500)
    changes = [Change(plan, {"id": row, "t": f"t{row}"}, {"id": row, "t": "y" * 5000}) for row in rows]
    allowed, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
    try:
        with pytest.raises(sqlite3.OperationalError, match="disk"):
            compare_and_set.bring(path, changes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, most))
    assert {outcome.outcome for outcome in compare_and_set.bring(path, changes)} == {"applied"}


MOVED = {
    "and refilled": "UPDATE {v} SET id = 9 WHERE id = 2; INSERT INTO {v} VALUES (2, 'new')",
    "in one go": "BEGIN; UPDATE {v} SET id = 9 WHERE id = 2; INSERT INTO {v} VALUES (2, 'new'); COMMIT",
    "and edited": "UPDATE {v} SET id = 9 WHERE id = 2; UPDATE {v} SET t = 'new' WHERE id = 9",
    "onto one that was there": "UPDATE {v} SET id = id - 1 WHERE id < 3",
    "on and on": "UPDATE {v} SET id = 9 WHERE id = 2; UPDATE {v} SET id = 10 WHERE id = 9; INSERT INTO {v} VALUES (2, 'new')",
}


@pytest.mark.parametrize("how", MOVED)
def test_a_key_that_was_changed_and_taken_again_is_refused(how, small):
    bot = small("CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); " + THREE, "v.t,v.insert,v.delete")
    bot.query(MOVED[how].format(v="backup_small.v"))
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT * FROM v") == [(1, "a"), (2, "b"), (3, "c")]
    assert {*reasons(bot)} == {("refused", "keys were changed in the same transaction")}
    is_mirrored(bot)


def test_keys_that_are_changed_with_much_text_are_refused_as_well(small):
    """Of one statement there are several undo records then."""
    large = ", ".join(f"({number}, hex(zeroblob(300000)) || {number})" for number in range(1, 6))
    bot = small(f"CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO v VALUES {large}", "v.t")
    before = rows(bot, "SELECT id, substr(t, -1) FROM v")
    bot.query("UPDATE backup_small.v SET id = id - 1 WHERE id <= 4")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT id, substr(t, -1) FROM v") == before
    assert [outcome for outcome, _ in reasons(bot)] == ["refused"] * 5


def test_a_key_that_was_changed_says_nothing_of_another_table(small):
    bot = small(f"CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT); {THREE}; CREATE TABLE w (id INTEGER PRIMARY KEY)", "w.insert")
    bot.query("BEGIN; UPDATE backup_small.v SET id = 9 WHERE id = 2; INSERT INTO backup_small.w VALUES (1); COMMIT")
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT * FROM w") == [(1,)]


# What a trigger does to other rows.
TRIGGERS = {
    "a table without rowid that has lonely rows": (
        "CREATE TABLE c (id TEXT PRIMARY KEY, p INTEGER REFERENCES p) WITHOUT ROWID; INSERT INTO c VALUES ('old', 77);",
        "INSERT INTO c VALUES ('new' || new.v, new.v)",
    ),
    "a row that was lonely": (
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p); INSERT INTO c VALUES (1, 77);",
        "UPDATE c SET p = new.v",
    ),
    "a table that SQLite cannot check": (
        "CREATE TABLE q (x); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, x REFERENCES q (x));",
        "INSERT INTO c (p) VALUES (new.v)",
    ),
}


@pytest.mark.parametrize("what", TRIGGERS)
def test_a_trigger_breaks_no_foreign_key_unseen(what, small):
    made, does = TRIGGERS[what]
    bot = small(
        f"CREATE TABLE p (id INTEGER PRIMARY KEY); {made} CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER);"
        f"INSERT INTO t VALUES (1, 1); CREATE TRIGGER acts AFTER UPDATE ON t BEGIN {does}; END",
        "t.v,t.triggers",
    )
    before = rows(bot, "SELECT * FROM c")
    bot.query("UPDATE backup_small.t SET v = 999 WHERE id = 1")
    bot.run("backup.py").expect(0)
    assert (rows(bot, "SELECT * FROM c"), rows(bot, "SELECT v FROM t")) == (before, [(1,)])
    assert [outcome for outcome, _ in reasons(bot)] == ["refused"]


# What is made, edited and accepted; what is in the bot's file afterwards, and how many edits were refused.
BESIDE = {
    "a circle beside what is broken": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t INTEGER REFERENCES v)",
        "INSERT INTO backup_small.v VALUES (1, 2), (2, 1), (3, 99), (4, 3)",
        [(1, 2), (2, 1)],
        2,
    ),
    "a parent that is needed beside one that is not": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t INTEGER REFERENCES v);"
        "INSERT INTO v VALUES (1, NULL), (2, NULL), (3, 2), (4, NULL), (5, 4)",
        "DELETE FROM backup_small.v WHERE id IN (1, 2, 4, 5)",
        [(2, None), (3, 2)],
        1,
    ),
    "another column of a child, beside its parent's deletion": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT, p INTEGER REFERENCES v);"
        "INSERT INTO v VALUES (1, 'a', NULL), (2, 'b', 1), (3, 'c', NULL)",
        "UPDATE backup_small.v SET t = 'edited' WHERE id = 2; DELETE FROM backup_small.v WHERE id = 1",
        [(1, "a", None), (2, "edited", 1), (3, "c", None)],
        1,
    ),
    "a new child, beside its parent's deletion": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t INTEGER REFERENCES v); INSERT INTO v VALUES (1, NULL), (2, NULL)",
        "INSERT INTO backup_small.v VALUES (3, 1); DELETE FROM backup_small.v WHERE id = 1",
        [(1, None), (2, None), (3, 1)],
        1,
    ),
    "what the bot has deleted itself, beside a new child of it": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t INTEGER REFERENCES v); INSERT INTO v VALUES (1, NULL), (2, NULL), (3, NULL)",
        "DELETE FROM backup_small.v WHERE id = 1; INSERT INTO backup_small.v VALUES (7, 1)",
        [(2, None), (3, None)],
        1,
        "DELETE FROM v WHERE id = 1",
    ),
    "what the bot has renamed itself, beside a new child of the old name": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT UNIQUE, of TEXT REFERENCES v (t));"
        "INSERT INTO v VALUES (1, 'a', NULL), (2, 'x', NULL), (3, 'y', NULL)",
        "UPDATE backup_small.v SET t = 'b', of = 'x' WHERE id = 1; INSERT INTO backup_small.v VALUES (7, 'c', 'a')",
        [(1, "b", "x"), (2, "x", None), (3, "y", None)],
        1,
        "UPDATE v SET t = 'b' WHERE id = 1",
    ),
    "half a key that is NULL, beside a lonely row": (
        "CREATE TABLE p (a INTEGER, b INTEGER, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 1);"
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t INTEGER, b INTEGER, FOREIGN KEY (t, b) REFERENCES p);"
        "INSERT INTO v VALUES (1, 7, 7), (2, 1, 1), (3, 1, 1)",
        "UPDATE backup_small.v SET t = NULL WHERE id = 2; UPDATE backup_small.v SET t = 2 WHERE id = 3",
        [(1, 7, 7), (2, None, 1), (3, 1, 1)],
        1,
    ),
    "a UNIQUE value that another row gives up": (
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT UNIQUE); INSERT INTO v VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",
        "UPDATE backup_small.v SET t = 'x' WHERE id = 1; UPDATE backup_small.v SET t = 'y' WHERE id = 2;"
        "UPDATE backup_small.v SET t = 'b' WHERE id = 1; UPDATE backup_small.v SET t = 'c2' WHERE id = 3;"
        "UPDATE backup_small.v SET t = 'c' WHERE id = 2",
        [(1, "b"), (2, "c"), (3, "c2"), (4, "d")],
        0,
    ),
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_breaks_a_rule_keeps_nothing_else_from_coming(what, small):
    made, edited, after, refused, *meanwhile = BESIDE[what]
    bot = small(made, f"v.t,v.insert,v.delete{',v.of' * (' of ' in made)}")
    bot.query(edited)
    bot.sqlite(bot.data / "small.db", ";".join(meanwhile))
    bot.run("backup.py").expect(0)
    assert rows(bot, "SELECT * FROM v ORDER BY id") == after
    assert [outcome for outcome, _ in reasons(bot)].count("refused") == refused
    is_mirrored(bot)


AFFINITIES = ("INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", "TEXT COLLATE NOCASE", "")
CELLS = (1, "1", "01", 1.0, "1.0", 2.5, "2.5", b"1", "a", "A", None, 2**62, float(2**62), "a ")


@pytest.mark.parametrize("parent", AFFINITIES)
def test_which_rows_lead_nowhere_is_what_sqlite_says(parent):
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE p (k {parent} UNIQUE)")
        database.executemany("INSERT OR IGNORE INTO p VALUES (?)", [(value,) for value in CELLS[::2]])
        for number, child in enumerate(AFFINITIES):
            database.execute(f"CREATE TABLE c{number} (id INTEGER PRIMARY KEY, f {child} REFERENCES p (k))")
            database.executemany(f"INSERT INTO c{number} (f) VALUES (?)", [(value,) for value in CELLS])
            told = database.execute(f"PRAGMA foreign_key_check (c{number})").fetchall()
            found = References(database, [], are_all_meant=True)._lonely(f"c{number}")
            assert told
            assert sorted(dict(row.key)["id"] for row in found) == sorted(rowid for _, rowid, *_ in told)
