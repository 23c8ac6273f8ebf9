"""Names and values are data, from the bot and from the cloud: nothing of them runs, leaves its folder or reaches the terminal."""

import contextlib
import json
import os
import sqlite3
import subprocess

import pytest

from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from tests import compare
from tests.stand_ins.bot import environment
from tests.stand_ins.deployment import Deployment

NAMES = (
    "../../outside",
    "/etc/cron.d/outside",
    "\x1b]0;owned\x07\x1b[2J",
    "x\nLast Sync: 2099-01-01 00:00:00",
    "x\nError: forged.\nTry: rm -rf ~",
    "\r✅ Backed up",
    "\u202egnp.exe",
    "\x9b31m",
    "'; DROP SCHEMA backup CASCADE; --",
    '"; DROP SCHEMA backup CASCADE; --',
    "{schema} {0} {}",
    "%s %(source)s %%",
    "$$; SELECT 1; $$",
    "$(touch outside) `touch outside`",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "\\.",
    "🎁 ~ \\ / : * ? | & ;",
)
OBEYED = ("\x1b", "\x07", "\r", "\x9b", "\u202e")


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything_said(bot, *scripts):
    """Run scripts, and return all that they print and log."""
    said = [bot.run(*script) for script in scripts]
    return "".join(done.stdout + done.stderr for done in said) + (bot.folder / "supabase_backup.log").read_text()


@pytest.mark.campaign
def test_names_and_values_of_the_source_are_data(saved_bot):
    with contextlib.closing(sqlite3.connect(saved_bot.premium)) as database, database:
        for name in NAMES:
            quoted = '"' + name.replace('"', '""') + '"'
            database.execute(f"CREATE TABLE {quoted} (id INTEGER PRIMARY KEY, {quoted} TEXT)")
            database.executemany(f"INSERT INTO {quoted} ({quoted}) VALUES (?)", [(value,) for value in NAMES])
    said = everything_said(
        saved_bot,
        ("backup.py", "--dry-run"),
        ("backup.py", "--verbose"),
        ("backup.py", "--json", "--full"),
        ("backup.py", "--verify"),
        ("restore.py", "--dry-run", "--verbose"),
        ("restore.py", "--drill"),
        ("setup_supabase.py", "--check"),
    )
    said_ddl = saved_bot.run("setup_supabase.py", "--ddl", str(saved_bot.premium)).expect(0).stdout
    assert [sign for sign in OBEYED if sign in said + said_ddl] == []
    assert [line for line in said.splitlines() if line.startswith(("Last Sync: 2099", "Error: forged", "Try: rm"))] == []
    assert "\\x1b]0;owned\\x07\\x1b[2J" in said
    saved_bot.assert_restorable()
    with contextlib.closing(sqlite3.connect(saved_bot.premium)) as database, database:
        database.execute('DROP TABLE "x\nError: forged.\nTry: rm -rf ~"')
    lost = saved_bot.run("backup.py").expect(3).stderr
    assert "has lost the table x\\nError: forged.\\nTry: rm -rf ~ (18 rows)" in lost


SOURCE_NAMES = (
    "..",
    "...",
    "-rf",
    "$(touch outside)",
    "{schema}",
    "%s%(source)s",
    "'; DROP TABLE x; --",
    "a\nb",
    "\x1b[31mred",
    "=1+1",
    "con",
)


