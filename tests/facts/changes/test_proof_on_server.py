"""The proof on the server: Postgres alone finds whatever is not as the last run has left it, and never what is."""

import contextlib
import random
import sqlite3
import threading
import time

import psycopg2
import psycopg2.extras
import pytest

from lib.backing_up import health
from lib.postgres.link.connection import Target
from tests.stand_ins.bot import Bot
from tests.stand_ins.deployment import Deployment

KINDS = """
    CREATE TABLE kinds (id INTEGER PRIMARY KEY, name TEXT, price REAL, picture BLOB, is_sold BOOLEAN, n NUMERIC);
    INSERT INTO kinds VALUES (1, 'say "hi", \\ ü', 0.1, x'00ff', 1, 5), (2, NULL, -0.0, x'', 0, '12.5'),
        (3, '', 1e300, NULL, NULL, NULL), (4, 'a' || char(10) || 'b', 5e-324, zeroblob(5000), 1, 9223372036854775807),
        (5, x'616263', 'text', 2, 'yes', x'01');
    CREATE TABLE without_key (a, b);
    INSERT INTO without_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
    CREATE TABLE pairs (a TEXT, b INTEGER, c REAL, PRIMARY KEY (b, a)) WITHOUT ROWID;
    INSERT INTO pairs VALUES ('x', 1, 0.5), ('y', 1, 2.5);
    CREATE TABLE "odd ""name""; --" (id INTEGER PRIMARY KEY, "select" TEXT, "a'b%s" REAL);
    INSERT INTO "odd ""name""; --" VALUES (1, 'one', 1.5);
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
    INSERT INTO counted (a) VALUES ('auto');
    CREATE TABLE hollow (id INTEGER PRIMARY KEY);
    CREATE VIRTUAL TABLE found USING fts5(text);
    INSERT INTO found VALUES ('some words');
"""
BLOCK = 8192


def now(deployment):
    return deployment.rows("SELECT extract(epoch FROM clock_timestamp())::float8")[0][0]


def proven(deployment, blocks=4096):
    """Prove all of it from the beginning, in pieces of so many blocks; return what differs and what was left out."""
    since = now(deployment)
    while deployment.rows(f"SELECT backup.prove({since}, {blocks * BLOCK})") != [(0,)]:
        pass
    ((proofs,),) = deployment.rows("SELECT proofs FROM backup.sources")
    assert all("at" in proof and "so_far" not in proof for proof in proofs.values())
    return {
        label: proof.get("said") or proof.get("unproven") for label, proof in proofs.items() if {"said", "unproven"} & {*proof}
    }


