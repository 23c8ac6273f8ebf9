"""test_backup.py and --demo try everything, and leave nothing behind."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from lib import config, leftovers, trial
from lib.errors import Interrupted
from lib.postgres.connection import Target
from tests.bot import copy_checkout, environment

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
    settings = config.load(str(bot.folder / ".env")).targets[0]
    name = "backup_test_1700000000_cafe"
    with contextlib.suppress(Interrupted), Target(settings, name) as target, trial.scratch_schemas(target, []):
        target.rows(f"CREATE SCHEMA {name}; COMMENT ON SCHEMA {name} IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA {name}'")
        target._shut_down()
        raise Interrupted(15)
    assert bot.query(LEFT) == []


def test_what_a_killed_run_left_is_removed_by_the_next(bot):
    bot.query("CREATE SCHEMA backup_test_1700000000_abcd; CREATE TABLE backup_test_1700000000_abcd.t (id int)")
    bot.query(
        "COMMENT ON SCHEMA backup_test_1700000000_abcd IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup_test_1700000000_abcd'"
    )
    bot.query("CREATE SCHEMA backup_test_1700000000_mine")
    bot.run("test_backup.py").expect(0)
    assert bot.query(LEFT) == [("backup_test_1700000000_mine",)]


def test_a_failed_check_says_what_to_do(bot):
    bot.premium.write_bytes(b"")
    done = bot.run("test_backup.py").expect(1)
    assert "Database premium_system: premium_system.db is empty (0 bytes).\n     Try: restore it with" in done.stdout
    assert "All Tests Passed" not in done.stdout


def test_without_settings_it_says_so_and_uses_the_embedded_postgres(tmp_path):
    command = [sys.executable, copy_checkout(tmp_path) / "test_backup.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120)
    assert done.stdout.startswith("No settings yet: this is a try on an embedded PostgreSQL with sample databases.\n")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_demo_ends_with_identical_databases(bot):
    done = bot.run("backup.py", "--demo").expect(0)
    assert "🎉 Both databases are back, identical to the last row." in done.stdout


def test_an_interrupted_trial_tells_the_next_one_what_to_remove(tmp_path, monkeypatch):
    """A signal cuts the connection, and the scratch schemas stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with contextlib.suppress(Interrupted), trial.scratch_folder() as (folder, _):
        (folder / "1").mkdir()
        (folder / "1" / "copy.db").touch()
        raise Interrupted(15)
    assert list(tmp_path.rglob("*")) == [folder]
    monkeypatch.setattr(leftovers, "_ours", set())  # as in another process
    with trial.scratch_folder() as (_, abandoned):
        assert abandoned == [folder.name.partition(".")[0]]
    assert list(tmp_path.iterdir()) == []