@pytest.mark.campaign
def test_a_sources_name_stays_in_its_folder(bot, tmp_path):
    """The name goes into a schema's name, a snapshot's, a safety copy's and the path of a sql/tables/ file."""
    for path in bot.databases:
        path.unlink()
    paths = [bot.data / f"{name}.db" for name in SOURCE_NAMES]
    for path in paths:
        bot.sqlite(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('a'), ('b')")
    escaped = ",".join(f"sqlite_data/{name}.db" for name in SOURCE_NAMES).replace("'", "\\'")
    bot.write_env(SQLITE_DATABASES=escaped)
    outside = set(tree(tmp_path)) - set(tree(bot.folder))
    bot.run("setup_supabase.py").expect(0)
    said = everything_said(
        bot, ("backup.py", "--verbose"), ("restore.py", "--list"), ("restore.py", "--yes"), ("backup.py", "--status")
    )
    assert "\x1b" not in said
    bot.run("restore.py", "--undo", "--yes").expect(0)
    bot.run("test_backup.py").expect(0)
    bot.assert_restorable()
    made = {path.parts[0] for path in tree(bot.folder)}
    assert made <= {".env", "sqlite_data", "snapshots", "supabase_backup.log", "restored"}
    assert set(tree(tmp_path)) - {path for path in tree(tmp_path) if path.parts[0] == "bot"} == outside - {
        path for path in outside if path.parts[0] == "bot"
    }
    assert len(bot.query("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'backup%'")) == 1 + len(SOURCE_NAMES)


def test_what_the_cloud_says_of_itself_is_shown_not_obeyed(saved_bot):
    evil = "\x1b]0;owned\x07\x1b[2J\nLast Sync: 2099-01-01 00:00:00"
    saved_bot.query(
        "INSERT INTO backup.runs (source, outcome, error, machine, version) VALUES ('premium_system', 'failed', %s, %s, '')",
        [evil, evil],
    )
    saved_bot.query("UPDATE backup.runs SET machine = %s", [evil])
    saved_bot.query(
        "CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION E'\\x1b[2J\\nLast Sync: 2099'; END $$"
    )
    saved_bot.query("CREATE TRIGGER evil BEFORE UPDATE ON backup.sources FOR EACH ROW EXECUTE FUNCTION public.evil()")
    said = everything_said(
        saved_bot, ("backup.py", "--status"), ("backup.py", "--status", "--json"), ("backup.py",), ("restore.py", "--list")
    )
    assert "\\x1b[2J" in said
    assert [sign for sign in OBEYED if sign in said] == []
    log = (saved_bot.folder / "supabase_backup.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("Last Sync")] == []


# What somebody who can write to the bookkeeping may put in place of a table's or an index's SQL.
STATEMENTS = (
    "ATTACH DATABASE '{folder}/outside.db' AS outside",
    "ATTACH DATABASE ':memory:' AS outside",
    "DETACH DATABASE main",
    "VACUUM INTO '{folder}/outside.db'",
    "VACUUM",
    "CREATE TABLE refunds AS SELECT load_extension('{folder}/evil.so')",
    "CREATE TABLE refunds AS SELECT * FROM pragma_database_list",
    "CREATE TABLE refunds AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "SELECT load_extension('{folder}/evil.so')",
    "SELECT fts3_tokenizer('x', x'00')",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA trusted_schema = ON",
    "PRAGMA temp_store_directory = '{folder}'",
    "CREATE TEMP TABLE refunds (id)",
    "CREATE TABLE temp.refunds (id)",
    "CREATE TRIGGER refunds AFTER INSERT ON payment_history BEGIN DELETE FROM payment_history; END",
    "CREATE TEMP TRIGGER evil AFTER INSERT ON main.payment_history BEGIN SELECT 1; END",
    "CREATE VIEW refunds AS SELECT 1",
    "CREATE VIRTUAL TABLE refunds USING fts5(a)",
    "CREATE VIRTUAL TABLE refunds USING fts3tokenize(simple)",
    "CREATE TABLE refunds (id); ATTACH DATABASE '{folder}/outside.db' AS outside",
    "INSERT INTO payment_history SELECT * FROM payment_history",
    "UPDATE sqlite_master SET sql = 'CREATE TABLE evil (a)'",
    "DELETE FROM payment_history",
    "DROP TABLE payment_history",
    "ALTER TABLE payment_history RENAME TO evil",
    "ANALYZE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT evil",
    "REPLACE INTO sqlite_master VALUES ('table', 'evil', 'evil', 2, 'CREATE TABLE evil (a)')",
)


@pytest.fixture
def deployment(tmp_path, database):
    """A small source that has been backed up: a table, an index, counters, and a row that its mirror cannot hold."""
    found = Deployment(tmp_path / "deployment", database)
    found.script(
        "CREATE TABLE paid (id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT, n INTEGER); CREATE INDEX by_status ON paid (status);"
        "INSERT INTO paid (status, n) VALUES ('a', 1), ('b', 2), ('c', 'odd'); CREATE TABLE other (id INTEGER PRIMARY KEY);"
        "INSERT INTO other VALUES (1), (2)"
    )
    found.set_up()
    found.back_up()
    return found


def definition(deployment):
    with Target(deployment.settings.targets[0], "backup") as target:
        return json.loads(target.row("SELECT definition FROM backup.source_schemas ORDER BY source_schema DESC LIMIT 1")[0])


def tamper(deployment, text):
    with Target(deployment.settings.targets[0], "backup") as target:
        target.rows("UPDATE backup.source_schemas SET definition = %s", [text])


def refused(deployment, what):
    """Expect a restore that refuses with a remedy and leaves no file anywhere near."""
    with pytest.raises(Problem) as caught:
        deployment.restored()
    assert caught.value.remedy, what
    made = {path.name for path in deployment.folder.parent.rglob("*") if path.is_file()}
    assert made <= {"source.db", "log", "source.db.json"}, what


@pytest.mark.parametrize("place", ["paid", "by_status", "sqlite_sequence"])
def test_a_stored_statement_that_makes_no_table_is_refused(deployment, place):
    whole = definition(deployment)
    for statement in STATEMENTS:
        found = json.loads(json.dumps(whole))
        (changed,) = [entry for entry in found["objects"] if entry["name"] == place]
        changed["sql"] = statement.format(folder=deployment.folder.parent)
        if place == "sqlite_sequence":  # entered while the schema is writable
            changed["name"] = "sqlite_evil"
        tamper(deployment, json.dumps(found))
        refused(deployment, f"{place}: {statement}")
    tamper(deployment, json.dumps(whole))
    assert compare.differences(deployment.path, deployment.restored()) == []


ROWLESS = (
    ("trigger", "boom", "refunds", "CREATE TRIGGER boom AFTER UPDATE ON refunds BEGIN DELETE FROM payment_history; END"),
    (
        "trigger",
        "gone",
        "refunds",
        "CREATE TRIGGER gone AFTER DELETE ON refunds BEGIN SELECT load_extension('/tmp/evil.so'); END",
    ),
    ("view", "spy", "spy", "CREATE VIEW spy AS SELECT load_extension('/tmp/evil.so')"),
    (
        "view",
        "endless",
        "endless",
        "CREATE VIEW endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    ),
    ("table", "words", "words", "CREATE VIRTUAL TABLE words USING fts5(a, content='refunds')"),
    ("table", "strange", "strange", "CREATE VIRTUAL TABLE strange USING csv(filename='/etc/passwd')"),
)


def test_triggers_views_and_virtual_tables_do_not_run_while_a_file_is_built(saved_bot):
    query = "SELECT definition FROM backup.source_schemas WHERE source = 'premium_system'"
    found = json.loads(saved_bot.query(query)[0][0])
    for kind, name, table, text in ROWLESS:
        found["objects"].append({"type": kind, "name": name, "table": table, "is_virtual": kind == "table", "sql": text})
    saved_bot.query("UPDATE backup.source_schemas SET definition = %s WHERE source = 'premium_system'", [json.dumps(found)])
    kept = saved_bot.keep_copies()["premium_system"]
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    saved_bot.run("restore.py", "--drill", "--database", "premium_system")
    theirs = {what for what in compare.contents(saved_bot.premium) if "sqlite" not in what} - set(compare.contents(kept))
    assert len(theirs) == len(ROWLESS)
    rows = "SELECT * FROM payment_history ORDER BY id"
    assert saved_bot.sqlite_rows(saved_bot.premium, rows) == saved_bot.sqlite_rows(kept, rows)
    with contextlib.closing(sqlite3.connect(saved_bot.premium)) as database:
        with pytest.raises(sqlite3.OperationalError, match=r"unsafe use of load_extension|not authorized"):
            database.execute("SELECT * FROM spy")
        with pytest.raises(sqlite3.OperationalError, match="no such module"):
            database.execute("SELECT * FROM strange")
        # This is what the README warns of: a trigger of the file runs when the bot writes, as the bot's own would.
        assert database.execute("SELECT count(*) FROM payment_history").fetchone() != (0,)
        database.execute("UPDATE refunds SET id = id")
        assert database.execute("SELECT count(*) FROM payment_history").fetchone() == (0,)


def damaged(whole):
    """Return definitions that no run has written."""
    yield "text", "not JSON {"
    yield "a list", "[]"
    yield "nothing", "{}"
    for part in ("pragmas", "objects", "tables"):
        for value in (None, [], {}, [{}], "x", 7):
            yield f"{part} {value}", json.dumps(whole | {part: value})
    for key, value in (("type", None), ("name", None), ("name", 7), ("sql", None), ("table", None), ("name", "../../outside")):
        yield (
            f"object {key} {value}",
            json.dumps(whole | {"objects": [whole["objects"][0] | {key: value}, *whole["objects"][1:]]}),
        )
    table = whole["tables"][0]
    for key, value in (
        ("name", "sqlite_master"),
        ("name", "../../outside"),
        ("mirror", "runs; DROP SCHEMA backup"),
        ("columns", []),
        ("columns", None),
    ):
        yield f"table {key} {value}", json.dumps(whole | {"tables": [table | {key: value}, *whole["tables"][1:]]})
    for key, value in (
        ("mirror_type", "regclass"),
        ("mirror_type", "bytea"),
        ("name", "sqlite_version()"),
        ("mirror_name", "oid::regclass"),
    ):
        column = table["columns"][0] | {key: value}
        yield (
            f"column {key} {value}",
            json.dumps(whole | {"tables": [table | {"columns": [column, *table["columns"][1:]]}, *whole["tables"][1:]]}),
        )
    for name, value in (
        ("page_size", "'; ATTACH 'outside' AS x"),
        ("encoding", "UTF-99"),
        ("user_version", "7; DROP"),
        ("application_id", None),
    ):
        yield f"pragma {name}", json.dumps(whole | {"pragmas": whole["pragmas"] | {name: value}})


def test_a_damaged_definition_is_named(deployment):
    for what, text in damaged(definition(deployment)):
        tamper(deployment, text)
        if what == "pragma page_size":  # SQLite takes another size; the rows are the same
            deployment.restored()
        else:
            refused(deployment, what)


def test_tampered_rows_are_found(deployment):
    with Target(deployment.settings.targets[0], "backup") as target:
        ((line,),) = target.rows("SELECT line FROM backup.misfit_rows WHERE table_name = 'paid'")
        target.rows("DROP TRIGGER undo_update ON backup.misfit_rows")
        target.rows("ALTER TABLE backup.misfit_rows DROP CONSTRAINT line_has_its_hash")
        wrong = ("", "zzz", "i1", '"t', "i99999999999999999999999", "bzz", "rff", f"{line},i1", line.replace("i3,", "i4,", 1))
        for tampered in wrong:
            assert tampered != line
            target.rows("UPDATE backup.misfit_rows SET line = %s WHERE table_name = 'paid'", [tampered])
            refused(deployment, tampered)


def test_a_terminal_that_cannot_show_it_stops_nothing(saved_bot):
    saved_bot.sqlite(saved_bot.premium, 'CREATE TABLE "gifts 🎁" (id INTEGER PRIMARY KEY)')
    for script in (("backup.py", "--verbose"), ("restore.py", "--yes", "--verbose")):
        narrow = environment() | {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run(saved_bot.command(*script), env=narrow, capture_output=True, text=True)
        assert (done.returncode, "\\U0001f381" in done.stdout + done.stderr) == (0, script[0] == "backup.py"), done.stderr


def test_somebody_elses_log_line_does_not_begin_one_of_ours(saved_bot):
    grep = subprocess.run(["grep", "-c", "^Last Sync", saved_bot.folder / "supabase_backup.log"], capture_output=True, text=True)
    assert grep.stdout == "0\n"  # every line of ours begins with its time
    assert os.stat(saved_bot.folder / "supabase_backup.log").st_mode & 0o777 == 0o600
