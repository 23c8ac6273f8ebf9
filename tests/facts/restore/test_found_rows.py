"""Single rows: as they were at any run, and every version of them; nothing that is typed becomes SQL, and nothing is written."""

import contextlib
import csv
import random
import shutil
import sqlite3
import stat

import pytest

from lib.base.errors import SettingsError
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.restoring import found_rows
from lib.sqlite.files.names import quoted
from lib.tables import conditions
from lib.tables.values import as_text
from tests.cases import histories
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.living import living

PAYMENTS = "payment_history"


def find(bot, *flags):
    return bot.run("restore.py", "--find", *flags, "--json").expect(0).json


def history(bot, *flags):
    return bot.run("restore.py", "--history", *flags, "--json").expect(0).json["rows"]


@pytest.fixture
def changed_bot(saved_bot):
    """Run 1 is the first one of this database; the second one has changed, removed and added a payment."""
    saved_bot.sqlite(
        saved_bot.premium,
        f"""UPDATE {PAYMENTS} SET stars_amount = 'free' WHERE id = 2; DELETE FROM {PAYMENTS} WHERE id = 3;
        INSERT INTO {PAYMENTS} VALUES (9001, 7, 'a new one', 5, 'paid', 0)""",
    )
    saved_bot.runs = {run["source"]: run["run"] for run in saved_bot.run("backup.py", "--json").expect(0).json["runs"]}
    return saved_bot


def test_rows_are_found_as_they_are_and_as_they_were(changed_bot):
    now = {row["id"]: row["stars_amount"] for row in find(changed_bot, PAYMENTS, "--where", "id<5")["rows"]}
    then = {row["id"]: row["stars_amount"] for row in find(changed_bot, PAYMENTS, "--where", "id<5", "--at", "2")["rows"]}
    assert now.keys() == {1, 2, 4}
    assert now[2] == "free"
    assert then.keys() == {1, 2, 3, 4}
    assert isinstance(then[2], int)


def test_several_conditions_are_all_met_and_a_table_is_printed(changed_bot):
    flags = ("--find", PAYMENTS, "--where", "payment_id ~ NEW", "--where", "status=paid", "--where", "stars_amount>=5")
    said = changed_bot.run("restore.py", *flags).expect(0).stdout.splitlines()
    assert said[0].startswith(f"premium_system.{PAYMENTS} as run {changed_bot.runs['premium_system']} left it, ")
    assert said[0].endswith("UTC: 1 row")
    assert said[1].split()[:2] == ["id", "owner_id"]
    assert said[2].split()[0] == "9001"
    assert len(said) == 3
    assert "a new one" not in changed_bot.log


def test_a_row_s_story_is_told(changed_bot):
    changed_bot.query(f"UPDATE backup_premium_system.{PAYMENTS} SET stars_amount = 77 WHERE id = 4")
    run = changed_bot.runs["premium_system"]
    told = {row["key"]["id"]: row for row in history(changed_bot, PAYMENTS, "--where", "id<5")}
    assert told.keys() == {1, 2, 3, 4}
    assert told[1]["versions"] == []
    ((changed,), (gone,), (by_hand,)) = (told[number]["versions"] for number in (2, 3, 4))
    assert (changed["run"], changed["before"]["stars_amount"], changed["after"]["stars_amount"]) == (
        run,
        told[2]["first"]["stars_amount"],
        "free",
    )
    assert (gone["run"], gone["before"], gone["after"]) == (run, told[3]["first"], None)
    assert (by_hand["run"], by_hand["by"], by_hand["after"]["stars_amount"]) == (None, "postgres", 77)
    ((new,),) = (row["versions"] for row in history(changed_bot, PAYMENTS, "--where", "payment_id=a new one"))
    assert (new["before"], new["after"]["id"], new["run"]) == (None, 9001, run)
    said = changed_bot.run("restore.py", "--history", PAYMENTS, "--where", "id=2").expect(0).stdout
    assert f"run {run}: stars_amount {told[2]['first']['stars_amount']} → free\n" in said
    assert history(changed_bot, PAYMENTS, "--where", "id=1", "--since", "yesterday") == []
    assert [row["key"]["id"] for row in history(changed_bot, PAYMENTS, "--where", "id<3", "--since", "yesterday")] == [2]


def test_a_live_batch_is_told_from_a_run(changed_bot):
    with living(changed_bot) as live:
        changed_bot.sqlite(changed_bot.premium, f"UPDATE {PAYMENTS} SET stars_amount = 88 WHERE id = 1")
        live.until(lambda: len(history(changed_bot, PAYMENTS, "--where", "id=1")[0]["versions"]) == 1)
    ((version,),) = (row["versions"] for row in history(changed_bot, PAYMENTS, "--where", "id=1"))
    assert (version["is_live"], version["after"]["stars_amount"]) == (True, 88)
    said = changed_bot.run("restore.py", "--history", PAYMENTS, "--where", "id=1").expect(0).stdout
    assert f"  live batch {version['run']}: stars_amount" in said
    (changed, *_) = history(changed_bot, PAYMENTS, "--where", "id=2")
    assert [step["is_live"] for step in changed["versions"]] == [False]


