"""What a restore keeps in memory does not grow with what it finds."""

import pytest

from tests.stand_ins.bot import Bot

MB = 1_000_000
LONELY = (
    "INSERT INTO refunds (subscription_id, owner_id, group_id, payment_id, stars_amount, refunded_at) WITH RECURSIVE"
    " n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT 10000000 + i, i, i, 'p', 1, 1 FROM n"
)
STEPS = (("--drill", "--database", "premium_system"), ("--table", "refunds", "--at", "{run}", "--yes"))


@pytest.mark.campaign
def test_rows_whose_foreign_key_leads_nowhere_are_compared_one_by_one(tmp_path, database):
    bot = Bot.make(tmp_path / "bot", database, users=120)
    bot.run("setup_supabase.py").expect(0)

    def peaks() -> list[int]:
        ((run,),) = bot.query("SELECT last_run FROM backup.sources WHERE source = 'premium_system'")
        bot.sqlite(bot.premium, "UPDATE refunds SET stars_amount = 2 WHERE id = 1")
        return [bot.peak_memory("restore.py", *(word.format(run=run) for word in step)) for step in STEPS]

    before = peaks()
    bot.sqlite(bot.premium, LONELY)
    bot.backup("premium_system")
    grown = [after - few for few, after in zip(before, peaks(), strict=True)]
    assert max(grown) < 30 * MB, grown
