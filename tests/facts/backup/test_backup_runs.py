"""A backup mirrors the source: all of it, nothing more, and never half."""

import contextlib
import functools
import os
import shutil
import subprocess

import psycopg2
import pytest

import backup
from lib.backing_up import dry_run, rehearsal
from lib.backing_up.options import BackupOptions
from lib.base import script
from lib.postgres.books import runs
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import sending
from lib.settings import config
from lib.sqlite.snapshots import snapshot as snapshots
from lib.trying import sample_bot, trial
from tests.stand_ins.bot import BOT_TABLES, environment


def counts(path, bot):
    names = bot.sqlite_rows(path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: bot.sqlite_rows(path, f'SELECT count(*) FROM "{name}"')[0][0] for (name,) in names}


def test_every_table_of_the_bot_has_as_many_rows_in_its_mirror(saved_bot):
    expected = counts(saved_bot.premium, saved_bot) | counts(saved_bot.requests, saved_bot)
    assert set(expected) == set(BOT_TABLES)
    assert saved_bot.mirror_counts() == expected
    assert sum(expected.values()) > 0


def test_second_run_changes_nothing(saved_bot):
    assert saved_bot.changes() == {}


def test_second_full_run_rewrites_no_row(saved_bot):
    assert saved_bot.changes("--full") == {}
    touched = saved_bot.query(
        "SELECT relname, n_tup_upd, n_tup_del, n_dead_tup FROM pg_stat_user_tables"
        " WHERE schemaname LIKE 'backup\\_%' AND n_tup_upd + n_tup_del + n_dead_tup > 0"
    )
    assert touched == []


def test_deleted_rows_vanish_from_the_mirror(saved_bot):
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM message_owners WHERE message_id % 3 = 0")
    assert saved_bot.changes()["message_owners"][2] > 0
    assert saved_bot.query("SELECT count(*) FROM backup_user_requests.message_owners WHERE message_id % 3 = 0") == [(0,)]
    saved_bot.assert_restorable()


