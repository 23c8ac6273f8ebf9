"""test_backup.py and --demo try everything, and leave nothing behind."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest

from lib.base.errors import Interrupted
from lib.postgres.link.connection import Target
from lib.settings import config
from lib.trying import trial
from tests.stand_ins.bot import copy_checkout, environment
from tests.stand_ins.supabase import _url, as_admin

pytestmark = pytest.mark.campaign

LEFT = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup%'"


def temporary_files():
    return set(Path(tempfile.gettempdir()).glob("hybrid-backup-*"))


def test_all_tests_pass_on_the_configured_target_and_nothing_is_left(bot):
    before = {path: path.read_bytes() for path in bot.databases}
    done = bot.run("test_backup.py").expect(0)
    assert done.stdout.endswith("\n🎉 All Tests Passed!\n")
    assert "Back up again: nothing changed" in done.stdout
    assert bot.query(LEFT) == []
    assert {path: path.read_bytes() for path in bot.databases} == before
    assert not (bot.folder / "snapshots").exists()


def test_a_real_deployment_is_only_read(saved_bot):
    before = saved_bot.query(LEFT + " ORDER BY 1"), saved_bot.query("SELECT * FROM backup.runs ORDER BY 1")
    saved_bot.run("test_backup.py").expect(0)
    assert (saved_bot.query(LEFT + " ORDER BY 1"), saved_bot.query("SELECT * FROM backup.runs ORDER BY 1")) == before


LACKING = {
    "advisory locks": "REVOKE EXECUTE ON FUNCTION pg_try_advisory_xact_lock(bigint) FROM PUBLIC",
    "triggers with transition tables": """
        CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'unknown'; END $$;
        CREATE EVENT TRIGGER refused ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION public.refuse()""",
}


@pytest.mark.parametrize("what", LACKING)
def test_what_a_server_lacks_is_said_by_name(server, bot, what):
    with contextlib.closing(psycopg2.connect(_url(server, server.user, bot.database))) as admin, admin, admin.cursor() as cursor:
        cursor.execute(LACKING[what])
    said = bot.run("test_backup.py").expect(1).stdout
    assert f"What the server can do: the server lacks {what} (" in said
    assert bot.query(LEFT) == []


def test_it_leaves_nothing_behind_when_interrupted(bot):
    running = bot.start("test_backup.py")
    while not bot.query(LEFT):
        assert running.poll() is None
    running.terminate()
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 128 + 15
    assert stderr == "Stopped by SIGTERM; what was not finished was rolled back.\n"
    assert bot.query(LEFT) == []


def test_it_leaves_nothing_behind_when_its_connection_is_cut(bot):
    """A signal that comes while the server is waited for cuts the connection."""
    target, scratch = scratch_target(bot)
    with contextlib.suppress(Interrupted), target, trial.scratch_schemas(target, scratch):
        trial.set_up_scratch(target, scratch)
        assert len(bot.query(LEFT)) == 3
        target._line.shut_down()
        raise Interrupted(15)
    assert bot.query(LEFT) == []


def scratch_target(bot):
    """A trial's connection and settings, with the bot's own databases."""
    settings = config.load(str(bot.folder / ".env"))
    scratch = trial.scratch_settings(settings, settings.targets[0], bot.folder)
    scratch.sources.update(settings.sources)
    return Target(settings.targets[0], scratch.schema), scratch


def left_by_a_killed_trial(bot, hours):
    """The scratch schemas of a trial that was killed so many hours ago, by the server's clock."""
    target, scratch = scratch_target(bot)
    with target:
        trial.set_up_scratch(target, scratch)
        (left,) = target.row("SELECT array_agg(nspname::text) FROM pg_namespace WHERE nspname LIKE 'backup_test%'")
        for name in left:
            ((note,),) = bot.query("SELECT obj_description(to_regnamespace(%s), 'pg_namespace')", [name])
            start, since = note.rsplit(" ", 1)
            bot.query(f"COMMENT ON SCHEMA {name} IS %s", [f"{start} {int(since) - 3600 * hours}"])
    return sorted(left)


def test_what_a_killed_trial_left_is_removed_by_a_later_one_which_says_so(bot):
    left = left_by_a_killed_trial(bot, hours=2)
    done = bot.run("test_backup.py").expect(0)
    assert [name for name in left if f"{name}, which a killed trial had left, was removed" not in done.stdout] == []
    assert bot.query(LEFT) == []


