"""`backup.py --live` has each commit in Supabase within seconds, by ordinary runs but for the check of the file."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys

import pytest

from backup import back_up_all
from lib.backing_up.options import BackupOptions
from lib.live import turns
from lib.postgres.books.setup_version import VERSION
from lib.reporting import alerts
from lib.settings import config, limits
from lib.settings.config import UNCHECKED
from lib.sqlite.snapshots import copying, watched
from lib.trying import trial
from tests.stand_ins.bot import REPOSITORY, environment
from tests.stand_ins.inbox import Inbox
from tests.stand_ins.living import has, living, pay, saved
from tests.stand_ins.machine import with_cron
from tests.stand_ins.mounts import may_mount, mounted_at
from tests.stand_ins.unreachable import down

NOTHING_NEW = "SELECT count(*) FROM backup.sources WHERE live_at IS NULL OR live_at < clock_timestamp() - interval '90 s'"

NINE_HOURS = "interval '9 h'"


def noted(bot):
    """Return what is noted beside the newest snapshot."""
    return json.loads((bot.folder / "snapshots" / "premium_system.db.json").read_text())


def check_of(bot):
    """Return how the file of the newest run was checked."""
    return noted(bot)["check"]


def test_a_commit_is_in_supabase_unchecked_but_proven_and_can_be_restored(saved_bot):
    with living(saved_bot) as live:
        for payment in ("first", "second"):
            pay(saved_bot, payment)
            live.until_it_has(payment)
        live.until(lambda: check_of(saved_bot) == "unchecked")
        live.end()
        assert live.process.returncode == 128 + signal.SIGTERM
        assert live.stderr.read_text() == "Stopped by SIGTERM; what was not finished was rolled back.\n"
    saved_bot.assert_restorable()
    assert saved_bot.changes("--full") == {}
    assert check_of(saved_bot) == "full"


def test_nothing_is_written_where_nothing_changes_but_that_it_was_seen(saved_bot):
    with living(saved_bot) as live:
        pay(saved_bot, "one")
        live.until_it_has("one")
        runs = saved(saved_bot)
        saved_bot.sqlite(saved_bot.premium, "BEGIN; UPDATE refunds SET stars_amount = 0; ROLLBACK; PRAGMA user_version")
        live.until(lambda: saved_bot.query(NOTHING_NEW) == [(0,)], 90)
        assert saved(saved_bot) == runs


def test_the_status_says_how_far_behind_it_is_and_when_it_is_there_no_more(saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    assert "live" not in saved_bot.run("backup.py", "--status").stdout
    with living(saved_bot) as live:
        live.until(lambda: saved_bot.query(NOTHING_NEW) == [(0,)])
        saved_bot.query(
            f"UPDATE backup.runs SET started_at = started_at - {NINE_HOURS}, finished_at = finished_at - {NINE_HOURS}"
        )
        status = saved_bot.run("backup.py", "--status", "--max-age", "7h").expect(0).stdout
        assert len(re.findall(r"\n  live: \d+ seconds? behind\n", status)) == 2
        assert "\nschedule: live backups alone, which check the files every six hours, too\n" in status
    saved_bot.query("UPDATE backup.sources SET live_at = live_at - interval '8 h'")
    status = saved_bot.run("backup.py", "--status", "--max-age", "7h").expect(1).stdout
    assert "  live: ⚠️  not seen for 8 hours\n" in status
    assert "live backups were last seen 8 hours ago. Try: start them again; if they have ended for good:" in status
    saved_bot.run("setup_supabase.py").expect(0)
    assert "live" not in saved_bot.run("backup.py", "--status").stdout


def test_a_schema_that_changes_is_checked_and_so_is_a_file_that_takes_the_place_of_another(saved_bot):
    with living(saved_bot) as live:
        pay(saved_bot, "one")
        live.until(lambda: check_of(saved_bot) == "unchecked")
        saved_bot.sqlite(saved_bot.premium, "CREATE INDEX of_tests ON refunds (owner_id)")
        live.until(lambda: check_of(saved_bot) == "full")
        pay(saved_bot, "two")
        live.until(lambda: check_of(saved_bot) == "unchecked")
        other = saved_bot.folder / "other.db"
        saved_bot.sqlite(saved_bot.premium, f"VACUUM INTO '{other}'")
        other.replace(saved_bot.premium)
        pay(saved_bot, "three")
        live.until_it_has("three")
        live.until(lambda: check_of(saved_bot) == "full")
    saved_bot.assert_restorable()


def test_what_was_changed_in_supabase_is_put_right_by_a_checked_run(saved_bot):
    with living(saved_bot) as live:
        saved_bot.query("DELETE FROM backup_premium_system.refunds")
        pay(saved_bot, "one")
        live.until_it_has("one")
        live.until(lambda: check_of(saved_bot) == "full")
        live.until(lambda: "somebody changed the mirror by hand" in live.stderr.read_text())
    saved_bot.assert_restorable()


def test_somebody_elses_run_in_between_is_gone_on_from(saved_bot):
    with living(saved_bot) as live:
        for payment in ("one", "two"):
            pay(saved_bot, payment)
            saved_bot.run("backup.py").expect(0)
            pay(saved_bot, f"{payment} more")
            live.until_it_has(f"{payment} more")
        again = saved_bot.run("backup.py", "--live", "2s").expect(1).stderr
        assert again.startswith(f"Error: live backups with {saved_bot.folder}/.env run already.\n")
    saved_bot.assert_restorable()


def test_the_brake_judges_by_the_last_run_whose_file_was_checked(saved_bot):
    counted = "SELECT count(*) FROM backup_user_requests.message_owners"
    with contextlib.closing(sqlite3.connect(saved_bot.requests, isolation_level=None)) as bots, living(saved_bot) as live:
        (rows,) = bots.execute("SELECT count(*) FROM message_owners").fetchone()
        some = f"DELETE FROM message_owners WHERE rowid IN (SELECT rowid FROM message_owners LIMIT {rows * 45 // 100})"
        bots.execute(some)
        ((left,),) = bots.execute("SELECT count(*) FROM message_owners").fetchall()
        live.until(lambda: saved_bot.query(counted) == [(left,)])
        bots.execute(some)
        live.until(lambda: "user_requests has lost 62 %" in live.stderr.read_text())
        assert saved_bot.query(counted) == [(left,)]
        saved_bot.run("backup.py", "user_requests", "--accept-shrink").expect(0)
        bots.execute("INSERT INTO user_requests VALUES (1, 1, 'a late one', 1)")
        late = "SELECT count(*) FROM backup_user_requests.user_requests WHERE gift_name = 'a late one'"
        live.until(lambda: saved_bot.query(late) == [(1,)])


@pytest.mark.campaign
def test_an_outage_is_told_once_and_then_that_all_is_well(saved_bot, line):
    inbox = Inbox()
    with open(saved_bot.folder / ".env", "a") as settings:
        settings.write(f"ALERT_WEBHOOK_URL={inbox.url}\n")
    with living(saved_bot) as live:
        line.cut()  # nobody needs to hear of a connection that was cut while nobody used it
        pay(saved_bot, "one")
        live.until_it_has("one")
        assert inbox.got == []
        line.is_down = True
        line.cut()
        pay(saved_bot, "two")
        live.until(lambda: live.stderr.read_text().count("Error: ") > 2)
        line.is_down = False
        live.until_it_has("two")
        live.until(lambda: any("Works again: " in text for text in inbox.texts()))
    failed = [text for text in inbox.texts() if "Error: " in text]
    assert failed
    assert max(sum(f"{path.stem} →" in text for text in failed) for path in saved_bot.databases) == 1
    saved_bot.assert_restorable()


def test_a_restore_under_its_feet_is_what_counts(saved_bot):
    with living(saved_bot) as live:
        (run, _) = saved(saved_bot)[-1]
        pay(saved_bot, "one")
        live.until_it_has("one")
        saved_bot.run("restore.py", "--at", str(run), "--yes").expect(0)
        live.until(lambda: not has(saved_bot, "one"))
        pay(saved_bot, "two")
        live.until_it_has("two")
    saved_bot.assert_restorable()


def damage(bot):
    """Let an index hold what no row has, behind SQLite's back."""
    with contextlib.closing(sqlite3.connect(bot.premium, isolation_level=None)) as bots:
        ((root,),) = bots.execute("SELECT rootpage FROM sqlite_master WHERE name = 'idx_expires'").fetchall()
        ((size,),) = bots.execute("PRAGMA page_size").fetchall()
    with open(bot.premium, "r+b") as file:
        file.seek(root * size - 3)
        file.write(b"\x7f")


