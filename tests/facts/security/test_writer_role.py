"""The writer role can back up and restore, and cannot destroy history in any way that it can think of."""

import contextlib
import shutil

import psycopg2
import pytest

from lib.trying import sample_bot
from tests import compare
from tests.stand_ins.bot import Bot
from tests.stand_ins.supabase import as_admin

ATTEMPTS = """
    DELETE FROM backup.undo_log
    UPDATE backup.undo_log SET lines = ''
    TRUNCATE backup.undo_log
    INSERT INTO backup.undo_log (source, mirror, operation, key_columns, row_count, lines) VALUES ('premium_system', 'refunds', 'insert', '{id}', 1, '{}')
    DELETE FROM backup.runs
    UPDATE backup.runs SET undo_mark = 0
    TRUNCATE backup.runs CASCADE
    DELETE FROM backup.run_tables
    UPDATE backup.run_tables SET digest = 0
    DELETE FROM backup.source_schemas
    UPDATE backup.source_schemas SET definition = ''
    UPDATE backup.sources SET pruned_to = 999999
    DELETE FROM backup.sources
    INSERT INTO backup.loaded_mirrors VALUES ('x', 'y')
    DELETE FROM backup.loaded_mirrors
    UPDATE backup.retention SET keep_days = 0
    DELETE FROM backup.drills
    INSERT INTO backup.open_statements (relation, operation, last_record, called_by) VALUES (1, 'UPDATE', 0, '')
    DELETE FROM backup.open_statements
    UPDATE backup.misfit_rows SET line = ''
    TRUNCATE backup.misfit_rows
    DROP TABLE backup.undo_log
    DROP SCHEMA backup CASCADE
    DROP SCHEMA backup_premium_system CASCADE
    DROP TABLE backup_premium_system.refunds
    TRUNCATE backup_premium_system.refunds
    ALTER TABLE backup_premium_system.refunds DISABLE TRIGGER ALL
    ALTER TABLE backup_premium_system.refunds DROP COLUMN status
    DROP TRIGGER undo_delete ON backup_premium_system.refunds
    CREATE TRIGGER mine BEFORE DELETE ON backup_premium_system.refunds FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
    CREATE RULE mine AS ON DELETE TO backup_premium_system.refunds DO INSTEAD NOTHING
    SET session_replication_role = replica
    CREATE OR REPLACE FUNCTION backup.log_undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'
    DROP FUNCTION backup.log_undo() CASCADE
    ALTER FUNCTION backup.log_undo() OWNER TO backup_writer
    SELECT backup.undo_script('DELETE', 'backup_premium_system.refunds'::regclass, '{premium_system,refunds,id}')
    SELECT backup.watch('premium_system', 'backup_premium_system', 'refunds')
    SELECT backup.make_private('backup')
    SELECT backup.let_write('backup_writer', 'backup')
    SELECT backup.save_run(1, '{}', '{}', '[]')
    SET ROLE postgres
    SET ROLE service_role
    GRANT DELETE ON backup.undo_log TO backup_writer
    ALTER TABLE backup.undo_log OWNER TO backup_writer
    ALTER TABLE backup.undo_log DISABLE ROW LEVEL SECURITY
    CREATE TABLE backup.mine (a int)
    LOCK TABLE backup.undo_log IN ACCESS EXCLUSIVE MODE
    COPY backup.undo_log FROM PROGRAM 'true'
"""


def test_it_can_back_up_and_restore(writer):
    sample_bot.live(writer.data, 1)
    assert writer.changes()
    writer.assert_restorable()
    writer.assert_restorable()
    assert writer.changes() == {}
    writer.run("restore.py", "--drill").expect(0)
    writer.run("backup.py", "--status").expect(0)
    writer.run("backup.py", "--verify").expect(0)
    said = writer.run("setup_supabase.py", "--check").expect(1).stdout
    assert "backup_writer may back up and restore, and set up nothing, which this looks at.\n     Try: the same command" in said


@pytest.mark.campaign
def test_what_it_may_not_mirror_is_kept_whole(writer, saved_bot):
    writer.sqlite(writer.premium, "CREATE TABLE gifts (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO gifts VALUES (1, 'Cap')")
    writer.sqlite(writer.premium, "ALTER TABLE refunds ADD COLUMN note TEXT")
    warnings = writer.backup()["warnings"]
    assert len(warnings) == 2
    assert "premium_system.gifts does not fit its mirror, and this user may not alter it" in "".join(warnings)
    writer.assert_restorable()
    saved_bot.write_env()
    saved_bot.run("setup_supabase.py").expect(0)
    assert saved_bot.query("SELECT name FROM backup_premium_system.gifts") == [("Cap",)]
    assert saved_bot.query("SELECT count(*) FROM backup.misfit_rows WHERE table_name IN ('gifts', 'refunds')") == [(0,)]
    saved_bot.write_env(SUPABASE_DB_URL=writer.url)
    assert writer.backup()["warnings"] == []
    writer.assert_restorable()


