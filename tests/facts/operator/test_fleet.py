"""Every deployment on the targets in one line each, whosever it is, and a role that sees how they are and no row of any."""

import contextlib
import re

import psycopg2
import pytest

from lib.backing_up import deployments
from lib.postgres.link.connection import Target
from lib.settings import config
from lib.trying import sample_bot
from tests.stand_ins import inbox
from tests.stand_ins.bot import Bot
from tests.stand_ins.supabase import make_database
from tests.stand_ins.unreachable import free_port


@pytest.fixture
def shop(saved_bot, tmp_path):
    """A second bot in the same project as `saved_bot`, under a name of its own."""
    bot = Bot.make(tmp_path / "shop", saved_bot.url, users=20)
    bot.write_env(BACKUP_SCHEMA="shop")
    bot.run("setup_supabase.py").expect(0)
    return bot


@pytest.fixture
def anywhere(tmp_path, saved_bot):
    """A machine that has no bot, only a .env with the target."""
    folder = tmp_path / "anywhere"
    folder.mkdir()
    bot = Bot(folder, saved_bot.url)
    bot.write_env()
    return bot


def lines(bot, status, *flags):
    """Return the first line, and the others by deployment."""
    verdict, head, *rows = bot.run("backup.py", "--fleet", *flags).expect(status).stdout.splitlines()
    assert head.split() == "deployment machine last saved runs come rows size last drill rows compared warnings".split()
    return verdict, {row.split()[1]: row for row in rows}


def drilled(*bots):
    for bot in bots:
        bot.run("restore.py", "--drill").expect(0)


def test_each_deployment_has_a_line_the_worst_first(saved_bot, shop, anywhere):
    drilled(saved_bot, shop)
    verdict, found = lines(anywhere, 0)
    assert verdict.startswith("✅ All is well with 2 deployments")
    assert [*found] == ["backup", "shop"]
    assert re.search(r" ago +unknown ", found["shop"])
    shop.premium.write_bytes(b"")
    shop.run("backup.py").expect(3)
    verdict, found = lines(anywhere, 1)
    assert verdict.startswith("❌ Something needs you (last saved ")
    assert verdict.endswith("): 1 of 2 deployments")
    assert [*found] == ["shop", "backup"]
    assert found["shop"].endswith("premium_system: the last run failed: premium_system.db is empty (0 bytes).")
    assert found["shop"].startswith("❌")
    assert found["backup"].startswith("✅")


def test_machines_are_told_all_of_it(saved_bot, shop, anywhere):
    drilled(shop)
    told = anywhere.run("backup.py", "--fleet", "--json").expect(0).json
    backup, other = told["deployments"]
    assert (backup["deployment"], other["deployment"], told["outcome"]) == ("backup", "shop", "saved")
    assert [source["source"] for source in other["sources"]] == ["premium_system", "user_requests"]
    rows = sum(source["last_success"]["rows"] for source in other["sources"])
    assert rows == sum(shop.sqlite_rows(path, f"SELECT count(*) FROM {table}")[0][0] for path, table in tables_of(shop))
    assert other["sources"][0]["proven"]["run"] == 1
    assert backup["sources"][0]["proven"] is None
    assert other["bytes"] > 100_000
    assert backup["troubles"] == ["backup.premium_system, backup.user_requests: never proven restorable."]


def tables_of(bot):
    yield from ((bot.premium, table) for table in sample_bot.PAID)
    yield from ((bot.requests, table) for table in sample_bot.ASKED)