def test_what_is_gone_since_is_found_where_it_was(changed_bot):
    before = changed_bot.sqlite_rows(changed_bot.premium, "SELECT id FROM refunds ORDER BY id")
    changed_bot.sqlite(changed_bot.premium, "DROP TABLE refunds")
    changed_bot.run("backup.py", "--accept-shrink").expect(0)
    refused = changed_bot.run("restore.py", "--find", "Refunds").expect(1).stderr
    assert f"or, of what is gone since:  --at {changed_bot.runs['premium_system']}\n" in refused
    rows = find(changed_bot, "refunds", "--at", str(changed_bot.runs["premium_system"]))["rows"]
    assert [(row["id"],) for row in rows] == before
    stories = history(changed_bot, "refunds", "--at", str(changed_bot.runs["premium_system"]))
    assert [(row["key"]["id"],) for row in stories] == before


def test_rows_are_written_as_csv_where_nothing_is(changed_bot):
    path = changed_bot.folder / "rows.csv"
    flags = ("restore.py", "--find", PAYMENTS, "--where", "id<3", "--csv", str(path))
    changed_bot.run(*flags).expect(0)
    with open(path, newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["id"], row["stars_amount"]) for row in rows][1] == ("2", "free")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert "is there already, and is not replaced" in changed_bot.run(*flags).expect(2).stderr
    assert path.read_bytes() == before


REFUSED = {
    "no such column": ("nothing=5", "is no condition on a column"),
    "no operator": ("id", "is no condition on a column"),
    "two operators": ("id==5", "has no operator that is known"),
    "another language's": ("id<>5", "has no operator that is known"),
    "less than NULL": ("id<NULL", "nothing is less, or more, than NULL"),
    "SQL": ("1=1; DROP TABLE runs", "is no condition on a column"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_condition_is_refused(case):
    typed, said = REFUSED[case]
    with pytest.raises(SettingsError, match=said):
        conditions.of(typed, ["id", "name"])


# What is typed, and which of these values it holds for.
VALUES = (None, 0, 5, -7, 5.0, 0.1, float("inf"), "5", "05", "", "Bob", "NULL", "x'00'", "=7", b"\x00", b"", "ä")
HOLDS = {
    "c=5": (5, 5.0, "5"),
    "c=05": (5, 5.0, "05"),
    "c='5'": ("5",),
    "c=NULL": (None,),
    "c='NULL'": ("NULL",),
    "c!=NULL": VALUES[1:],
    "c!=5": tuple(value for value in VALUES if value not in (5, "5")),
    "c=": ("",),
    "c=x'00'": ("x'00'", b"\x00"),
    "c=x''": (b"",),
    "c='=7'": ("=7",),
    "c<5": (0, -7, 0.1, "05", ""),
    "c>=5": (5, 5.0, float("inf"), "5", "Bob", "NULL", "x'00'", "=7", "ä"),
    "c~bO": ("Bob",),
    "c~0": (0, 5.0, 0.1, "05", "x'00'", b"\x00"),
    "c=1e1": (),
    " C = Bob ": ("Bob",),
}


@pytest.mark.parametrize("typed", HOLDS)
def test_stored_values_are_compared_as_they_are(typed):
    condition = conditions.of(typed, ["a", "c"])
    found = [value for value in VALUES if condition.holds(value)]
    assert [(type(value), value) for value in found] == [(type(value), value) for value in HOLDS[typed]]


def test_the_longest_column_that_fits_is_meant():
    condition = conditions.of("a=b=5", ["a", "a=b"])
    assert (condition.column, condition.number) == ("a=b", 5)
    assert conditions.of("a=b=5", ["a", "b"]).text == "b=5"


def told(deployment, table, typed, run=None):
    """Return each row's story as the values of one column: as it was first, and after each step."""
    with Target(deployment.settings.targets[0], "backup") as target, target.transaction("REPEATABLE READ READ ONLY"):
        state = saved_state.read_state(target, "source", run)
        plan = found_rows.table_of(state, table)
        stories = found_rows.stories(target, state, plan, found_rows.conditions_of(plan, [typed]), run and state.mark)
        return [[row and row.get("v") for row in (story.first, *(step.after for step in story.steps))] for story in stories]


LIVES = {
    "a row that did not fit its mirror once": (
        "CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER, v TEXT)",
        ["INSERT INTO t VALUES (1, 10, 'paid')", "UPDATE t SET n = 'free', v = 'void'", "UPDATE t SET n = 20, v = 'again'"],
        "v=void",
        ["paid", "void", "again"],
    ),
    "a mirror that got another key": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, n, v)",
        [
            "INSERT INTO t VALUES ('a', 'x', 1)",
            "UPDATE t SET v = 2",
            "DROP TABLE t; CREATE TABLE t (k TEXT, n TEXT, v, PRIMARY KEY (k, n)); INSERT INTO t VALUES ('a', 'x', 2)",
            "UPDATE t SET v = 3",
        ],
        "v=3",
        [1, 2, 3],
    ),
    "another type": (
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)",
        [
            "INSERT INTO t VALUES (1, '05')",
            "DROP TABLE t; CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5)",
        ],
        "v=5",
        ["05", 5],
    ),
}


