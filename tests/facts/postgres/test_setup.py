"""Setup creates what a backup needs, closes it to others, and may be run again at any time."""

import sqlite3
from contextlib import closing

import pytest

CATALOG = """
    SELECT n.nspname, c.oid, c.relname, c.relkind, c.relacl::text, c.relrowsecurity, n.nspacl::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'backup%' ORDER BY 1, 2
"""
OUTSIDERS = ("anon", "authenticated", "service_role")


def test_it_says_what_it_does_step_by_step_and_makes_the_first_backup(bot):
    said = bot.run("setup_supabase.py").expect(0).stdout
    assert "✅ 1. Connection to 127.0.0.1: PostgreSQL " in said
    assert "Mirrors of premium_system: 5 mirrors created, 5 mirrors in all" in said
    assert "Mirrors of user_requests: 4 mirrors created, 4 mirrors in all" in said
    assert "✅ Backed up 2 databases, " in said


def test_a_second_run_changes_nothing(saved_bot):
    saved_bot.run("setup_supabase.py").expect(0)  # a server may have got another deployment's writer role since the first
    before = saved_bot.query(CATALOG)
    said = saved_bot.run("setup_supabase.py").expect(0).stdout
    assert "Mirrors of premium_system: nothing to create, 5 mirrors in all" in said
    assert saved_bot.query(CATALOG) == before
    assert "(0 inserted, 0 updated, 0 deleted)" in said


