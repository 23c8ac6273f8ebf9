"""A first load that is cut goes on with what is missing; whatever happens on the way, the snapshot is saved in the end."""

import contextlib
import dataclasses

import psycopg2
import pytest

from lib.base.errors import Problem, SourceError
from lib.postgres.books import runs
from lib.settings import limits
from tests.stand_ins import relay
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import as_admin

TABLES = 6
FILL = "".join(
    f"""CREATE TABLE t{number} (id INTEGER PRIMARY KEY, word TEXT, price REAL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO t{number} SELECT i, 'word ' || i, i / 7.0 FROM n;
    INSERT INTO t{number} VALUES (1000, x'{number:02x}', 1.0);
    """
    for number in range(TABLES)
)
EDITS = (
    "UPDATE backup_source.t1 SET word = 'forged' WHERE id = 7",
    "SET session_replication_role = replica; UPDATE backup_source.t1 SET word = 'forged' WHERE id = 7",
    "DELETE FROM backup_source.t1 WHERE id = 7",
    "TRUNCATE backup_source.t1",
    "DELETE FROM backup.misfit_rows WHERE table_name = 't1'",
    "DROP TABLE backup_source.t1",
    "ALTER TABLE backup_source.t1 DROP COLUMN price",
    "INSERT INTO backup_source.t5 VALUES (7, 'forged', 1.0)",
)


@pytest.fixture(autouse=True)
def _committed_after_every_table(monkeypatch):
    monkeypatch.setattr(limits, "FIRST_LOAD_SECONDS", 0)
    monkeypatch.setattr(limits, "RETRY_SECONDS", 0)


@pytest.fixture
def source(tmp_path, database):
    source = Deployment(tmp_path / "source", database)
    source.script(FILL)
    source.set_up()
    return source


@contextlib.contextmanager
def between(monkeypatch, commits, act):
    """Let something happen once, when so many transactions have been committed and the source is nobody's."""
    begun, lock = [], runs.take

    def taken(*about):
        begun.append(about)
        if len(begun) == commits + 1:
            act()
        return lock(*about)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "take", taken)
        yield
    assert len(begun) > commits


def broken():
    raise Problem("the link broke", "mend it")


def cut(monkeypatch, source, commits=3):
    with between(monkeypatch, commits, broken), pytest.raises(Problem, match="the link broke") as raised:
        source.back_up()
    return raised.value


def edit(server, source, script):
    settings = source.settings.targets[0]
    with contextlib.closing(psycopg2.connect(server.url, dbname=settings.name)) as admin:
        admin.cursor().execute(script)
        admin.commit()


def sent_now(source):
    return {name for name, table in source.tables.items() if table.bytes_sent}


def named(*numbers):
    return {f"t{number}" for number in numbers}


def rows_there(source):
    return [source.rows(f"SELECT count(*) FROM backup_source.t{number}")[0][0] for number in range(TABLES)]


def transactions(source, condition):
    """Count the transactions that wrote the rows."""
    writers = " UNION ".join(f"SELECT xmin::text FROM backup_source.t{number} WHERE {condition}" for number in range(TABLES))
    return source.rows(f"SELECT count(*) FROM ({writers}) AS t")[0][0]


def test_it_is_committed_on_the_way_and_is_one_run_in_the_end(source):
    source.back_up()
    assert transactions(source, "true") == TABLES
    assert source.rows("SELECT outcome, rows FROM backup.runs") == [("saved", 301 * TABLES)]
    assert [source.tables[name].inserted for name in sorted(named(*range(TABLES)))] == [301] * TABLES
    source.assert_round_trip()


def test_what_was_committed_is_said_also_where_the_last_part_fails(monkeypatch, source):
    with monkeypatch.context() as patched:
        patched.setattr(runs, "save", lambda *_: broken())
        with pytest.raises(Problem, match="the link broke") as raised:
            source.back_up()
    said = "Of the first backup 5 tables are in Supabase and need not be sent again; there is no earlier backup."
    assert raised.value.untouched == said
    assert rows_there(source) == [300, 300, 300, 300, 300, 0]
    source.assert_round_trip()
    assert source.rows("SELECT outcome FROM backup.runs ORDER BY run LIMIT 2") == [("failed",), ("saved",)]


def test_what_is_whole_is_not_sent_again(monkeypatch, source):
    problem = cut(monkeypatch, source)
    assert (
        problem.untouched
        == "Of the first backup 3 tables are in Supabase and need not be sent again; there is no earlier backup."
    )
    assert rows_there(source) == [300, 300, 300, 0, 0, 0]
    source.back_up()
    assert sent_now(source) == named(3, 4, 5)
    assert [source.tables[name].misfits for name in sorted(named(*range(TABLES)))] == [1] * TABLES
    source.assert_round_trip()


def test_what_the_bot_has_changed_since_is_sent_again(monkeypatch, source):
    cut(monkeypatch, source)
    source.script("UPDATE t1 SET word = 'new' WHERE id = 7; DELETE FROM t2 WHERE id = 9; INSERT INTO t2 VALUES (999, 'a', 0.5)")
    source.back_up()
    assert sent_now(source) == named(1, 2, 3, 4, 5)
    source.assert_round_trip()