def test_a_damaged_file_is_told_with_the_run_to_go_back_to(saved_bot):
    with living(saved_bot) as live:
        checked = max(run for run, source in saved(saved_bot) if source == "premium_system")
        pay(saved_bot, "one")
        live.until_it_has("one")
        damage(saved_bot)
        pay(saved_bot, "two")
        live.until_it_has("two")
        live.until(lambda: noted(saved_bot)["run"] == max(run for run, source in saved(saved_bot) if source == "premium_system"))
    local = saved_bot.run("restore.py", "--database", "premium_system", "--local", "--yes").expect(1).stderr
    assert local.startswith("Error: this machine's snapshot of premium_system is damaged: ")
    assert f"Try: restore it from Supabase:  python3 restore.py --database premium_system --at {checked}\n" in local
    said = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert f" It was found sound last by run {checked}, " in said
    assert f"Try: restore it with  python3 restore.py --database premium_system --at {checked}\n" in said
    saved_bot.run("restore.py", "--database", "premium_system", "--at", str(checked), "--yes").expect(0)


def test_a_setting_that_is_changed_is_said_to_need_a_start(saved_bot):
    with living(saved_bot) as live:
        saved_bot.write_env(BACKUP_KEEP_DAYS="20")
        live.until(lambda: "was changed: that counts for live backups when they are started again." in live.stderr.read_text())