def test_what_another_trial_is_using_stays(bot):
    """Its name says that it is years old: the note in Postgres counts, and there the server's clock."""
    left = left_by_a_killed_trial(bot, hours=0)
    renamed = [name.replace(name[12:22], "1700000000") for name in left]
    for name, new in zip(left, renamed, strict=True):
        bot.query(f"ALTER SCHEMA {name} RENAME TO {new}")
    bot.run("test_backup.py").expect(0)
    assert bot.query(LEFT + " ORDER BY 1") == [(name,) for name in renamed]


SCRATCH_NOTE = "Hybrid backup: bookkeeping, BACKUP_SCHEMA x, version 5; scratch schema of test_backup.py since 1700000000"
NOT_SCRATCH = {
    "backup_test_1700000000_abcdef": "Hybrid backup: bookkeeping, BACKUP_SCHEMA backup_test_1700000000_abcdef, version 5",
    "backup_test_1700000000_abcde1": "Hybrid backup: bookkeeping, BACKUP_SCHEMA backup_test_1700000000_abcde1",
    "backup_test_1700000000_abcde2": f"{SCRATCH_NOTE}; no more",
    "backup_test_1700000000_abcde3": f"mine. {SCRATCH_NOTE}",
    "backup_test_1700000000_abcde4": None,
    "backup_test_1700000000_mine": SCRATCH_NOTE,
    "backup_test_170000000_abcdef": SCRATCH_NOTE,
    "backup_testing": SCRATCH_NOTE,
    "my_backup_test_1700000000_abcdef": SCRATCH_NOTE,
}


def test_what_only_looks_like_a_scratch_schema_stays(bot):
    for name, note in NOT_SCRATCH.items():
        bot.query(f"CREATE SCHEMA {name}; CREATE TABLE {name}.t (id int); COMMENT ON SCHEMA {name} IS %s", [note])
    bot.run("test_backup.py").expect(0)
    tables = bot.query("SELECT schemaname::text FROM pg_tables WHERE schemaname LIKE '%%backup_test%%'")
    assert sorted(tables) == sorted((name,) for name in NOT_SCRATCH)


def test_somebody_elses_schema_stays_whatever_its_note_says(bot, server):
    as_admin(server, "CREATE ROLE somebody; GRANT somebody TO postgres")
    try:
        name = "backup_test_1700000000_abcdef"
        bot.query(
            f"CREATE SCHEMA {name} AUTHORIZATION somebody; SET ROLE somebody; COMMENT ON SCHEMA {name} IS %s", [SCRATCH_NOTE]
        )
        bot.run("test_backup.py").expect(0)
        assert bot.query(LEFT) == [(name,)]
        bot.query(f"DROP SCHEMA {name}")
    finally:
        as_admin(server, "DROP ROLE somebody")


@pytest.mark.parametrize("schema", ["backup", "backup_test_1700000000_abcdef"])
def test_a_files_name_in_the_temporary_folder_drops_no_backup(bot, tmp_path, schema):
    """Anybody can make such a file, with the number of a process that is no more."""
    bot.write_env(BACKUP_SCHEMA=schema)
    bot.run("setup_supabase.py").expect(0)
    before = bot.query(LEFT + " ORDER BY 1")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    bot.environment = {"TMPDIR": str(tmp_path)}
    for name in ("", "backup", "b", schema, f"{schema}_"):
        (tmp_path / f"{name}.{dead.pid}.trying").mkdir(exist_ok=True)
    bot.run("test_backup.py").expect(0)
    assert bot.query(LEFT + " ORDER BY 1") == before
    bot.assert_restorable()


def test_a_failed_check_says_what_to_do(bot):
    bot.premium.write_bytes(b"")
    done = bot.run("test_backup.py").expect(1)
    assert (
        "Database premium_system: premium_system.db is empty (0 bytes).\n     Try: let the bot make its tables first"
        in done.stdout
    )
    assert "All Tests Passed" not in done.stdout


def test_without_settings_it_says_so_and_uses_the_embedded_postgres(tmp_path):
    command = [sys.executable, copy_checkout(tmp_path) / "test_backup.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120)
    assert done.stdout.startswith("No settings yet: this is a try on an embedded PostgreSQL with sample databases.\n")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_demo_ends_with_identical_databases(tmp_path):
    command = [sys.executable, copy_checkout(tmp_path) / "backup.py", "--demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120)
    assert "🎉 Both databases are back, identical to the last row." in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
