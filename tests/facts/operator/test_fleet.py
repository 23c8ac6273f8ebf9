"""Every deployment on the targets in one line each, whosever it is, and a role that sees how they are and no row of any."""

import contextlib

import psycopg2
import pytest

from lib.backing_up import deployments
from lib.postgres.link.connection import Target
from lib.settings import config
from lib.trying import sample_bot
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
    assert "ago  unknown" in found["shop"]
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
        found, size = deployments.ask(target)
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


def test_one_that_is_broken_stops_no_other(saved_bot, shop, anywhere):
    drilled(saved_bot)
    shop.query("ALTER TABLE shop.drills RENAME TO mine")
    _verdict, found = lines(anywhere, 1)
    assert 'its books cannot be read: relation "shop.drills" does not exist.' in found["shop"]
    assert found["backup"].startswith("✅")


def test_an_older_deployment_is_seen_too(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.query("ALTER TABLE backup.sources DROP COLUMN warnings, DROP COLUMN retired_at, DROP COLUMN live_at")
    saved_bot.query("COMMENT ON SCHEMA backup IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup, version 9'")
    verdict, _found = lines(anywhere, 0)
    assert verdict.startswith("✅")
    assert anywhere.run("backup.py", "--fleet", "--json").expect(0).json["deployments"][0]["version"] == 9


def test_what_is_no_deployment_is_not_shown(saved_bot, anywhere):
    drilled(saved_bot)
    saved_bot.query("CREATE SCHEMA fake; COMMENT ON SCHEMA fake IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup'")
    saved_bot.query("CREATE SCHEMA mine; COMMENT ON SCHEMA mine IS 'Hybrid backup: mirrors of mine, BACKUP_SCHEMA mine'")
    assert [*lines(anywhere, 0)[1]] == ["backup"]


EVIL = """
    CREATE ROLE stranger LOGIN PASSWORD 'stranger';
    GRANT CREATE ON DATABASE {0} TO stranger;
    SET ROLE stranger;
    CREATE SCHEMA evil;
    COMMENT ON SCHEMA evil IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA evil, version 10';
    CREATE TABLE evil.done (by_whom text);
    GRANT ALL ON SCHEMA evil TO PUBLIC;
    GRANT ALL ON evil.done TO PUBLIC;
    CREATE FUNCTION evil.trap() RETURNS text LANGUAGE plpgsql AS
        'BEGIN INSERT INTO evil.done VALUES (current_user); RETURN 1; END';
    CREATE VIEW evil.sources AS SELECT evil.trap() AS source, ''::text AS mirror_schema, NULL::bigint AS last_run;
    GRANT ALL ON evil.sources TO PUBLIC;
"""


def test_nobody_else_s_code_runs_as_whoever_looks(saved_bot, anywhere, server):
    admin = saved_bot.url.replace("postgres:", f"{server.user}:", 1).replace("//supabase_admin:", f"//{server.user}:")
    with contextlib.closing(psycopg2.connect(admin)) as connection:
        connection.autocommit = True
        connection.cursor().execute(EVIL.format(saved_bot.database))
        _verdict, found = lines(anywhere, 1)
        assert "it belongs to stranger, who cannot act as postgres anyway" in found["evil"]
        cursor = connection.cursor()
        cursor.execute("RESET ROLE; SELECT count(*) FROM evil.done")
        assert cursor.fetchall() == [(0,)]
        cursor.execute("DROP OWNED BY stranger CASCADE; DROP ROLE stranger")


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
        "SELECT origin FROM backup.sources",
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
