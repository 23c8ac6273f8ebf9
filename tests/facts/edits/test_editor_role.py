"""The editor role can make exactly the edits that are accepted, and reaches nothing else of ours."""

import contextlib

import psycopg2
import pytest

from tests.stand_ins.bot import Bot
from tests.stand_ins.editing import S, is_mirrored, outcomes

ACCEPTED = (
    "premium_subscriptions.expires_at,premium_subscriptions.is_active,pending_payments.insert,refunds.delete,refunds.status"
)


@pytest.fixture
def editor(saved_bot):
    """The same bot, asked as the editor."""
    saved_bot.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    said = saved_bot.run("setup_supabase.py", "--editor-role").expect(0).stdout
    role, password = said.split("they are not shown again:\n")[1].split("\n")[0].strip().split(":")
    assert role == "backup_editor"
    assert password not in (saved_bot.folder / "supabase_backup.log").read_text()
    return Bot(saved_bot.folder, saved_bot.url.replace(f"postgres:{saved_bot.password}", f"{role}:{password}"))


def test_what_the_editor_may_change_comes_back_with_his_name(editor, saved_bot):
    editor.query(f"UPDATE {S} SET expires_at = 5, is_active = NOT is_active WHERE id = 2")
    editor.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    editor.query("DELETE FROM backup_premium_system.refunds WHERE id = 1")
    saved_bot.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(saved_bot)] == ["applied"] * 3
    assert saved_bot.query("SELECT DISTINCT made_by FROM backup.edits") == [("backup_editor",)]
    is_mirrored(saved_bot)


# What the editor tries, and may not.
REFUSED = {
    "another column": f"UPDATE {S} SET owner_id = 1 WHERE id = 2",
    "a key": f"UPDATE {S} SET id = 99 WHERE id = 2",
    "a row": f"INSERT INTO {S} SELECT * FROM {S} LIMIT 1",
    "deleting": f"DELETE FROM {S} WHERE id = 2",
    "emptying": "TRUNCATE backup_premium_system.refunds",
    "another table": "SELECT * FROM backup_premium_system.payment_history",
    "another database": "SELECT * FROM backup_user_requests.user_requests",
    "the undo log": "SELECT * FROM backup.undo_log",
    "the runs": "SELECT * FROM backup.runs",
    "what became of edits": "SELECT * FROM backup.edits",
    "the acceptance": "INSERT INTO backup.accepted_edits VALUES ('premium_system', 'premium_subscriptions.owner_id', 0)",
    "accepting": "SELECT backup.accept_edits('premium_system', '{premium_subscriptions.owner_id}')",
    "judging": "SELECT backup.judge_edits('premium_system', '[]', 0)",
    "running": "SELECT * FROM backup.open_run('premium_system', 'm', 'v', 't')",
    "thinning": "SELECT backup.prune('premium_system', 1, '1 h', '1 h')",
    "letting himself": "SELECT backup.let_edit('backup_editor', 'backup_premium_system', '[]')",
    "the trigger": f"ALTER TABLE {S} DISABLE TRIGGER ALL",
    "a trigger of his own": f"CREATE TRIGGER own AFTER UPDATE ON {S} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "the policy": f"DROP POLICY editor ON {S}",
    "the columns": f"ALTER TABLE {S} ADD COLUMN own text",
    "a table": "CREATE TABLE backup_premium_system.own (id int)",
    "replication": f"SET session_replication_role = replica; UPDATE {S} SET expires_at = 1 WHERE id = 2",
    "the views": "SELECT * FROM backup_analytics.mrr",
    "being the writer": "SET ROLE backup_writer",
    "being the owner": "SET ROLE postgres",
}


def test_what_the_editor_may_not(editor):
    refusals = (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidParameterValue)
    done = []
    for what, tried in REFUSED.items():
        with contextlib.suppress(refusals):
            editor.query(tried)
            done.append(what)
    assert done == []


def test_the_rights_follow_the_settings(editor, saved_bot):
    saved_bot.write_env(BACKUP_ACCEPT_EDITS="refunds.status")
    saved_bot.run("setup_supabase.py").expect(0)
    editor.query("UPDATE backup_premium_system.refunds SET status = 'done' WHERE id = 2")
    for gone in (
        f"UPDATE {S} SET expires_at = 1 WHERE id = 2",
        f"SELECT * FROM {S}",
        "DELETE FROM backup_premium_system.refunds",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            editor.query(gone)
    saved_bot.write_env()
    saved_bot.run("setup_supabase.py").expect(0)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        editor.query("SELECT * FROM backup_premium_system.refunds")
    assert saved_bot.query("SELECT * FROM backup.accepted_edits") == []


def test_what_he_puts_before_our_functions_is_not_called(editor, saved_bot):
    editor.query(
        "CREATE TEMP TABLE runs (run bigint); CREATE FUNCTION pg_temp.hashtextextended(text, bigint) RETURNS bigint "
        "LANGUAGE sql AS 'SELECT 1/0'; SET search_path = pg_temp, pg_catalog; "
        f"UPDATE {S} SET expires_at = 5 WHERE id = 2"
    )
    saved_bot.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(saved_bot)] == ["applied"]


@pytest.mark.parametrize("items", ["premium_subscriptions.expires", "nothing.insert", "nothing.delete", "premium_subscriptions"])
def test_a_name_that_nobody_has_is_refused(items, saved_bot):
    saved_bot.write_env(BACKUP_ACCEPT_EDITS=f"premium_subscriptions.expires_at,{items}")
    done = saved_bot.run("setup_supabase.py")
    assert done.status in (1, 2)
    assert items in done.stdout + done.stderr


def test_the_writer_role_brings_edits_back(writer, saved_bot):
    url = writer.url
    saved_bot.write_env(SUPABASE_DB_URL=url, BACKUP_ACCEPT_EDITS=ACCEPTED)
    saved_bot.run("backup.py").expect(0)
    saved_bot.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2; UPDATE {S} SET owner_id = 5 WHERE id = 4")
    saved_bot.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(saved_bot)] == ["applied", "refused"]
    assert "run " in saved_bot.run("backup.py", "--edits").expect(0).stdout
    is_mirrored(saved_bot)