@pytest.mark.parametrize("script", EDITS)
def test_what_somebody_has_changed_between_two_tries_is_sent_again(monkeypatch, server, source, script):
    cut(monkeypatch, source)
    edit(server, source, script)
    source.back_up()
    assert sent_now(source) <= named(1, 3, 4, 5)
    source.assert_round_trip()


@pytest.mark.parametrize("script", EDITS)
def test_what_somebody_has_changed_between_two_commits_is_sent_again(monkeypatch, server, source, script):
    with between(monkeypatch, 3, lambda: edit(server, source, script)):
        source.back_up()
    assert source.rows("SELECT count(*) FROM backup.lost_history") == [(0,)]
    source.assert_round_trip()


def test_another_run_that_gets_in_between_wins(monkeypatch, source):
    with between(monkeypatch, 3, source.back_up), pytest.raises(Problem, match="was backed up by another run in the meantime"):
        source.back_up()
    assert source.rows("SELECT outcome FROM backup.runs ORDER BY run") == [("failed",), ("saved",)]
    source.assert_round_trip()


def test_of_a_damaged_database_nothing_is_committed(source):
    pages = bytearray(source.path.read_bytes())
    pages[-4096 * 2 + 200 : -4096 * 2 + 3000] = b"\xff" * 2800
    source.path.write_bytes(pages)
    with pytest.raises(SourceError):
        source.back_up()
    assert rows_there(source) == [0] * TABLES


def test_runs_after_the_first_are_all_or_nothing(monkeypatch, source):
    source.back_up()
    source.script("".join(f"UPDATE t{number} SET word = 'new';" for number in range(TABLES)))
    with between(monkeypatch, 0, lambda: None):
        source.back_up(full=True)
    transactions = " UNION ".join(
        f"SELECT xmin::text FROM backup_source.t{number} WHERE word = 'new'" for number in range(TABLES)
    )
    assert source.rows(f"SELECT count(*) FROM ({transactions}) AS t") == [(1,)]


@pytest.mark.campaign
@pytest.mark.parametrize("flags", [(), ("--full",)])
def test_a_link_that_breaks_again_and_again_gets_there(tmp_path, database, flags):
    """No try gets all of it through, 1.7 MB, but the largest table."""
    bot = Bot.make(tmp_path / "bot", database, users=1200)
    bot.environment = {"HYBRID_BACKUP_FIRST_LOAD_SECONDS": "0", "HYBRID_BACKUP_RETRY_SECONDS": "0"}
    port = URL.fullmatch(bot.url)["port"]
    with relay.running("127.0.0.1", int(port)) as (line, listens):
        bot.write_env(SUPABASE_DB_URL=bot.url.replace(f":{port}/", f":{listens}/"))
        line.reset(cut_after={"up": 1_300_000})
        done = bot.run("setup_supabase.py").expect(3)
        tries = 1
        while done.status and tries < 5:
            assert "are in Supabase and need not be sent again." in done.stderr
            line.reset(cut_after={"up": 1_300_000})
            done, tries = bot.run("backup.py", *flags), tries + 1
    assert (done.status, tries) == (0, 2)
    bot.write_env()
    bot.assert_restorable()


@pytest.mark.campaign
def test_no_statement_of_a_load_is_ended_by_the_limit_of_a_role_or_a_database(server, database, tmp_path):
    """Supabase's is two minutes, which a large table or a slow link needs: here it is a tenth of a second."""
    source = Deployment(tmp_path / "source", database)
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
    source.script(f"CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT); {many} INSERT INTO t SELECT i, 'word ' || i FROM n")
    as_admin(server, f"ALTER DATABASE {URL.fullmatch(database)['name']} SET statement_timeout = '100ms'")
    source.set_up()
    with contextlib.closing(psycopg2.connect(database)) as somebody, pytest.raises(psycopg2.errors.QueryCanceled):
        somebody.cursor().execute("SELECT count(*) FROM generate_series(1, 300000) AS i, generate_series(1, 10)")
    assert source.back_up() == {"t": (300_000, 0, 0)}
    source.assert_round_trip()


def test_it_needs_room_for_what_is_not_there_yet(monkeypatch, tmp_path, database):
    """What fits the plan when it begins fits when it goes on."""
    source, rows, size = Deployment(tmp_path / "source", database), 20_000, "SELECT pg_database_size(current_database())"
    source.script(FILL.replace("i < 300", f"i < {rows}").replace("'word '", "hex(randomblob(50))").replace("(1000,", "(0,"))
    source.set_up()
    ((before,),) = source.rows(size)
    limit = (before + (source.path.stat().st_size + 60 * TABLES * rows) * 5 // 4) // 1_000_000
    source.settings = dataclasses.replace(source.settings, max_database_mb=limit)
    cut(monkeypatch, source, 5)
    source.back_up()
    ((after,),) = source.rows(size)
    assert after < limit * 1_000_000
    assert rows_there(source) == [rows] * TABLES