def test_a_warning_at_the_last_run_is_seen_from_anywhere(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.query("UPDATE backup_premium_system.refunds SET status = 'by hand' WHERE id = 1")
    saved_bot.backup()
    _, found = lines(anywhere, 0)
    assert found["backup"].endswith(" 1  1 warning at the last runs.")
    assert found["backup"].startswith("⚠️")
    saved_bot.backup()
    _, found = lines(anywhere, 0)
    assert found["backup"].endswith(" 0")


def test_one_message_a_target_however_many_deployments(saved_bot, shop):
    with Target(config.load(str(saved_bot.folder / ".env")).targets[0], "backup") as target:
        target.rows("SELECT 1")
        before = target.new_round_trips()
        found, _, size = deployments.ask(target)
        assert (before, target.new_round_trips(), len(found)) == (1, 1, 2)
        assert size > 5_000_000


def test_what_is_old_is_not_well(saved_bot, shop, anywhere):
    drilled(saved_bot, shop)
    shop.query(
        "UPDATE shop.runs SET started_at = started_at - interval '8 hours', finished_at = finished_at - interval '8 hours'"
    )
    assert lines(anywhere, 0)[0].startswith("✅")
    _verdict, found = lines(anywhere, 1, "--max-age", "7h")
    assert [*found] == ["shop", "backup"]
    assert found["shop"].endswith("premium_system, user_requests: the last success is 8 hours old, more than 7h.")


def test_the_same_as_one_page(saved_bot, shop, anywhere):
    shop.premium.write_bytes(b"")
    shop.run("backup.py").expect(3)
    page = anywhere.folder / "fleet.html"
    anywhere.run("backup.py", "--fleet", "--report", str(page)).expect(1)
    text = page.read_text()
    assert "Something needs you (last saved " in text
    assert text.index("<bdi>shop</bdi>") < text.index("<bdi>backup</bdi>")
    assert "premium_system.db is empty (0 bytes)." in text
    assert "<script" not in text


def test_a_target_that_cannot_be_asked_and_one_with_nothing(saved_bot, anywhere, server):
    with make_database(server, "empty_one") as empty:
        there = f"postgresql://postgres:secret-4711@127.0.0.1:{free_port()}/postgres"
        anywhere.write_env(SUPABASE_DB_URL_2=there, SUPABASE_DB_URL_3=empty)
        done = anywhere.run("backup.py", "--fleet", "--json").expect(1)
        assert [one["deployment"] for one in done.json["deployments"]] == ["backup"]
        assert "(target 2): the target cannot be asked: " in done.json["error"]
        assert "(target 3): no deployment is there." in done.json["error"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE shop.drills RENAME TO mine", 'its books cannot be read: relation "shop.drills" does not exist.'),
        ("DROP FUNCTION shop.seen()", "what shows how it is doing is gone."),
        ("DROP TABLE shop.sources CASCADE", "its books cannot be read: "),
        ("UPDATE shop.runs SET finished_at = 'infinity'", "its books "),
        ("UPDATE shop.runs SET finished_at = NULL", "its books hold what cannot be reckoned with: "),
        ("DELETE FROM shop.sources", "no database was ever set up in it."),
        ("UPDATE shop.sources SET last_run = NULL", "premium_system, user_requests: never backed up."),
        ("COMMENT ON SCHEMA shop IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA shop, version 9'; DROP FUNCTION shop.seen()",
         "it was set up by an older Hybrid backup, which does not tell."),
    ],
)  # fmt: skip
def test_one_that_is_broken_is_not_well_and_stops_no_other(saved_bot, shop, anywhere, statement, said):
    drilled(saved_bot, shop)
    shop.query(statement)
    _, found = lines(anywhere, 1)
    assert said in found["shop"]
    assert found["backup"].startswith("✅")
    page = anywhere.folder / "fleet.html"
    anywhere.run("backup.py", "--fleet", "--report", str(page)).expect(1)


