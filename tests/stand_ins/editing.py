"""Edits that people make in Supabase, and what became of them."""

from tests import compare

ACCEPTED = (
    "premium_subscriptions.expires_at,premium_subscriptions.is_active,premium_subscriptions.mrkt_link,"
    "pending_payments.insert,pending_payments.delete,refunds.status,refunds.delete,premium_subscriptions.delete,refunds.insert"
)
S = "backup_premium_system.premium_subscriptions"


def outcomes(bot):
    rows = bot.query("SELECT mirror, columns, outcome, reason FROM backup.edits ORDER BY edit")
    return [(mirror, columns, outcome, reason) for mirror, columns, outcome, reason in rows]


def reasons(bot):
    return [(outcome, reason) for _, _, outcome, reason in outcomes(bot)]


def notes(bot):
    """Return the notes of what may be in the bot's files while Postgres does not know it."""
    return [*(bot.folder / "snapshots").glob("*.edits-*.json")]


def is_mirrored(bot):
    """Whether the mirrors are what the bot's files are, by the scripts and by the independent judge."""
    bot.run("backup.py", "--verify").expect(0)
    bot.run("restore.py", "--yes", "--to", str(bot.folder / "out")).expect(0)
    for path in bot.databases:
        assert compare.differences(path, bot.folder / "out" / path.name) == []
