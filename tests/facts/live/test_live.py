"""`backup.py --live` has each commit in Supabase within seconds, by ordinary runs but for the check of the file."""

import contextlib
import sqlite3

from tests.stand_ins.living import living, saved

PAYMENT = "INSERT INTO payment_history (owner_id, payment_id, stars_amount, status, created_at) VALUES (1, '{}', 5, 'paid', 1)"
ARRIVED = "SELECT count(*) FROM backup_premium_system.payment_history WHERE payment_id = %s"


def pay(bot, payment):
    with contextlib.closing(sqlite3.connect(bot.premium, isolation_level=None)) as database:
        database.execute(PAYMENT.format(payment))


def has(bot, payment):
    return bot.query(ARRIVED, [payment]) == [(1,)]


def test_a_commit_is_in_supabase_and_can_be_restored(saved_bot):
    with living(saved_bot) as live:
        for payment in ("first", "second"):
            pay(saved_bot, payment)
            live.until(lambda payment=payment: has(saved_bot, payment))
        assert live.end() < 2
        assert live.process.returncode == 128 + 15
    saved_bot.assert_restorable()
    assert saved_bot.changes("--full") == {}


def test_nothing_is_written_where_nothing_changes(saved_bot):
    with living(saved_bot) as live:
        pay(saved_bot, "one")
        live.until(lambda: has(saved_bot, "one"))
        runs = saved(saved_bot)
        saved_bot.sqlite(saved_bot.premium, "BEGIN; UPDATE refunds SET stars_amount = 0; ROLLBACK; PRAGMA user_version")
        live.until(lambda: saved_bot.query("SELECT count(live_at) FROM backup.sources") == [(2,)], 90)
        assert saved(saved_bot) == runs