def test_what_nobody_has_noted_is_nought(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.query("UPDATE backup.runs SET snapshot_hash = NULL, rows = NULL")
    lines(anywhere, 0)
    saved_bot.run("backup.py", "--status").expect(0)


def test_one_that_is_locked_says_so(saved_bot, shop, anywhere):
    drilled(saved_bot, shop)
    with contextlib.closing(psycopg2.connect(shop.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE shop.sources IN ACCESS EXCLUSIVE MODE")
        _, found = lines(anywhere, 1)
        assert found["shop"].endswith("somebody has locked its books.")
    assert lines(anywhere, 0)[0].startswith("✅")


def test_what_is_no_deployment_is_not_shown(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.query("CREATE SCHEMA fake; COMMENT ON SCHEMA fake IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup'")
    saved_bot.query("CREATE SCHEMA mine; COMMENT ON SCHEMA mine IS 'Hybrid backup: mirrors of mine, BACKUP_SCHEMA mine'")
    saved_bot.query("""CREATE SCHEMA "c++"; COMMENT ON SCHEMA "c++" IS 'my own code'; CREATE SCHEMA "a|b"; CREATE SCHEMA "%s" """)
    assert [*lines(anywhere, 0)[1]] == ["backup"]


TRAP = """
    CREATE ROLE stranger LOGIN PASSWORD 'stranger';
    GRANT CREATE ON DATABASE {0} TO stranger;
    SET ROLE stranger;
    CREATE SCHEMA evil;
    CREATE TABLE evil.done (by_whom text);
    GRANT ALL ON SCHEMA evil TO PUBLIC;
    GRANT ALL ON evil.done TO PUBLIC;
    CREATE FUNCTION evil.trap() RETURNS text LANGUAGE plpgsql AS
        'BEGIN INSERT INTO evil.done VALUES (current_user); RETURN 1; END';
    CREATE FUNCTION evil.sprung() RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(evil.trap())';
"""
# Where the stranger puts his traps: into a schema of his own, or into one of the looker's that everybody may write to.
HIS_OWN = """
    COMMENT ON SCHEMA evil IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA evil, version 10';
    CREATE FUNCTION evil.seen() RETURNS jsonb {0} LANGUAGE sql AS 'SELECT evil.sprung()';
    CREATE VIEW evil.sources AS SELECT evil.trap() AS source;
    CREATE FUNCTION evil.let_view(text) RETURNS void LANGUAGE sql AS 'SELECT evil.trap()';
"""
OF_THE_LOOKER = """
    RESET ROLE; SET ROLE postgres;
    CREATE SCHEMA half; GRANT ALL ON SCHEMA half TO PUBLIC;
    COMMENT ON SCHEMA half IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA half, version 10';
    RESET ROLE; SET ROLE stranger;
    CREATE FUNCTION half.seen() RETURNS jsonb {0} LANGUAGE sql AS 'SELECT evil.sprung()';
    CREATE VIEW half.sources AS SELECT evil.trap() AS source;
    CREATE FUNCTION half.let_view(text) RETURNS void LANGUAGE sql AS 'SELECT evil.trap()';
"""
AS_A_MEMBER = """
    RESET ROLE; GRANT postgres TO stranger {1}; SET ROLE stranger;
"""


@pytest.mark.parametrize("security", ["", "SECURITY DEFINER"])
@pytest.mark.parametrize("trap", [HIS_OWN, OF_THE_LOOKER, AS_A_MEMBER + HIS_OWN])
def test_nobody_else_s_code_runs_as_whoever_looks(saved_bot, anywhere, server, trap, security):
    admin = saved_bot.url.replace("//postgres:", f"//{server.user}:", 1)
    with contextlib.closing(psycopg2.connect(admin)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        if "{1}" in trap and connection.server_version < 16_00_00:
            pytest.skip("before PostgreSQL 16 a member may become whatever it is a member of")
        cursor.execute(TRAP.format(saved_bot.database))
        try:
            cursor.execute(trap.format(security, "WITH SET FALSE, INHERIT FALSE"))
            anywhere.run("backup.py", "--fleet").expect(1)
            viewer_of(saved_bot, anywhere)
            anywhere.run("backup.py", "--fleet").expect(1)
            cursor.execute("RESET ROLE; SELECT by_whom FROM evil.done WHERE by_whom <> 'stranger'")
            assert cursor.fetchall() == []
        finally:
            cursor.execute("RESET ROLE; DROP SCHEMA IF EXISTS half CASCADE; DROP OWNED BY stranger CASCADE; DROP ROLE stranger")


ODD = ["null", "[1]", '{"all": 1}', '{"all": 1, "schemas": 5, "sources": []}',
       '{"version": "abc", "all": 1, "schemas": [], "sources": []}',
       '{"all": 1, "schemas": [], "sources": [{"source": "a", "machine": 5, "warnings": 0, "health": {}}]}',
       '{"all": 1, "schemas": [], "sources": [{"source": "a", "machine": null, "warnings": 0, "health": {}}]}',
       '{"schema": "backup", "owner": "postgres", "all": 1, "schemas": [], "sources": []}']  # fmt: skip


@pytest.mark.parametrize("answer", ODD)
def test_an_odd_answer_is_not_well_and_speaks_for_nobody_else(saved_bot, shop, anywhere, answer):
    drilled(saved_bot, shop)
    shop.query(
        f"CREATE OR REPLACE FUNCTION shop.seen() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$ SELECT '{answer}'::jsonb $$"
    )
    found = anywhere.run("backup.py", "--fleet").stdout.splitlines()[2:]
    assert sorted(line.split()[1] for line in found) == ["backup", "shop"]
    assert [line[0] for line in found if line.split()[1] == "backup"] == ["✅"]


def test_what_one_of_them_sets_is_set_for_no_other(saved_bot, shop, anywhere):
    """A path, say, on which it has put operators of its own."""
    drilled(saved_bot, shop)
    saved_bot.query("""CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
        CREATE FUNCTION evil.cat(jsonb, jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT '[]'::jsonb $$;
        CREATE OPERATOR evil.|| (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = evil.cat);
        CREATE SCHEMA a; COMMENT ON SCHEMA a IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA a, version 10';
        CREATE FUNCTION a.seen() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$
            SELECT set_config('search_path', 'evil, pg_catalog', false);
            SELECT '{"all": 1, "schemas": [], "sources": []}'::jsonb $$""")
    assert sorted(lines(anywhere, 0)[1]) == ["a", "backup", "shop"]


def viewer_of(bot, where):
    """Make the viewer role, and return a machine with nothing but it."""
    said = bot.run("setup_supabase.py", "--viewer-role").expect(0).stdout
    role, password = said.split("they are not shown again:\n")[1].split("\n")[0].strip().split(":")
    assert role == "hybrid_backup_viewer"
    where.write_env(SUPABASE_DB_URL=bot.url.replace(f"postgres:{bot.password}", f"{role}:{password}"))
    return Bot(where.folder, where.url.replace(f"postgres:{bot.password}", f"{role}:{password}"))


def test_the_viewer_sees_the_books_of_all_also_of_those_to_come(saved_bot, shop, anywhere, tmp_path):
    viewer = viewer_of(saved_bot, anywhere)
    drilled(saved_bot, shop)
    assert lines(anywhere, 0)[0].startswith("✅ All is well with 2 deployments")
    third = Bot.make(tmp_path / "third", saved_bot.url, users=5)
    third.write_env(BACKUP_SCHEMA="third")
    third.run("setup_supabase.py").expect(0)
    assert [*lines(anywhere, 0)[1]] == ["third", "backup", "shop"]
    assert viewer.query("SELECT current_user") == [("hybrid_backup_viewer",)]


@pytest.mark.parametrize(
    "attempt",
    [
        "SELECT * FROM backup.undo_log",
        "SELECT * FROM backup.misfit_rows",
        "SELECT * FROM backup.edits",
        "SELECT * FROM backup.row_history",
        "SELECT source FROM backup.sources",
        "SELECT digest FROM backup.run_tables",
        "SELECT error FROM backup.runs",
        "SELECT definition FROM backup.source_schemas",
        "SELECT * FROM backup_premium_system.refunds",
        "SELECT * FROM backup_analytics.revenue_by_month",
        "SELECT backup.told('premium_system', NULL, NULL, NULL)",
        "SELECT backup.open_run('premium_system', '', '')",
        "SELECT backup.prune('premium_system', 1, '1s', '1s')",
        "DELETE FROM backup.runs",
        "UPDATE backup.sources SET retired_at = now()",
        "CREATE TABLE backup.mine (a int)",
    ],
)
def test_the_viewer_sees_no_row_and_changes_nothing(saved_bot, anywhere, attempt):
    viewer = viewer_of(saved_bot, anywhere)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        viewer.query(attempt)


def test_the_writer_is_told_who_could_see_the_others(writer, shop, saved_bot):
    drilled(writer)
    _verdict, found = lines(writer, 1)
    assert found["backup"].startswith("✅")
    assert "its books cannot be read: permission denied for schema shop." in found["shop"]


def test_a_role_that_somebody_else_has_made_by_that_name_sees_nothing(saved_bot, server):
    with contextlib.closing(psycopg2.connect(saved_bot.url.replace("//postgres:", f"//{server.user}:", 1))) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE ROLE hybrid_backup_viewer LOGIN PASSWORD 'mine'")
    saved_bot.run("setup_supabase.py").expect(0)
    squatter = Bot(saved_bot.folder, saved_bot.url.replace(f"postgres:{saved_bot.password}", "hybrid_backup_viewer:mine"))
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        squatter.query("SELECT backup.seen()")


def test_what_an_error_quotes_is_for_the_bot_s_own_eyes(saved_bot, anywhere):
    """A cell that Postgres quotes, or a function of somebody's, is a row's content."""
    viewer_of(saved_bot, anywhere)
    saved_bot.query("INSERT INTO backup.runs (source, outcome, error, version) VALUES ('premium_system', 'failed',"
                    " 'a trigger, a function of somebody else''s, says: bad row (4711)', '')")  # fmt: skip
    told = anywhere.run("backup.py", "--fleet", "--json").expect(1)
    assert "4711" not in told.stdout + told.stderr
    assert "says more there." in told.stdout


def test_who_names_an_age_has_all_that_is_wrong_told(saved_bot, shop, anywhere):
    hook = inbox.Inbox()
    anywhere.write_env(ALERT_WEBHOOK_URL=f"{hook.url}/hook")
    drilled(saved_bot, shop)
    shop.query("DROP FUNCTION shop.seen()")
    anywhere.run("backup.py", "--fleet", "--max-age", "7h").expect(1)
    assert ["what shows how it is doing is gone." in text for text in hook.texts()] == [True]
    anywhere.run("backup.py", "--fleet", "--max-age", "7h").expect(1)
    assert len(hook.texts()) == 1
    shop.run("setup_supabase.py").expect(0)
    anywhere.run("backup.py", "--fleet", "--max-age", "7h").expect(0)
    assert "works again" in hook.texts()[1]
    hook.shutdown()


def test_one_that_is_put_back_and_fails_is_missed(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/user_requests.db")
    saved_bot.run("setup_supabase.py").expect(0)
    saved_bot.write_env()
    saved_bot.run("setup_supabase.py").expect(0)
    saved_bot.premium.write_bytes(b"")
    saved_bot.run("backup.py").expect(3)
    assert "premium_system: the last run failed: " in lines(anywhere, 1)[1]["backup"]


def test_with_several_targets_it_is_said_which(saved_bot, anywhere, server):
    with make_database(server, "second_one") as second:
        saved_bot.write_env(SUPABASE_DB_URL_2=second)
        saved_bot.run("setup_supabase.py").expect(0)
        anywhere.write_env(SUPABASE_DB_URL_2=second)
        drilled(saved_bot)
        Bot(anywhere.folder, second).query("DELETE FROM backup.drills")
        told = anywhere.run("backup.py", "--fleet", "--json").expect(0).json
        assert [trouble["about"].split(" → ")[1] for trouble in told["troubles"]] == ["127.0.0.1 (target 2)"]


def test_a_machine_s_name_makes_no_line(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.query("UPDATE backup.sources SET origin_machine = E'm\n✅ all fine'")
    assert [*lines(anywhere, 0)[1]] == ["backup"]


def test_a_database_that_was_taken_out_of_the_settings_is_not_missed(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/user_requests.db")
    saved_bot.run("setup_supabase.py").expect(0)
    old = "started_at = started_at - interval '9 days', finished_at = finished_at - interval '9 days'"
    saved_bot.query(f"UPDATE backup.runs SET {old} WHERE source = 'premium_system'")
    told = anywhere.run("backup.py", "--fleet", "--json").expect(0).json["deployments"][0]
    assert [source["source"] for source in told["sources"]] == ["user_requests"]
    saved_bot.write_env()
    saved_bot.backup()
    told = anywhere.run("backup.py", "--fleet", "--json").expect(0).json["deployments"][0]
    assert [source["source"] for source in told["sources"]] == ["premium_system", "user_requests"]