GUARDED = (
    "SELECT * FROM backup.undo_log ORDER BY record",
    "SELECT * FROM backup.runs ORDER BY run",
    "SELECT * FROM backup.run_tables ORDER BY 1, 2",
    "SELECT * FROM backup.source_schemas ORDER BY 1",
    "SELECT * FROM backup.sources ORDER BY 1",
    "SELECT * FROM backup.loaded_mirrors ORDER BY 1, 2",
    "SELECT * FROM backup.retention",
    "SELECT * FROM backup.misfit_rows ORDER BY 1, 2, 3, 4",
    "SELECT * FROM backup_premium_system.refunds ORDER BY 1",
    "SELECT oid, relname, relowner, relacl::text, relrowsecurity FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'backup%' ORDER BY 1",
    "SELECT oid, proname, proowner, proacl::text, prosrc FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'backup%' ORDER BY 1",
    "SELECT tgrelid, tgname, tgenabled FROM pg_trigger ORDER BY 1, 2",
)


@pytest.mark.campaign
def test_it_cannot_destroy_history(writer, saved_bot):
    sample_bot.live(writer.data, 2)
    last = max(run["run"] for run in writer.backup()["runs"])
    kept = writer.keep_copies()
    before = [saved_bot.query(guarded) for guarded in GUARDED]
    history = before[0]
    for attempt in filter(None, map(str.strip, ATTEMPTS.splitlines())):
        with contextlib.suppress(psycopg2.Error):  # some are refused with an error, some do nothing: what counts is what is left
            writer.query(attempt)
        assert [saved_bot.query(guarded) for guarded in GUARDED] == before, attempt
    # What it may do: change every row, under any name, and prune nothing that is young.
    writer.query(
        "SET hybrid_backup.run = '1'; DELETE FROM backup_premium_system.refunds; UPDATE backup_premium_system.payment_history SET id = -id"
    )
    writer.query("SET hybrid_backup.run = '99'; DELETE FROM backup_user_requests.message_owners; DELETE FROM backup.misfit_rows")
    writer.query("SELECT backup.prune('premium_system', 0, '0', '0'); SELECT backup.prune('user_requests', -5, '-9d', '-9d')")
    assert saved_bot.query("SELECT * FROM backup.undo_log ORDER BY record")[: len(history)] == history
    saved_bot.write_env()
    out = saved_bot.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    saved_bot.run("restore.py", "--yes", "--to", str(out), "--at", str(last)).expect(0)
    for name, path in kept.items():
        assert compare.differences(path, out / f"{name}.db") == []


def test_its_password_is_its_own(writer, saved_bot):
    with contextlib.closing(psycopg2.connect(writer.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchall() == [("backup_writer", False, False, False)]
    saved_bot.write_env()
    assert "Privacy: closed" in saved_bot.run("setup_supabase.py", "--check").expect(0).stdout


def test_a_role_of_somebody_else_is_refused_with_a_remedy(saved_bot, server):
    saved_bot.write_env(BACKUP_SCHEMA="taken")
    as_admin(server, "CREATE ROLE taken_writer SUPERUSER")  # until PostgreSQL 15, CREATEROLE may alter any other
    try:
        done = saved_bot.run("setup_supabase.py", "--writer-role").expect(1)
        assert "Writer role: 127.0.0.1: the user has no right to do this." in done.stdout
        assert done.stderr == ""
    finally:
        as_superuser = Bot(saved_bot.folder, saved_bot.url.replace("//postgres:", f"//{server.user}:"))
        as_superuser.query("DROP OWNED BY taken_writer; DROP ROLE taken_writer")


@pytest.mark.campaign
@pytest.mark.parametrize("where", ["", "IN DATABASE {database}"])
def test_what_it_sets_for_itself_is_told_and_undone(writer, saved_bot, where):
    ((database, role),) = writer.query("SELECT current_database(), current_user")
    writer.query(f"ALTER ROLE {role} {where.format(database=database)} SET default_transaction_read_only = on")
    said = writer.run("backup.py").expect(1).stderr
    assert "the database is read only" in said
    assert "somebody has set it, for the role or the database:  ALTER ROLE … RESET default_transaction_read_only" in said
    saved_bot.write_env()
    saved_bot.run("setup_supabase.py", "--writer-role").expect(0)
    assert saved_bot.query(f"SELECT * FROM pg_db_role_setting WHERE setrole = '{role}'::regrole") == []


def test_its_password_is_never_lost_in_silence(saved_bot):
    done = saved_bot.run("setup_supabase.py", "--writer-role", "--json").expect(2)
    assert "--writer-role shows a password once, and cannot be quiet." in done.stderr