@pytest.fixture
def kinds(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script(KINDS)
    deployment.set_up()
    deployment.back_up()
    return deployment


@pytest.mark.parametrize("blocks", [1, 4096])
def test_what_a_run_has_left_is_equal_whatever_it_holds(kinds, blocks):
    assert proven(kinds, blocks) == {}
    ((labels,),) = kinds.rows("SELECT array_agg(key) FROM backup.sources, jsonb_each(proofs)")
    ((noted,),) = kinds.rows("SELECT array_agg(table_name) FROM backup.left_by((SELECT last_run FROM backup.sources))")
    assert sorted(labels) == sorted(noted)
    for _ in range(3):
        kinds.churn()
        kinds.back_up()
        assert proven(kinds, blocks) == {}


def unseen(deployment, mirror, statement):
    """Change a mirror behind the undo log's back."""
    deployment.rows(f"ALTER TABLE {mirror} DISABLE TRIGGER USER; {statement}; ALTER TABLE {mirror} ENABLE TRIGGER USER")


@pytest.mark.parametrize(
    ("label", "mirror", "statement", "said"),
    [
        (
            "pairs",
            "backup_source.pairs",
            "UPDATE backup_source.pairs SET c = 0.25 WHERE a = 'x'",
            "other rows than run 1 has left",
        ),
        (
            "pairs",
            "backup_source.pairs",
            "UPDATE backup_source.pairs SET c = NULL WHERE a = 'x'",
            "other rows than run 1 has left",
        ),
        ("pairs", "backup_source.pairs", "DELETE FROM backup_source.pairs WHERE a = 'x'", "1 rows, where run 1 has left 2"),
        ("hollow", "backup_source.hollow", "INSERT INTO backup_source.hollow VALUES (1)", "1 rows, where run 1 has left 0"),
        (
            "kinds",
            "backup.misfit_rows",
            "DELETE FROM backup.misfit_rows WHERE table_name = 'kinds'",
            "rows, where run 1 has left 5",
        ),
        (
            "counted",
            "backup_source.counted",
            "DROP TABLE backup_source.counted; CREATE TABLE backup_source.counted (x int)",
            "its mirror ",
        ),
    ],
)
def test_what_was_changed_unseen_is_found(kinds, label, mirror, statement, said):
    if "DROP" in statement:
        kinds.rows(statement)
    else:
        unseen(kinds, mirror, statement)
    found = proven(kinds)
    assert [*found] == [label]
    assert said in found[label]


def test_what_people_have_edited_waits_for_the_next_run(kinds):
    kinds.rows("UPDATE backup_source.pairs SET c = 0.25")
    assert {*proven(kinds).values()} == {"somebody has edited since the last run"}
    kinds.back_up()
    assert proven(kinds) == {}


def big(deployment, rows=6000):
    deployment.script(f"""CREATE TABLE big (id INTEGER PRIMARY KEY, text TEXT); WITH RECURSIVE n (i) AS (
        SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO big
        SELECT i, hex(i * 7919) || ' and some more text' FROM n""")
    deployment.set_up()
    deployment.back_up()


def piece(deployment, since):
    """Look at one piece of four blocks, and return how many tables are left."""
    ((left,),) = deployment.rows(f"SELECT backup.prove({since}, {4 * BLOCK}, 0)")
    return left


@pytest.mark.parametrize("seed", [pytest.param(1), *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(2, 9))])
def test_whatever_comes_between_two_pieces_nothing_is_told_that_is_not_so(tmp_path, prepared, seed):
    """Runs, edits and VACUUM FULL move rows between what was looked at and what was not."""
    luck, deployment = random.Random(seed), Deployment(tmp_path / "bot", prepared)
    big(deployment)

    def write():
        deployment.script(f"UPDATE big SET text = text || 'x' WHERE id % 97 = {luck.randrange(97)}")
        deployment.back_up()

    def edit():
        deployment.rows(f"UPDATE backup_source.big SET text = 'by hand' WHERE id = {luck.randrange(1, 6000)}")
        deployment.back_up()

    def rewrite():
        with contextlib.closing(psycopg2.connect(deployment.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute("VACUUM FULL backup_source.big")

    def move():
        deployment.rows(f"UPDATE backup_source.big SET text = text WHERE id % 50 = {luck.randrange(50)}")
        deployment.back_up()

    for _ in range(6):
        since = now(deployment)
        disturbances = luck.randrange(4)
        while piece(deployment, since):
            if disturbances and luck.random() < 0.2:
                disturbances -= 1
                luck.choice((write, edit, move, rewrite, deployment.back_up))()
        ((proofs,),) = deployment.rows("SELECT proofs FROM backup.sources")
        assert "said" not in proofs["big"], proofs
    rewrite()
    assert proven(deployment, 4).get("big", "") in ("", "somebody has edited since the last run")
    unseen(deployment, "backup_source.big", "UPDATE backup_source.big SET text = 'changed' WHERE id = 3000")
    found = proven(deployment, 4)
    assert found["big"].startswith("other rows than run ") or found["big"] == "somebody has edited since the last run"


def test_what_is_always_written_is_given_up(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    big(deployment)
    since = now(deployment)
    for number in range(20):
        if not piece(deployment, since):
            break
        deployment.script(f"UPDATE big SET text = 'number {number}' WHERE id = {number + 1}")
        deployment.back_up()
    ((proofs,),) = deployment.rows("SELECT proofs FROM backup.sources")
    assert proofs["big"]["unproven"] == "written too often to be read in pieces"
    assert proven(deployment) == {}


FORGED = ["x); DROP SCHEMA backup CASCADE; --", 'x"); SELECT pg_sleep(9); --', "x' || (SELECT 1/0)", "{c}", "%s%I%L"]


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_definition_runs_nothing(kinds, name):
    """Whoever may back up writes the definition; what he puts into it is a name or a type that is not there."""
    for field in ("mirror_name", "mirror_type", "mirror"):
        with contextlib.closing(psycopg2.connect(kinds.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT definition::jsonb, mirrors::jsonb FROM backup.source_schemas")
            ((definition, mirrors),) = cursor.fetchall()
            table = next(table for table in definition["tables"] if table["name"] == "pairs")
            if field == "mirror":
                table["mirror"] = mirrors["pairs"] = name
            else:
                table["columns"][0][field] = name
            as_json = psycopg2.extras.Json
            cursor.execute(
                "UPDATE backup.source_schemas SET definition = %s, mirrors = %s", (as_json(definition), as_json(mirrors))
            )
        assert "pairs" in proven(kinds), field
        kinds.rows("SELECT 1 FROM backup.runs")
        connection = psycopg2.connect(kinds.url)
        with contextlib.closing(connection), connection, connection.cursor() as cursor:
            table["columns"][0] |= {"mirror_name": "a", "mirror_type": "text"}
            table["mirror"] = mirrors["pairs"] = "pairs"
            cursor.execute(
                "UPDATE backup.source_schemas SET definition = %s, mirrors = %s", (as_json(definition), as_json(mirrors))
            )


def test_it_is_asked_for_from_anywhere_and_told_in_the_status(saved_bot, tmp_path):
    done = saved_bot.run("backup.py", "--prove").expect(0)
    assert (
        done.stdout
        == "✅ premium_system: 6 tables as the last run has left them\n✅ user_requests: 4 tables as the last run has left them\n"
    )
    saved_bot.query(
        "ALTER TABLE backup_premium_system.refunds DISABLE TRIGGER USER; DELETE FROM backup_premium_system.refunds WHERE id = 1"
    )
    done = saved_bot.run("backup.py", "--prove").expect(1)
    assert "❌ premium_system.refunds: 3 rows, where run 1 has left 4" in done.stdout
    assert "✅ premium_system: 5 tables as the last run has left them" in done.stdout
    told = saved_bot.run("backup.py", "--prove", "--json").expect(1).json
    assert told["sources"][0]["different"] == {"refunds": "3 rows, where run 1 has left 4"}
    assert (told["outcome"], told["try"]) == ("failed", "python3 backup.py --full && python3 backup.py --prove")
    said = saved_bot.run("backup.py", "--status").expect(1)
    assert "the proof on the server found that the mirrors differ: refunds (3 rows, where run 1 has left 4)." in said.stderr
    assert "  proven on the server: 5 tables equal, " in said.stdout
    fleet = saved_bot.run("backup.py", "--fleet").expect(1).stdout
    assert "the proof on the server found that the mirrors differ" in fleet
    saved_bot.run("backup.py", "--full").expect(0)
    assert "the proof on the server found" not in saved_bot.run("backup.py", "--status").stdout
    saved_bot.run("backup.py", "--prove").expect(0)


def test_the_writer_may_ask_and_nobody_learns_a_row(writer, saved_bot):
    writer.run("backup.py", "--prove").expect(0)
    text = str(saved_bot.query("SELECT proofs FROM backup.sources"))
    with contextlib.closing(sqlite3.connect(saved_bot.premium)) as database:
        rows = database.execute("SELECT * FROM premium_subscriptions").fetchall()
        assert not [cell for row in rows for cell in row if isinstance(cell, str) and len(cell) > 5 and cell in text]
    for role in ("anon", "service_role"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            saved_bot.query(f"SET ROLE {role}; SELECT backup.prove(0)")


def test_where_nothing_was_ever_backed_up_it_does_not_say_that_all_is_well(saved_bot, tmp_path):
    elsewhere = Bot(tmp_path, saved_bot.url)
    elsewhere.write_env()
    elsewhere.run("backup.py", "--prove").expect(0)
    saved_bot.query("UPDATE backup.sources SET last_run = NULL WHERE source = 'premium_system'")
    done = elsewhere.run("backup.py", "--prove").expect(1)
    assert "❌ premium_system: never backed up.\n" in done.stdout
    assert "✅ user_requests: 4 tables" in done.stdout
    saved_bot.query("DELETE FROM backup.sources")
    assert "127.0.0.1: never backed up." in elsewhere.run("backup.py", "--prove").expect(1).stderr
    elsewhere.write_env(BACKUP_SCHEMA="other")
    assert "the target has not been set up (no schema other)." in elsewhere.run("backup.py", "--prove").expect(1).stderr


def test_two_at_once_do_it_once_and_who_comes_second_does_not_say_that_all_is_well(saved_bot):
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup.prove(extract(epoch FROM now())::float8)")
        saved_bot.environment = {"HYBRID_BACKUP_RETRY_SECONDS": "1"}
        assert "the proof on the server is at work already." in saved_bot.run("backup.py", "--prove").expect(1).stderr
    saved_bot.run("backup.py", "--prove").expect(0)


def test_bytes_that_are_no_text_in_a_schema_are_no_difference(tmp_path, prepared):
    """They stand in the definition as halves of characters; whole ones of two halves, in names, stay what they are."""
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script("""CREATE TABLE t (id INTEGER PRIMARY KEY, "😀" TEXT); INSERT INTO t VALUES (1, 'one');
        CREATE TABLE "😀\\udcff" (a TEXT, b)""")
    deployment.script("PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = CAST(replace(CAST(sql AS BLOB), x'29',"
                      " x'2f2aff20edb0802a2f29') AS TEXT) WHERE name = 't'; PRAGMA writable_schema = RESET")  # fmt: skip
    deployment.set_up()
    deployment.back_up()
    assert "\\udcff" in deployment.rows("SELECT definition FROM backup.source_schemas")[0][0]
    assert proven(deployment) == {}
    unseen(deployment, "backup_source.t", "UPDATE backup_source.t SET \"😀\" = 'two'")
    assert proven(deployment) == {"t": "other rows than run 1 has left"}


@contextlib.contextmanager
def held_before_it_is_saved(deployment):
    """Let a run wait before it saves: whoever has the row of its source locked holds it up."""
    with contextlib.closing(psycopg2.connect(deployment.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE backup.run_tables IN SHARE MODE")
        run = threading.Thread(target=deployment.back_up)
        run.start()
        wait_for(deployment, "SELECT 1 FROM pg_locks WHERE NOT granted")
        yield
    run.join()


def wait_for(deployment, query):
    while not deployment.rows(query):
        time.sleep(0.01)


@pytest.mark.parametrize(
    "alteration", ["DROP COLUMN c", "ALTER b TYPE numeric", "RENAME COLUMN c TO mine", "ADD COLUMN mine text NOT NULL DEFAULT ''"]
)
def test_a_run_that_makes_a_mirror_anew_meanwhile_is_waited_for(tmp_path, prepared, alteration):
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c TEXT); INSERT INTO t VALUES (1, 2, 'x'), (2, 3, 'y')")
    deployment.set_up()
    deployment.back_up()
    deployment.rows(f"ALTER TABLE backup_source.t {alteration}")
    deployment.script("UPDATE t SET b = 9 WHERE a = 1")
    with held_before_it_is_saved(deployment):
        since = now(deployment)
        left = deployment.rows(f"SELECT backup.prove({since})")
        ((proofs,),) = deployment.rows("SELECT proofs FROM backup.sources")
        assert left == [(1,)]
        assert proofs is None or "said" not in proofs.get("t", {})
    assert proven(deployment) == {}


def test_what_was_found_stands_until_it_is_looked_at_again(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    big(deployment)
    deployment.script("CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1)")
    deployment.back_up()
    unseen(deployment, "backup_source.a", "DELETE FROM backup_source.a")
    found = {"a": "0 rows, where run 2 has left 1"}
    assert proven(deployment) == found
    since = now(deployment)
    while piece(deployment, since):
        with Target(deployment.settings.targets[0], "backup") as target:
            assert health.asked(target, ["source"])["source"]["proof"]["different"] == found


def test_what_is_told_quotes_no_cell(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script("CREATE TABLE a (id INTEGER PRIMARY KEY, c BOOLEAN, t TEXT); INSERT INTO a VALUES (1, 1, 'private words')")
    deployment.set_up()
    deployment.back_up()
    deployment.rows("ALTER TABLE backup_source.a DROP COLUMN c; ALTER TABLE backup_source.a RENAME COLUMN t TO c")
    deployment.rows("ALTER TABLE backup_source.a ADD COLUMN t text")
    assert proven(deployment) == {"a": "its mirror has other columns than that run has left"}


def test_a_run_that_mends_it_ends_it_whatever_its_clock_says(kinds):
    unseen(kinds, "backup_source.pairs", "DELETE FROM backup_source.pairs")
    assert [*proven(kinds)] == ["pairs"]
    kinds.back_up(full=True)
    kinds.rows("UPDATE backup.runs SET finished_at = finished_at - interval '3 hours'")
    with Target(kinds.settings.targets[0], "backup") as target:
        assert health.asked(target, ["source"])["source"]["proof"]["different"] == {}


def test_what_a_wrong_clock_has_dated_is_looked_at_again(kinds):
    assert proven(kinds) == {}
    kinds.rows("""UPDATE backup.sources SET proofs = (
        SELECT jsonb_object_agg(key, value || jsonb_build_object('at', extract(epoch FROM now()) + 1e7))
        FROM jsonb_each(proofs))""")
    unseen(kinds, "backup_source.pairs", "DELETE FROM backup_source.pairs")
    assert [*proven(kinds)] == ["pairs"]


@pytest.mark.parametrize(
    "arguments", ["0, 0", "0, -5", "0, 1, 1e9", "'NaN', 1, 0", "'Infinity', 1, 0", "-1e300, 9223372036854775807, 0"]
)
def test_no_argument_makes_it_go_astray(kinds, arguments):
    kinds.rows(f"SELECT backup.prove({arguments})")
    assert proven(kinds) == {}


def test_a_proof_that_waits_to_be_committed_holds_up_no_run(kinds):
    """It has given its locks on the mirrors back, and has changed nothing but its own notes, at last."""
    with contextlib.closing(psycopg2.connect(kinds.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup.prove(0, 1, 0)")
        cursor.execute("SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation WHERE pid = pg_backend_pid()"
                       " AND relnamespace = 'backup_source'::regnamespace")  # fmt: skip
        assert cursor.fetchall() == [(0,)]


def test_pieces_are_bounded_by_what_is_stored_beside_the_table_as_well(tmp_path, prepared):
    deployment = Deployment(tmp_path / "bot", prepared)
    deployment.script("""CREATE TABLE large (id INTEGER PRIMARY KEY, a BLOB);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        INSERT INTO large SELECT i, randomblob(20000) FROM n""")
    deployment.set_up()
    deployment.back_up()
    since, pieces = now(deployment), 1
    while deployment.rows(f"SELECT backup.prove({since}, 2000000, 0)") != [(0,)]:
        pieces += 1
    assert pieces >= 3
    assert proven(deployment) == {}
