"""Whatever fails says so, also with --quiet and with --json: on stderr, and for machines as `error` and `try`."""

import pytest

from tests.stand_ins.unreachable import down


def empty_source(bot):
    bot.premium.write_bytes(b"")


def edited_row(bot):
    bot.sqlite(bot.premium, "UPDATE refunds SET status = 'edited' WHERE id = 1")


def no_success_for_long(bot):
    bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '9 hours'")


def never_backed_up(bot):
    bot.query("UPDATE backup.sources SET last_run = NULL")


def opened(bot):
    bot.query("GRANT USAGE ON SCHEMA backup TO anon")


def tampered(bot):
    bot.query("UPDATE backup.run_tables SET digest = digest + 1 WHERE table_name = 'refunds'")
    (bot.folder / "snapshots" / "premium_system.db").unlink()


def no_snapshots(bot):
    for path in (bot.folder / "snapshots").glob("*.db"):
        path.unlink()


def unreachable(bot):
    bot.write_env(SUPABASE_DB_URL=down(bot.url))
    bot.environment = {"HYBRID_BACKUP_RETRY_SECONDS": "0"}


def misspelt(bot):
    bot.write_env(BACKUP_SHEMA="x")


def no_setup(bot):
    bot.query("DROP SCHEMA backup CASCADE")


FAILING = [
    (empty_source, 1, "setup_supabase.py"),
    (empty_source, 1, "setup_supabase.py", "--check"),
    (empty_source, 1, "test_backup.py"),
    (empty_source, 3, "backup.py"),
    (empty_source, 1, "backup.py", "premium_system"),
    (empty_source, 1, "backup.py", "--dry-run"),
    (empty_source, 1, "backup.py", "--verify"),
    (edited_row, 1, "backup.py", "--verify"),
    (no_success_for_long, 1, "backup.py", "--status", "--max-age", "7h"),
    (never_backed_up, 1, "backup.py", "--status"),
    (never_backed_up, 1, "backup.py", "--report", "report.html", "--max-age", "7h"),
    (opened, 1, "backup.py"),
    (opened, 1, "setup_supabase.py", "--check"),
    (tampered, 1, "restore.py", "--yes", "--database", "premium_system"),
    (tampered, 1, "restore.py", "--drill"),
    (no_snapshots, 1, "restore.py", "--local", "--yes"),
    (no_snapshots, 1, "restore.py", "--undo", "--yes"),
    (no_snapshots, 1, "restore.py", "--at", "1999-01-01", "--yes"),
    (no_snapshots, 2, "restore.py"),
    (no_snapshots, 1, "restore.py", "--table", "nothing", "--yes"),
    (no_snapshots, 1, "test_backup.py", "--send-alert"),
    (no_setup, 1, "setup_supabase.py", "--check"),
    (no_setup, 1, "restore.py", "--list"),
    *((unreachable, 1, *script) for script in (
        ("backup.py",), ("backup.py", "--verify"), ("restore.py", "--yes"), ("restore.py", "--drill"), ("setup_supabase.py",),
        ("setup_supabase.py", "--check"), ("test_backup.py",))),
    *((misspelt, 2, script, "--bogus") for script in ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py")),
    *((misspelt, 2, script) for script in ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py")),
]  # fmt: skip


@pytest.mark.parametrize(("break_it", "status", "script", "flags"), [(one[0], one[1], one[2], one[3:]) for one in FAILING])
def test_a_failure_is_never_silent(saved_bot, break_it, status, script, flags):
    break_it(saved_bot)
    quiet = saved_bot.run(script, *flags, "--quiet").expect(status)
    assert "unexpected" not in quiet.stderr, quiet.stderr
    assert (quiet.stdout, quiet.stderr.strip() != "") == ("", True)
    told = saved_bot.run(script, *flags, "--json").expect(status)
    assert told.json["outcome"] == ("incomplete" if status == 3 else "failed")
    assert told.json["error"]
    assert told.json["try"]
    assert told.stderr.strip()


@pytest.mark.parametrize(
    "command",
    [("backup.py",), ("backup.py", "--verify"), ("backup.py", "--status"), ("restore.py", "--drill"), ("restore.py", "--list"),
     ("restore.py", "--yes"), ("setup_supabase.py",), ("setup_supabase.py", "--check"), ("test_backup.py",)],
)  # fmt: skip
def test_a_success_is_silent_if_it_is_to_be_quiet(saved_bot, command):
    done = saved_bot.run(*command, "--quiet").expect(0)
    assert (done.stdout, done.stderr) == ("", "")