@pytest.mark.parametrize("case", LIVES)
def test_all_of_a_row_s_lives_are_told_whichever_of_them_was_asked_for(tmp_path, database, case):
    table, changes, typed, versions = LIVES[case]
    deployment = Deployment(tmp_path / "source", database)
    deployment.script(table)
    deployment.set_up()
    for change in changes:
        deployment.script(change)
        deployment.back_up()
    (story,) = told(deployment, "t", typed)
    assert [version for version in story if version is not None] == versions


def test_a_story_at_a_run_has_the_columns_of_that_run(tmp_path, database):
    deployment = Deployment(tmp_path / "source", database)
    deployment.script("CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER, v TEXT); INSERT INTO t VALUES (1, 5, 'a'), (2, 6, 'b')")
    deployment.set_up()
    deployment.back_up()
    first = deployment.run
    deployment.script("CREATE TABLE u AS SELECT k, v FROM t; DROP TABLE t; CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)")
    deployment.script("INSERT INTO t SELECT * FROM u")
    deployment.back_up()
    assert told(deployment, "t", "n=5", first) == [["a"]]


@pytest.mark.parametrize(
    "done", ["DROP TABLE backup_premium_system.refunds CASCADE", "DELETE FROM backup_premium_system.refunds WHERE id = 1"]
)
def test_a_mirror_that_is_not_as_it_was_left_is_told(saved_bot, done):
    watched = "ALTER TABLE backup_premium_system.refunds {} TRIGGER USER;"
    saved_bot.query(f"{watched.format('DISABLE')} {done}" if "DELETE" in done else done)
    for flag in ("--find", "--history"):
        said = saved_bot.run("restore.py", flag, "refunds").expect(0).stderr
        assert "Warning: premium_system.refunds: its mirror " in said
        assert "rows may be missing here:  python3 backup.py --verify" in said


def test_a_name_that_is_no_text_is_in_no_database(saved_bot):
    assert "there are 0 databases with a table" in saved_bot.run("restore.py", "--find", "w\udcff").expect(1).stderr


def judged(path, table):
    """Return all rows of a table as SQLite has them, text as its bytes."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.text_factory = lambda raw: ("text", raw)
        names = ", ".join(quoted(column.name) for column in table.columns)
        return sorted(database.execute(f"SELECT {names} FROM {quoted(table.name)}").fetchall(), key=repr)


def as_judged(rows):
    def value(one):
        return ("text", one.encode("utf-8", "surrogateescape")) if isinstance(one, str) else one

    return sorted((tuple(map(value, row.values())) for row in rows), key=repr)


def met(rows, typed, table):
    return [row for row in rows if conditions.all_hold([conditions.of(typed, [c.name for c in table.columns])], row)]


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_random_history_every_row_is_found_at_every_run(tmp_path, database, seed):
    """Rows at every run are those of the file, however few are asked for, and each row's story leads there, too."""
    chance = random.Random(seed)
    deployment, runs = Deployment(tmp_path / "source", database), 26
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, n); CREATE TABLE u (k TEXT PRIMARY KEY, v)")
    deployment.set_up()
    for run in range(1, runs + 1):
        with contextlib.closing(sqlite3.connect(deployment.path, isolation_level=None)) as rows:
            histories.random_history(rows, chance, run)
        deployment.back_up()
        shutil.copy(deployment.path, tmp_path / f"run-{deployment.run}.db")
    compared = 0
    with Target(deployment.settings.targets[0], "backup") as target, target.transaction("REPEATABLE READ READ ONLY"):
        for run in range(deployment.run - runs + 1, deployment.run + 1):
            state = saved_state.read_state(target, deployment.path.stem, run)
            for table in (one for one in state.tables if not one.is_internal):
                there = found_rows.find(target, state, table, [])
                assert as_judged(there) == judged(tmp_path / f"run-{run}.db", table), (run, table.name)
                stories = found_rows.stories(target, state, table, [], state.mark)
                last = [story.steps[-1].after if story.steps else story.first for story in stories]
                assert as_judged(row for row in last if row) == as_judged(there), (run, table.name)
                for row in chance.sample(there, min(3, len(there))):
                    name = chance.choice([column.name for column in table.columns])
                    typed = f"{name}={as_text(row[name])}"
                    few = found_rows.find(target, state, table, found_rows.conditions_of(table, [typed]))
                    assert as_judged(few) == as_judged(met(there, typed, table)), (run, typed)
                    compared += len(few)
                    chosen = found_rows.conditions_of(table, [typed])
                    met_once = [story for story in stories if any(conditions.all_hold(chosen, one) for one in story.rows)]
                    assert found_rows.stories(target, state, table, chosen, state.mark) == met_once, (run, typed)
    assert compared > 100