def test_a_target_that_is_gone_holds_up_no_other(saved_bot):
    saved_bot.write_env(SUPABASE_DB_URL_2=down(saved_bot.url))
    with living(saved_bot) as live:
        pay(saved_bot, "one")
        live.until_it_has("one")
        live.until(lambda: "Error: target 2: " in live.stderr.read_text())
        pay(saved_bot, "two")
        live.until_it_has("two")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_can_be_ended_in_the_middle_of_anything(saved_bot, line, number):
    with living(saved_bot) as live:
        line.reset(silent_from=2)
        pay(saved_bot, "one")
        live.until(lambda: line.questions > 1)
        live.end(number)
        line.reset()
    saved_bot.run("backup.py").expect(0)
    saved_bot.assert_restorable()


def test_what_another_run_has_found_is_not_passed_over(saved_bot):
    with living(saved_bot) as live:
        pay(saved_bot, "one")
        live.until_it_has("one")
        damage(saved_bot)
        live.until(lambda: saved_bot.run("backup.py", "premium_system").status == 1)  # beside a batch it has nothing to do
        pay(saved_bot, "two")
        live.until(lambda: "It was found sound last by run" in live.stderr.read_text())
        assert not has(saved_bot, "two")
        assert "premium_system: the last run failed: " in saved_bot.run("backup.py", "--status").expect(1).stderr


def test_the_heartbeat_hears_of_no_success_while_another_source_fails(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(HEARTBEAT_URL=f"{inbox.url}/mine")
    settings = config.load(str(saved_bot.folder / ".env"))
    assert alerts.beat(settings) == []
    saved_bot.requests.unlink()
    saved_bot.run("backup.py").expect(3)
    assert alerts.beat(settings) == []
    inbox.shutdown()
    assert inbox.paths().count("/mine") == 1


def test_who_ends_it_in_the_middle_has_made_no_run_fail(saved_bot, line):
    with living(saved_bot) as live:
        line.reset(silent_from=2)
        pay(saved_bot, "one")
        live.until(lambda: line.questions > 1)
        live.end()
        line.reset()
    assert "failed" not in saved_bot.run("backup.py", "--status").stdout


def test_what_cannot_be_reached_costs_no_copy(saved_bot, line):
    with living(saved_bot) as live:
        line.is_down = True
        line.cut()
        pay(saved_bot, "one")
        live.until(lambda: live.stderr.read_text().count("Error: ") > 2)
        assert [path for path in (saved_bot.folder / "snapshots").iterdir() if path.suffix == ".taking"] == []
        line.is_down = False
        live.until_it_has("one")


def test_newer_scripts_at_work_end_it_so_that_it_is_started_anew(saved_bot):
    with living(saved_bot) as live:
        (comment,) = saved_bot.query("SELECT obj_description('backup'::regnamespace)")[0]
        saved_bot.query(f"COMMENT ON SCHEMA backup IS '{comment.replace(f'version {VERSION}', f'version {VERSION + 1}')}'")
        pay(saved_bot, "one")
        assert live.process.wait(60) == 1
        assert live.stderr.read_text().startswith("Error: 127.0.0.1 was set up by a newer Hybrid backup ")


def test_what_stays_so_is_said_once(saved_bot):
    megabytes = saved_bot.query("SELECT pg_database_size(current_database()) / 1000000 + 2")[0][0]
    with open(saved_bot.folder / ".env", "a") as settings:
        settings.write(f"BACKUP_MAX_DATABASE_MB={megabytes}\n")
    with living(saved_bot) as live:
        for number in range(4):
            pay(saved_bot, f"payment {number}")
            live.until_it_has(f"payment {number}")
        # Once for each of the first, ordinary runs, and once with a batch.
        assert live.stderr.read_text().count(f" MB of {megabytes}.0 MB") == 3


def test_what_is_no_database_holds_nobody_up(tmp_path):
    loop, pipe = tmp_path / "loop.db", tmp_path / "pipe.db"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    assert watched.state(loop) == watched.state(tmp_path / "missing.db") == ((), (), b"", b"")
    assert watched.state(pipe)[2:] == (b"", b"")


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_every_commit_makes_another_state(tmp_path, mode):
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as bots:
        bots.execute(f"PRAGMA journal_mode = {mode}")
        bots.execute("PRAGMA synchronous = OFF")
        bots.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, what)")
        states = {watched.state(path)}
        for number in range(2000):
            bots.execute("INSERT OR REPLACE INTO t VALUES (1, ?)", [number])
            states.add(watched.state(path))
    assert len(states) == 2001


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_what_we_copy_is_not_changed_by_that(tmp_path, mode, is_open):
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as bots:
        bots.execute(f"PRAGMA journal_mode = {mode}")
        bots.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, what)")
        if not is_open:
            bots.close()
        copying.copy(path, tmp_path / "copies", UNCHECKED).remove()  # the first one finds no -shm where the bot is not there
        before = watched.state(path)
        for _ in range(3):
            copying.copy(path, tmp_path / "copies", UNCHECKED).remove()
            assert watched.state(path) == before


