"""The first lines of the status are no better than what is known: whatever was found stays told until it is over."""

import pytest


def verdict(bot, status):
    return bot.run("backup.py", "--status").expect(status).stdout.split("\n\n")[0]


def test_a_drill_of_long_ago_is_one_to_mind(saved_bot):
    saved_bot.run("restore.py", "--drill").expect(0)
    saved_bot.query("UPDATE backup.drills SET finished_at = finished_at - interval '8 days'")
    assert "last proven restorable 8" not in verdict(saved_bot, 0)
    saved_bot.query("UPDATE backup.drills SET finished_at = finished_at - interval '392 days'")
    said = verdict(saved_bot, 0)
    assert "premium_system, user_requests: last proven restorable 400 days ago. Try: python3 restore.py --drill" in said


@pytest.mark.parametrize("mend", [("--full",), ("--verify",)])
def test_a_difference_is_told_until_every_row_was_compared_and_none_is_there(saved_bot, mend):
    price = "UPDATE backup_premium_system.refunds SET status = {} WHERE id = 1"
    ((then,),) = saved_bot.query("SELECT status FROM backup_premium_system.refunds WHERE id = 1")
    saved_bot.query("ALTER TABLE backup_premium_system.refunds DISABLE TRIGGER ALL")
    saved_bot.query(price.format("'forged'"))
    saved_bot.run("backup.py", "--verify").expect(1)
    for _ in range(2):
        said = verdict(saved_bot, 1)
        assert "premium_system: --verify found differences in refunds. Try: python3 backup.py --full && python3 " in said
        saved_bot.backup("user_requests")
    saved_bot.query(price.format("%s"), (then,))
    saved_bot.query("ALTER TABLE backup_premium_system.refunds ENABLE TRIGGER ALL")
    saved_bot.run("backup.py", *mend).expect(0)
    assert "--verify found" not in verdict(saved_bot, 0)
    record = (saved_bot.folder / "snapshots" / "runs.jsonl").read_bytes()
    saved_bot.run("backup.py", "--verify").expect(0)
    assert (saved_bot.folder / "snapshots" / "runs.jsonl").read_bytes() == record  # nothing to note


def test_settings_that_let_no_alert_through_are_to_mind(saved_bot):
    saved_bot.write_env(ALERT_EMAIL_TO="owner", SMTP_HOST="localhost", SMTP_FROM="bot@example.org")
    (saved_bot.folder / ".env").chmod(0o644)
    said, page = verdict(saved_bot, 0), saved_bot.folder / "status.html"
    assert not said.startswith("✅")
    assert "the settings: ALERT_EMAIL_TO 'owner' is no e-mail address, nor several with commas between them. Try: " in said
    assert ".env, then python3 test_backup.py --send-alert" in said
    assert "⚠️  the settings: " in said
    assert ".env can be read by other users of this machine: chmod 600" in said
    saved_bot.run("backup.py", "--report", str(page)).expect(0)
    assert "the settings: ALERT_EMAIL_TO" in page.read_text()