def test_hand_written_mirrors_match_the_bots_tables(saved_bot):
    columns = """SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND attname <> 'rowid' ORDER BY attnum"""
    for path, schema in ((saved_bot.premium, "backup_premium_system"), (saved_bot.requests, "backup_user_requests")):
        with closing(sqlite3.connect(path)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
                ours = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                assert [name for (name,) in saved_bot.query(columns, [f"{schema}.{table}"])] == ours


def test_the_data_apis_roles_get_nothing(saved_bot):
    schemas = ("backup", "backup_premium_system", "backup_user_requests")
    for role in OUTSIDERS:
        for schema in schemas:
            assert saved_bot.query("SELECT has_schema_privilege(%s, %s, 'USAGE, CREATE')", [role, schema]) == [(False,)]
        rights = saved_bot.query(
            """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY (%s) AND CASE WHEN c.relkind IN ('r', 'v') THEN has_table_privilege(%s, c.oid,
                'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
            WHEN c.relkind = 'S' THEN has_sequence_privilege(%s, c.oid, 'USAGE, SELECT, UPDATE') END""",
            [list(schemas), role, role],
        )
        assert rights == []
    functions = """SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = ANY (%s) AND has_function_privilege('anon', p.oid, 'EXECUTE')"""
    assert saved_bot.query(functions, [list(schemas)]) == []
    assert "Privacy: closed to anon" in saved_bot.run("setup_supabase.py", "--check").expect(0).stdout


def test_an_opened_table_is_found(saved_bot):
    saved_bot.query(
        "GRANT USAGE ON SCHEMA backup_premium_system TO anon; GRANT SELECT ON backup_premium_system.refunds TO PUBLIC"
    )
    said = saved_bot.run("setup_supabase.py", "--check").expect(1).stdout
    assert "anon has USAGE on schema backup_premium_system" in said
    assert "PUBLIC has SELECT on table backup_premium_system.refunds" in said
    saved_bot.run("setup_supabase.py").expect(0)
    saved_bot.run("setup_supabase.py", "--check").expect(0)


def test_a_mirror_that_a_run_makes_is_closed_too(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "CREATE TABLE gifts (id INTEGER PRIMARY KEY)")
    saved_bot.backup()
    saved_bot.run("setup_supabase.py", "--check").expect(0)


def test_a_database_that_is_missing_does_not_stop_the_other(bot):
    bot.premium.unlink()
    done = bot.run("setup_supabase.py").expect(3)
    assert "❌ 1. Database premium_system: " in done.stdout
    assert "Mirrors of user_requests: 4 mirrors created" in done.stdout
    assert f"Error: {bot.premium} does not exist." in done.stderr
    assert bot.query("SELECT source FROM backup.runs WHERE outcome = 'saved'") == [("user_requests",)]
    assert "Database premium_system" in bot.run("setup_supabase.py", "--check").expect(1).stdout


def test_check_changes_nothing(bot):
    said = bot.run("setup_supabase.py", "--check").expect(1).stdout
    assert "Setup: the schema backup has not been set up.\n     Try: python3 setup_supabase.py" in said
    assert bot.query(CATALOG) == []


def test_a_foreign_schema_is_refused(bot):
    bot.query("CREATE SCHEMA backup; CREATE TABLE backup.precious (id int)")
    said = bot.run("setup_supabase.py").expect(1).stdout
    assert "the schema backup exists and is not this deployment's: it belongs to postgres." in said
    assert bot.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup\\_%'") == []


def test_deployments_that_would_meet_are_refused(saved_bot):
    saved_bot.write_env(BACKUP_SCHEMA="backup_premium_system")
    said = saved_bot.run("setup_supabase.py").expect(1).stdout
    assert "the schema backup_premium_system exists and is not this deployment's" in said


def test_two_deployments_share_one_project(saved_bot):
    saved_bot.write_env(BACKUP_SCHEMA="other")
    saved_bot.run("setup_supabase.py").expect(0)
    assert saved_bot.query("SELECT count(*) FROM other.runs") == saved_bot.query("SELECT count(*) FROM backup.runs")
    saved_bot.assert_restorable()


@pytest.mark.parametrize("name", ["shop", "Mein Laden", 'a"b', "с" * 40])
def test_your_own_database_needs_no_file(bot, name):
    path = bot.data / f"{name}.db"
    bot.sqlite(
        path, "CREATE TABLE Orders (Id INTEGER PRIMARY KEY, What TEXT, Price REAL); INSERT INTO Orders VALUES (1, 'x', 0.1)"
    )
    bot.premium.unlink()
    bot.requests.unlink()
    bot.write_env(SQLITE_DATABASES=f"sqlite_data/{name}.db")
    bot.run("setup_supabase.py").expect(0)
    assert bot.changes() == {}
    bot.assert_restorable()


def test_ddl_prints_a_file_that_setup_accepts(bot):
    path = bot.folder / "shop.db"
    bot.sqlite(
        path,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, what VARCHAR(10) NOT NULL UNIQUE, paid BOOLEAN,"
        " day DATE, raw BLOB, n NUMERIC);"
        "CREATE TABLE notes (body TEXT); CREATE TABLE hidden (rowid, oid, _rowid_)",
    )
    said = bot.run("setup_supabase.py", "--ddl", str(path)).expect(0).stdout
    assert (
        "CREATE TABLE orders (\n    id bigint,\n    what text NOT NULL,\n    paid boolean,\n    day text,\n    raw bytea,\n"
        in said
    )
    assert "    PRIMARY KEY (id),\n    UNIQUE (what) DEFERRABLE INITIALLY DEFERRED\n) WITH (fillfactor = 98);" in said
    assert "-- day is declared DATE; most of its values are text, others are kept whole in misfit_rows." in said
    assert "-- rowid is SQLite's hidden row number; a restore brings it back too.\nCREATE TABLE notes (" in said
    assert "-- hidden has no key that can be reached: its rows are kept whole in misfit_rows." in said
    bot.query(f"CREATE SCHEMA scratch; SET search_path = scratch; {said}")
    assert bot.query("SELECT count(*) FROM scratch.orders") == [(0,)]


def test_a_long_value_in_a_unique_column_is_kept_whole(bot):
    path = bot.data / "premium_system.db"
    bot.run("setup_supabase.py").expect(0)
    bot.query("ALTER TABLE backup_premium_system.refunds ADD UNIQUE (payment_id) DEFERRABLE INITIALLY DEFERRED")
    bot.sqlite(
        path, "CREATE UNIQUE INDEX u ON refunds (payment_id); UPDATE refunds SET payment_id = hex(randomblob(5000)) WHERE id = 1"
    )
    bot.backup()
    bot.assert_restorable()