def test_an_ordinary_run_may_be_silent_for_longer_than_a_batch_also_after_a_failure(saved_bot):
    """What took too long as a batch would else be cut again and again."""
    settings, allowed = config.load(str(saved_bot.folder / ".env")), []

    def back_up(settings, sources, *, reach):
        allowed.append((settings.is_live, limits.SILENCE_SECONDS, sorted(sources)))
        return back_up_all(settings, sources, BackupOptions(), trial.silent(), reach)

    live = turns.Live(settings, settings.sources, 2, back_up, trial.silent())
    live.turn()
    for watch in live._watches:
        watch.failure = "the batch was cut"
    live.turn()
    saved_bot.sqlite(saved_bot.premium, "UPDATE payment_history SET stars_amount = 1 WHERE id = 1")
    live.turn()
    both = ["premium_system", "user_requests"]
    assert allowed == [(False, 300, both), (False, 300, both), (True, 60, ["premium_system"])]


def test_what_is_replaced_while_another_one_is_being_run_is_no_batch(saved_bot, tmp_path):
    """And a file that is written over by an older one is another one, though its inode is the same."""
    before = watched.state(saved_bot.premium)
    copy = saved_bot.premium.read_bytes()
    saved_bot.sqlite(
        saved_bot.premium, "UPDATE payment_history SET stars_amount = 1; UPDATE payment_history SET stars_amount = 2"
    )
    after = watched.state(saved_bot.premium)
    assert watched.is_same_file(after, before)
    saved_bot.premium.write_bytes(copy)
    assert not watched.is_same_file(watched.state(saved_bot.premium), after)
    settings, kinds = config.load(str(saved_bot.folder / ".env")), []

    def back_up(settings, sources, *, reach):
        kinds.append((settings.is_live, sorted(sources)))
        if len(kinds) == 2:
            other = tmp_path / "other.db"
            other.write_bytes(saved_bot.requests.read_bytes())
            other.replace(saved_bot.requests)
        return back_up_all(settings, sources, BackupOptions(), trial.silent(), reach)

    live = turns.Live(settings, settings.sources, 2, back_up, trial.silent())
    live.turn()
    live._watches[0].failure = "it is tried again, as an ordinary run"
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM linked_messages")
    live.turn()
    live.turn()
    assert kinds == [(False, ["premium_system", "user_requests"]), (False, ["premium_system"]), (False, ["user_requests"])]


TURNS = """import functools, sys
from backup import back_up_all
from lib.backing_up.options import BackupOptions
from lib.base.script import Console
from lib.live import turns
from lib.settings import config
settings, console = config.load(sys.argv[1]), Console()
back_up = functools.partial(back_up_all, options=BackupOptions(), console=console)
live = turns.Live(settings, settings.sources, 1, back_up, console)
for _ in range(4):
    live.turn()
    print(*(f"{watch.source} {watch.pause.length:g}" for watch in live._watches))
    for watch in live._watches:
        watch.pause.until = 0
"""


@pytest.mark.skipif(not may_mount(), reason="this user may not make a mount namespace")
def test_where_nothing_can_be_noted_after_a_failure_each_pause_is_longer_than_the_last(saved_bot):
    """What stays noted is the failure, whatever has been saved since; a file that is a mount takes no other one in its place."""
    away = saved_bot.requests.rename(saved_bot.folder / "away.db")
    saved_bot.run("backup.py").expect(3)
    away.rename(saved_bot.requests)
    notes = config.load(str(saved_bot.folder / ".env")).noted_runs
    command = [*mounted_at(notes, notes), sys.executable, "-c", TURNS, str(saved_bot.folder / ".env")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=REPOSITORY)
    pauses = [line for line in done.stdout.splitlines() if line.startswith("premium_system 0 ")]
    assert pauses == [f"premium_system 0 user_requests {length}" for length in (1, 2, 4, 8)], done.stderr
    assert done.stderr.count(f"{notes} cannot be written") == 1
