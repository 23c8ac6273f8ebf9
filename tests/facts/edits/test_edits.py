"""An edit made in Supabase comes into the bot's file where that is accepted: whole, once, and never over the bot's own change."""

import contextlib
import sqlite3

from tests import compare
from tests.stand_ins.editing import ACCEPTED, S, is_mirrored, outcomes
from tests.stand_ins.inbox import Inbox


def test_an_accepted_edit_is_in_the_bots_database_after_one_run(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    done = editing.run("backup.py", "--json").expect(0)
    assert editing.sqlite_rows(editing.premium, "SELECT expires_at FROM premium_subscriptions WHERE id = 2") == [(4102444800,)]
    (run,) = [run for run in done.json["runs"] if run["source"] == "premium_system"]
    (edit,) = run["edits"]
    assert edit == {
        "table": "premium_subscriptions", "key": {"id": 2}, "columns": ["expires_at"], "made_by": "postgres",
        "outcome": "applied", "reason": "",
    }  # fmt: skip
    assert done.json["warnings"] == []
    assert editing.query("SELECT run FROM backup.edits") == [(run["run"],)]
    is_mirrored(editing)
    assert editing.changes() == {}
    assert len(outcomes(editing)) == 1


def test_what_the_bot_has_changed_in_other_columns_stays(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800, is_active = NOT is_active WHERE id = 2")
    editing.sqlite(editing.premium, "UPDATE premium_subscriptions SET owner_id = 777 WHERE id = 2")
    editing.run("backup.py").expect(0)
    query = "SELECT expires_at, is_active, owner_id FROM premium_subscriptions WHERE id = 2"
    assert editing.sqlite_rows(editing.premium, query) == [(4102444800, 1, 777)]
    assert outcomes(editing) == [("premium_subscriptions", ["expires_at", "is_active"], "merged", "")]
    is_mirrored(editing)


def test_what_both_have_changed_is_a_conflict_and_the_bots_stands_whole(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800, mrkt_link = 'x' WHERE id = 2")
    editing.sqlite(editing.premium, "UPDATE premium_subscriptions SET expires_at = 5, mrkt_link = 'old' WHERE id = 2")
    said = editing.run("backup.py").expect(0).stderr
    assert (
        "premium_system.premium_subscriptions id = 2: expires_at, mrkt_link were changed in Supabase by postgres"
        in said.replace("mrkt_link, expires_at", "expires_at, mrkt_link")
    )
    assert "the bot has changed" in said
    assert editing.sqlite_rows(editing.premium, "SELECT expires_at, mrkt_link FROM premium_subscriptions WHERE id = 2") == [
        (5, "old")
    ]
    assert [outcome for _, _, outcome, _ in outcomes(editing)] == ["conflict"]
    is_mirrored(editing)
    assert editing.run("backup.py").expect(0).stderr == ""


def test_a_row_that_the_bot_has_deleted_is_a_conflict(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    editing.sqlite(editing.premium, "DELETE FROM premium_subscriptions WHERE id = 2")
    editing.run("backup.py").expect(0)
    assert [(outcome, reason) for _, _, outcome, reason in outcomes(editing)] == [("conflict", "the bot has deleted the row")]
    is_mirrored(editing)


def test_what_the_bot_has_already_is_applied(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    editing.sqlite(editing.premium, "UPDATE premium_subscriptions SET expires_at = 4102444800 WHERE id = 2")
    editing.run("backup.py").expect(0)
    assert [(outcome, reason) for _, _, outcome, reason in outcomes(editing)] == [
        ("applied", "the bot's database had it already")
    ]
    is_mirrored(editing)


def test_rows_are_added_and_deleted_where_that_is_accepted(editing):
    editing.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    editing.run("backup.py").expect(0)
    row = editing.sqlite_rows(editing.premium, "SELECT * FROM pending_payments WHERE id = 9001")
    assert row == [(9001, 5, "p", 10, 1, 2)]
    assert editing.sqlite_rows(editing.premium, "SELECT seq FROM sqlite_sequence WHERE name = 'pending_payments'") == [(9001,)]
    is_mirrored(editing)
    editing.query("DELETE FROM backup_premium_system.pending_payments WHERE id = 9001")
    editing.run("backup.py").expect(0)
    assert editing.sqlite_rows(editing.premium, "SELECT * FROM pending_payments WHERE id = 9001") == []
    assert [outcome for _, _, outcome, _ in outcomes(editing)] == ["applied", "applied"]
    is_mirrored(editing)


def test_a_row_that_both_have_added_is_a_conflict(editing):
    editing.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    editing.sqlite(editing.premium, "INSERT INTO pending_payments VALUES (9001, 6, 'q', 10, 1, 2)")
    editing.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(editing)] == ["conflict"]
    assert editing.sqlite_rows(editing.premium, "SELECT owner_id FROM pending_payments WHERE id = 9001") == [(6,)]
    is_mirrored(editing)


def test_a_row_that_the_bot_has_changed_is_not_deleted(editing):
    editing.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    editing.run("backup.py").expect(0)
    editing.query("DELETE FROM backup_premium_system.pending_payments WHERE id = 9001")
    editing.sqlite(editing.premium, "UPDATE pending_payments SET stars_amount = 11 WHERE id = 9001")
    editing.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(editing)] == ["applied", "conflict"]
    assert editing.sqlite_rows(editing.premium, "SELECT stars_amount FROM pending_payments WHERE id = 9001") == [(11,)]
    is_mirrored(editing)


# What is done in Supabase, and why it is refused.
REFUSED = {
    "a column that is not accepted": (
        f"UPDATE {S} SET owner_id = 1 WHERE id = 2",
        "premium_subscriptions.owner_id is not accepted",
    ),
    "one column of two": (f"UPDATE {S} SET expires_at = 1, owner_id = 1 WHERE id = 2", "owner_id is not accepted"),
    "a new row": (
        f"INSERT INTO {S} SELECT 9000, 9000, 9000, 'p', 't', 1, NULL, NULL, NULL, NULL, 1, 1, true",
        "insert is not accepted",
    ),
    "a key": (f"UPDATE {S} SET id = 9000 WHERE id = 2", "keys were changed in the same transaction"),
    "too much": (f"UPDATE {S} SET expires_at = 1", "rows at once"),
    "all": ("TRUNCATE backup_premium_system.refunds", "rows at once"),
    "NOT NULL": (
        "ALTER TABLE backup_premium_system.pending_payments ALTER payment_id DROP NOT NULL;"
        "INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, NULL, 10, 1, 2)",
        "NOT NULL constraint failed",
    ),
    "a foreign key": (
        "INSERT INTO backup_premium_system.refunds VALUES (9001, 123456, 1, 1, 'p', 1, NULL, 1, 'done', NULL)",
        "it breaks a foreign key",
    ),
    "a foreign key of others": (
        f"DELETE FROM {S} WHERE id = 4",
        "it breaks a foreign key",
    ),
}


def test_what_is_refused_says_why_and_the_bots_database_stands(editing):
    editing.sqlite(editing.premium, "INSERT INTO refunds VALUES (900, 4, 1, 1, 'p', 1, NULL, 1, 'done', NULL)")
    editing.run("backup.py").expect(0)
    before, judged = editing.premium.read_bytes(), 0
    for what, (edit, reason) in REFUSED.items():
        editing.query(edit)
        assert reason in editing.run("backup.py").expect(0).stderr, what
        assert editing.premium.read_bytes() == before, what
        new, judged = outcomes(editing)[judged:], len(outcomes(editing))
        assert {outcome for _, _, outcome, _ in new} == {"refused"}, what
        assert all(reason in why for _, _, _, why in new), what
    is_mirrored(editing)


def test_what_breaks_a_rule_is_refused_alone(editing):
    editing.query("INSERT INTO backup_premium_system.refunds VALUES (9001, 123456, 1, 1, 'p', 1, NULL, 1, 'done', NULL)")
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    editing.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(editing)] == ["refused", "applied"]
    assert editing.sqlite_rows(editing.premium, "SELECT expires_at FROM premium_subscriptions WHERE id = 2") == [(4102444800,)]
    is_mirrored(editing)


def test_triggers_act_only_where_that_is_accepted(editing):
    editing.sqlite(
        editing.premium,
        "CREATE TRIGGER touched AFTER UPDATE ON premium_subscriptions BEGIN "
        "UPDATE premium_subscriptions SET tonnel_link = 'touched' WHERE id = new.id; END",
    )
    editing.run("backup.py").expect(0)
    editing.query(f"UPDATE {S} SET expires_at = 1 WHERE id = 2")
    assert "premium_subscriptions.triggers is not accepted" in editing.run("backup.py").expect(0).stderr
    editing.write_env(BACKUP_ACCEPT_EDITS=f"{ACCEPTED},premium_subscriptions.triggers")
    editing.query(f"UPDATE {S} SET expires_at = 2 WHERE id = 2")
    editing.run("backup.py").expect(0)
    rows = editing.sqlite_rows(editing.premium, "SELECT expires_at, tonnel_link FROM premium_subscriptions WHERE id = 2")
    assert rows == [(2, "touched")]
    is_mirrored(editing)


def test_an_edit_from_before_the_column_was_accepted_is_refused(saved_bot):
    saved_bot.query(f"UPDATE {S} SET expires_at = 1 WHERE id = 2")
    saved_bot.write_env(BACKUP_ACCEPT_EDITS="premium_subscriptions.expires_at")
    said = saved_bot.run("backup.py").expect(0).stderr
    assert "it was made before premium_subscriptions.expires_at was accepted" in said
    is_mirrored(saved_bot)


def test_an_edit_from_before_a_restore_is_refused(editing):
    editing.query(f"UPDATE {S} SET expires_at = 1 WHERE id = 2")
    editing.run("restore.py", "--yes").expect(0)
    editing.query(f"UPDATE {S} SET expires_at = 2 WHERE id = 4")
    said = editing.run("backup.py").expect(0).stderr
    assert "id = 2: expires_at was changed in Supabase by postgres, which was refused (it is older than the last restore)" in said
    assert editing.sqlite_rows(editing.premium, "SELECT expires_at FROM premium_subscriptions WHERE id = 4") == [(2,)]
    is_mirrored(editing)


def test_nothing_comes_back_unless_it_was_accepted(saved_bot):
    before = saved_bot.premium.read_bytes()
    saved_bot.query(f"UPDATE {S} SET expires_at = 1 WHERE id = 2")
    assert "somebody changed the mirror by hand" in saved_bot.run("backup.py").expect(0).stderr
    assert saved_bot.premium.read_bytes() == before
    assert outcomes(saved_bot) == []


def test_a_bot_that_holds_its_file_loses_no_edit(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    with contextlib.closing(sqlite3.connect(editing.premium, isolation_level=None)) as bot:
        bot.execute("BEGIN IMMEDIATE")
        said = editing.run("backup.py").expect(3).stderr
        bot.execute("ROLLBACK")
    assert "edits made in Supabase could not be brought in" in said
    assert outcomes(editing) == []
    editing.run("backup.py").expect(0)
    assert [outcome for _, _, outcome, _ in outcomes(editing)] == ["applied"]
    is_mirrored(editing)


def test_edits_are_shown_before_they_come_and_nothing_is_changed(editing):
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    before, noted = (
        editing.premium.read_bytes(),
        editing.query("SELECT source, item, since FROM backup.accepted_edits ORDER BY 1, 2"),
    )
    said = editing.run("backup.py", "--edits").expect(0).stdout
    assert "premium_system: 1 edit would be judged now" in said
    done = "premium_subscriptions id = 2: expires_at was changed in Supabase by postgres"
    assert f"{done}, which a run would bring into the bot's database." in said
    assert "→ 4102444800" in said
    assert editing.premium.read_bytes() == before
    assert outcomes(editing) == []
    assert editing.query("SELECT source, item, since FROM backup.accepted_edits ORDER BY 1, 2") == noted
    assert sorted(path.name for path in (editing.folder / "snapshots").iterdir() if "taking" in path.name) == []
    editing.run("backup.py").expect(0)
    assert f"{done}, which is now in the bot's database." in editing.run("backup.py", "--edits").expect(0).stdout
    told = editing.run("backup.py", "--edits", "--json").expect(0).json
    assert told["pending"] == []
    (edit,) = told["edits"]
    assert (edit["source"], edit["outcome"], edit["values"]["expires_at"][1]) == ("premium_system", "applied", 4102444800)


def test_what_has_come_is_taken_back(editing):
    query = "SELECT expires_at FROM premium_subscriptions WHERE id IN (2, 4) ORDER BY id"
    before = editing.sqlite_rows(editing.premium, query)
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2; UPDATE {S} SET expires_at = 4102444801 WHERE id = 4")
    editing.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    runs = {run["source"]: run["run"] for run in editing.run("backup.py", "--json").expect(0).json["runs"]}
    assert editing.sqlite_rows(editing.premium, query) == [(4102444800,), (4102444801,)]
    editing.sqlite(editing.premium, "UPDATE premium_subscriptions SET expires_at = 6 WHERE id = 4")
    said = editing.run("backup.py", "--undo-edits", str(runs["premium_system"])).expect(0)
    assert "premium_subscriptions id = 2: expires_at was changed back" in said.stdout
    assert "premium_subscriptions id = 4: expires_at was changed back, in conflict with the bot" in said.stderr
    assert editing.sqlite_rows(editing.premium, query) == [before[0], (6,)]
    assert editing.sqlite_rows(editing.premium, "SELECT * FROM pending_payments WHERE id = 9001") == []
    is_mirrored(editing)
    again = editing.run("backup.py", "--undo-edits", str(runs["premium_system"])).expect(0).stderr
    assert "in conflict" in again
    assert (
        f"run {runs['user_requests']} has sent no edits"
        in editing.run("backup.py", "--undo-edits", str(runs["user_requests"])).expect(1).stderr
    )
    assert "is no run's number" in editing.run("backup.py", "--undo-edits", "yesterday").expect(2).stderr


def test_a_point_before_an_edit_comes_back_as_it_was(editing):
    before = editing.premium.read_bytes()
    run = editing.backup("premium_system")["runs"][0]["run"]
    (editing.folder / "before.db").write_bytes(before)
    editing.query(f"UPDATE {S} SET expires_at = 4102444800 WHERE id = 2")
    editing.run("backup.py").expect(0)
    flags = ("--yes", "--at", str(run), "--database", "premium_system", "--to", str(editing.folder / "then"))
    editing.run("restore.py", *flags).expect(0)
    assert compare.differences(editing.folder / "before.db", editing.folder / "then" / "premium_system.db") == []


def test_the_status_and_the_report_say_what_became_of_edits(editing):
    assert "edits made in Supabase" not in editing.run("backup.py", "--status").stdout
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 2; UPDATE {S} SET owner_id = 5 WHERE id = 4")
    editing.run("backup.py").expect(0)
    assert "\n  edits made in Supabase: 1 applied, 1 refused\n" in editing.run("backup.py", "--status").stdout
    known = editing.run("backup.py", "--status", "--json").json["sources"]
    assert [one["edits"] for one in known] == [{"applied": 1, "refused": 1}, {}]
    editing.run("backup.py", "--report", str(editing.folder / "status.html")).expect(0)
    assert "1 applied, 1 refused" in (editing.folder / "status.html").read_text()


def test_what_does_not_come_is_told_once_through_the_alert_channels(editing):
    inbox = Inbox()
    editing.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED, ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    for owner, edits in ((1, "id = 2"), (1, "id = 4")):
        told = len(inbox.got)
        editing.query(f"UPDATE {S} SET owner_id = {owner} WHERE {edits}")
        editing.run("backup.py").expect(0)
        editing.run("backup.py").expect(0)
        assert len(inbox.got) == told + 1
        assert f"premium_system.premium_subscriptions {edits}: owner_id was changed in Supabase by postgres" in inbox.texts()[-1]
    editing.query(f"UPDATE {S} SET expires_at = 7 WHERE id = 2")
    editing.run("backup.py").expect(0)
    assert len(inbox.got) == 2