def test_an_emptied_table_is_empty_in_the_mirror(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM pending_payments")
    saved_bot.changes()
    assert saved_bot.query("SELECT count(*) FROM backup_premium_system.pending_payments") == [(0,)]


def test_a_renewed_subscription_replaces_the_old_row(saved_bot):
    (old,) = saved_bot.sqlite_rows(saved_bot.premium, "SELECT id, owner_id, group_id FROM premium_subscriptions LIMIT 1")
    saved_bot.sqlite(
        saved_bot.premium,
        "INSERT OR REPLACE INTO premium_subscriptions"
        " (owner_id, group_id, payment_id, telegram_payment_charge_id, stars_amount, created_at)"
        f" VALUES ({old[1]}, {old[2]}, 'renewed', 'charge', 99, 1)",
    )
    assert saved_bot.changes()["premium_subscriptions"] == (1, 0, 1)
    found = saved_bot.query(
        "SELECT id, payment_id FROM backup_premium_system.premium_subscriptions WHERE owner_id = %s AND group_id = %s", old[1:]
    )
    assert len(found) == 1
    assert found[0][0] != old[0]
    assert found[0][1] == "renewed"


def test_two_rows_may_swap_a_unique_value(saved_bot):
    first, second = saved_bot.sqlite_rows(saved_bot.premium, "SELECT id, group_id FROM refunded_groups ORDER BY id LIMIT 2")
    saved_bot.sqlite(
        saved_bot.premium,
        f"UPDATE refunded_groups SET group_id = 0 WHERE id = {first[0]};"
        f"UPDATE refunded_groups SET group_id = {first[1]} WHERE id = {second[0]};"
        f"UPDATE refunded_groups SET group_id = {second[1]} WHERE id = {first[0]};",
    )
    assert saved_bot.changes() == {"refunded_groups": (0, 2, 0)}
    saved_bot.assert_restorable()


def test_orphaned_refunds_are_normal(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET subscription_id = 999999999 WHERE id = 1")
    assert saved_bot.changes() == {"refunds": (0, 1, 0)}


def test_a_day_of_the_bot_comes_back_identical(saved_bot):
    for seed in range(3):
        sample_bot.live(saved_bot.data, seed)
        assert saved_bot.changes()
        saved_bot.assert_restorable()
    assert saved_bot.changes() == {}


@pytest.mark.campaign
def test_a_new_table_and_a_new_column_are_mirrored_and_announced(saved_bot):
    saved_bot.sqlite(
        saved_bot.premium,
        "CREATE TABLE gifts (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO gifts VALUES (1, 'Cap');"
        "ALTER TABLE refunds ADD COLUMN note TEXT; UPDATE refunds SET note = 'new' WHERE id = 2;",
    )
    found = saved_bot.run("backup.py", "--json").expect(0)
    warnings = sorted(found.json["warnings"])
    assert "Put into sql/tables/premium_system.sql:\nCREATE TABLE gifts (\n    id bigint" in warnings[0]
    assert "ALTER TABLE refunds ADD COLUMN note text;" in warnings[1]
    assert len(warnings) == 2
    assert saved_bot.query("SELECT note FROM backup_premium_system.refunds WHERE id = 2") == [("new",)]
    assert saved_bot.query("SELECT name FROM backup_premium_system.gifts") == [("Cap",)]
    saved_bot.assert_restorable()
    assert saved_bot.run("backup.py").expect(0).stderr == ""


@pytest.mark.campaign
def test_a_dropped_column_and_table_stay_in_the_mirror(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DROP TABLE refunded_groups; ALTER TABLE payment_history DROP COLUMN status")
    saved_bot.backup("--accept-shrink")
    assert saved_bot.query("SELECT count(*) > 0 FROM backup_premium_system.refunded_groups") == [(True,)]
    assert saved_bot.query("SELECT count(status) > 0 FROM backup_premium_system.payment_history") == [(True,)]
    saved_bot.sqlite(
        saved_bot.premium,
        "INSERT INTO payment_history (owner_id, payment_id, stars_amount, created_at) VALUES (1, 'after', 2, 3)",
    )
    assert saved_bot.changes()["payment_history"] == (1, 0, 0)
    saved_bot.assert_restorable()


def test_json_follows_the_contract(saved_bot):
    found = saved_bot.backup()
    assert set(found) == {"outcome", "seconds", "runs", "warnings"}
    assert [run["source"] for run in found["runs"]] == ["premium_system", "user_requests"]
    for run in found["runs"]:
        assert set(run) == {
            "run", "source", "target", "number", "outcome", "seconds", "bytes_sent", "bytes_received", "round_trips", "tables",
        }  # fmt: skip
        assert run["outcome"] == "saved"
        assert run["round_trips"] > 0
        for table in run["tables"]:
            assert set(table) == {
                "table", "rows", "inserted", "updated", "deleted", "misfits", "bytes_sent", "seconds",
            }  # fmt: skip


def test_success_is_silent_without_a_terminal_and_leaves_its_line_in_the_log(saved_bot):
    done = saved_bot.run("backup.py").expect(0)
    assert (done.stdout, done.stderr) == ("", "")
    log = saved_bot.folder / "supabase_backup.log"
    assert log.stat().st_mode & 0o077 == 0
    found = subprocess.run(["grep", "Last Sync", log], capture_output=True, text=True).stdout.splitlines()
    assert len(found) == 2
    assert found[-1].split("Last Sync: ")[1].count(":") == 2


def test_one_source_may_be_named(saved_bot):
    found = saved_bot.backup("user_requests")
    assert [run["source"] for run in found["runs"]] == ["user_requests"]
    assert "there is no source nobody" in saved_bot.run("backup.py", "nobody").expect(2).stderr


@pytest.mark.parametrize("flag", ["--dry-run", "--verify"])
def test_looking_changes_nothing(saved_bot, flag):
    sample_bot.live(saved_bot.data, 5)
    before = saved_bot.query("SELECT max(run) FROM backup.runs"), saved_bot.mirror_counts()
    saved_bot.run("backup.py", flag)
    assert (saved_bot.query("SELECT max(run) FROM backup.runs"), saved_bot.mirror_counts()) == before


def test_dry_run_says_what_a_backup_would_do(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds WHERE id = 1; UPDATE refunds SET status = 'x' WHERE id = 2")
    said = saved_bot.run("backup.py", "--dry-run").expect(0).stdout
    assert "premium_system.refunds: would insert 0, update 1, delete 1" in said
    assert saved_bot.changes()["refunds"] == (0, 1, 1)


def sent(tables):
    return {table["table"]: table["bytes_sent"] for table in tables if table["bytes_sent"]}


@pytest.mark.parametrize("flags", [(), ("--full",)])
def test_dry_run_sends_what_a_backup_would_send(saved_bot, flags):
    sample_bot.live(saved_bot.data, 5)
    foreseen = saved_bot.run("backup.py", "--dry-run", "--json", *flags).expect(0).json["tables"]
    done = [table for run in saved_bot.backup(*flags)["runs"] for table in run["tables"]]
    assert sent(foreseen) == sent(done)
    assert 0 < len(sent(done)) < len(done)
    assert [table["inserted"] for table in foreseen] == [table["inserted"] for table in done]


def test_dry_run_of_a_source_that_the_brake_would_stop_says_what_is_lost(saved_bot):
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM message_owners")
    said = saved_bot.run("backup.py", "--dry-run").expect(0).stdout
    assert "user_requests.message_owners: would insert 0, update 0, delete 5,494" in said
    saved_bot.run("backup.py", "user_requests").expect(1)


def test_dry_run_keeps_no_backup_from_its_work(saved_bot):
    """It asks for nothing that another run would have to wait for before it begins to merge."""
    settings = config.load(saved_bot.folder / ".env")
    with Target(settings.targets[0], settings.schema) as target, target.rehearsal():
        runs.look(target, "premium_system", {})
        saved_bot.backup()


REFUSED = {
    "an opened schema": ("GRANT USAGE ON SCHEMA backup_premium_system TO anon", "others can get in: anon"),
    "another bot": (
        "UPDATE backup.sources SET origin_path = '/other/premium_system.db', origin_machine = 'other'",
        "another bot",
    ),
    "lost rows": ("UPDATE backup.run_tables SET rows = 100000 WHERE table_name = 'refunds'", "has lost 9"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_dry_run_says_what_a_backup_would_refuse(saved_bot, reason):
    """It shows what would change all the same; a mirror that must be made anew does not hide it."""
    statement, said = REFUSED[reason]
    saved_bot.query(statement)
    saved_bot.query("DROP TABLE backup_premium_system.pending_payments")
    refusal = saved_bot.run("backup.py", "premium_system").expect(1).stderr
    assert said in refusal
    done = saved_bot.run("backup.py", "--dry-run", "premium_system").expect(0)
    assert "premium_system.refunds: would insert 0" in done.stdout
    assert said in next(line for line in done.stderr.splitlines() if "a backup would refuse this: " in line)
    (told,) = [
        text for text in saved_bot.run("backup.py", "--dry-run", "--json", "premium_system").json["warnings"] if said in text
    ]
    assert told.startswith("a backup would refuse this: ")


def test_dry_run_says_what_others_have_done(saved_bot):
    saved_bot.query("UPDATE backup_premium_system.refunds SET status = 'by hand' WHERE id = 3")
    saved_bot.query("ALTER TABLE backup_premium_system.payment_history DROP COLUMN payment_id")
    done = saved_bot.run("backup.py", "--dry-run", "premium_system").expect(0)
    for said in ("somebody changed the mirror by hand", "somebody has altered the mirror"):
        assert said in done.stderr
        assert said in saved_bot.run("backup.py", "--dry-run", "premium_system").stderr
    assert "a backup would do this, and say: " in done.stderr


@pytest.mark.parametrize("full", [False, True])
def test_dry_run_holds_nobody_off_while_it_sends(saved_bot, monkeypatch, full):
    """Another run, and a person, get in while its rows are on their way; all of them are merged in the end."""
    sample_bot.live(saved_bot.data, 5)
    held, copy_in, said = [], Target.copy_in, []
    locks = "SELECT relation::regclass::text FROM pg_locks WHERE mode ~ 'Exclusive' AND relation::regclass::text ~ '^backup'"

    def sent_beside(*about):
        copy_in(*about)
        held.append(saved_bot.query(locks))

    monkeypatch.setattr(sending, "MUCH_BYTES", 1)
    monkeypatch.setattr(Target, "copy_in", sent_beside)
    monkeypatch.setattr(script.Console, "say", lambda _, text: said.append(text))
    settings = config.load(saved_bot.folder / ".env")
    rehearse = functools.partial(rehearsal.rehearse, backup.bring, BackupOptions(full=full))
    assert not any(dry_run.show(settings, settings.sources, rehearse, trial.silent()).values())
    assert len(held) > 3
    assert held == [[]] * len(held)
    assert "premium_system.payment_history: would insert" in "".join(said)


@pytest.mark.campaign
def test_verify_finds_what_somebody_changed_in_the_mirror(saved_bot):
    saved_bot.run("backup.py", "--verify").expect(0)
    saved_bot.query("UPDATE backup_premium_system.payment_history SET stars_amount = stars_amount + 1 WHERE id = 3")
    found = saved_bot.run("backup.py", "--verify", "--json").expect(1).json
    assert [table["table"] for table in found["tables"] if not table["is_equal"]] == ["payment_history"]
    assert saved_bot.changes("--full")["payment_history"] == (0, 1, 0)
    saved_bot.run("backup.py", "--verify").expect(0)


def test_status_tells_the_last_success_and_its_age(saved_bot):
    said = saved_bot.run("backup.py", "--status").expect(0).stdout
    assert "premium_system → 127.0.0.1" in said
    assert "last success: run 1, " in said
    saved_bot.run("backup.py", "--status", "--max-age", "7h").expect(0)
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '8 hours'")
    late = saved_bot.run("backup.py", "--status", "--max-age", "7h").expect(1)
    assert "premium_system, user_requests: the last success is 8 hours old, more than 7h." in late.stderr


def test_two_runs_of_one_source_do_not_meet(saved_bot):
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as other:
        number = saved_bot.query(
            "INSERT INTO backup.runs (source, machine, version) VALUES ('premium_system', 'server', '1') RETURNING run"
        )
        other.cursor().execute("SELECT pg_advisory_xact_lock(hashtextextended('backup.premium_system', 0))")
        saved_bot.run("backup.py").expect(0)
        assert f"premium_system is being backed up already (run {number[0][0]} on server, since " in saved_bot.log
    saved_bot.run("backup.py").expect(0)
    closed = saved_bot.query("SELECT outcome, error FROM backup.runs WHERE run = %s", number[0])
    assert closed == [("failed", "killed or cut off before it ended")]


@pytest.mark.campaign
def test_an_unchanged_file_sends_no_row(saved_bot):
    found = saved_bot.backup()
    assert [table["bytes_sent"] for run in found["runs"] for table in run["tables"]] == [0] * 9
    assert [run["bytes_sent"] for run in found["runs"] if run["bytes_sent"] > 40_000] == []
    sent = [table for run in saved_bot.backup("--full")["runs"] for table in run["tables"] if table["rows"]]
    assert all(table["bytes_sent"] > 0 for table in sent)
    assert saved_bot.mirror_counts() == counts(saved_bot.premium, saved_bot) | counts(saved_bot.requests, saved_bot)
    saved_bot.assert_restorable()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE backup_premium_system.refunds SET status = 'by hand' WHERE id = 1",
        "DELETE FROM backup.misfit_rows WHERE source = 'premium_system'",
        "ALTER TABLE backup_premium_system.refunds DISABLE TRIGGER USER; DELETE FROM backup_premium_system.refunds",
        "DROP TABLE backup_premium_system.refunds CASCADE",
        "ALTER TABLE backup_premium_system.refunds DROP COLUMN status",
        "UPDATE backup.runs SET snapshot_hash = 'foreign'",
    ],
)
def test_an_unchanged_file_is_sent_all_the_same_where_the_mirror_may_have_changed(saved_bot, damage):
    saved_bot.query(damage)
    saved_bot.backup()
    assert saved_bot.run("backup.py", "--verify").expect(0)
    saved_bot.assert_restorable()


def test_a_snapshot_that_cannot_be_kept_is_a_warning(saved_bot):
    shutil.rmtree(saved_bot.folder / "snapshots")
    with snapshots.taken(saved_bot.premium, saved_bot.folder / "snapshots", "full") as snapshot:
        (warning,) = snapshot.keep_as(saved_bot.folder / "nowhere" / "premium_system.db", {})
    assert "the snapshot cannot be kept as" in warning


def test_a_log_that_cannot_be_written_is_named(saved_bot):
    saved_bot.write_env(BACKUP_LOG="nowhere/log")
    said = saved_bot.run("backup.py").expect(0).stderr
    assert "nowhere/log cannot be written (No such file or directory): correct BACKUP_LOG in .env" in said


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_changes_nothing(saved_bot, closed):
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *saved_bot.command("backup.py")]
    assert subprocess.run(command, capture_output=True, env=environment(), timeout=60).returncode == 0
    missing = [*command[:-1], str(saved_bot.folder / "missing.env")]
    assert subprocess.run(missing, capture_output=True, env=environment(), timeout=60).returncode == 2
    ((runs,),) = saved_bot.query("SELECT count(*) FROM backup.runs WHERE outcome = 'saved' AND source = 'premium_system'")
    assert runs == 2
