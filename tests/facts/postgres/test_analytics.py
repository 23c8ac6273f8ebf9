"""The owner of the bot can ask the backup: who subscribes, what is earned, who is busy."""

import re
import time

import pytest

from tests.stand_ins.bot import REPOSITORY

DAY = 86_400
VIEWS = [
    "active_subscriptions", "active_users_by_day", "busiest_commands", "busiest_groups", "expiring_subscriptions", "refund_rate",
    "revenue_by_day", "revenue_by_month",
]  # fmt: skip
_, _, ASKED = (REPOSITORY / "README.md").read_text().partition("\n## Ask your data\n")
QUERIES = re.findall(r"```sql\n(.*?)```", ASKED, re.DOTALL)


@pytest.fixture
def sold(saved_bot):
    """A bot whose tables hold a few rows that can be counted by hand."""
    now = int(time.time())
    for table in ("premium_subscriptions", "payment_history", "refunds"):
        saved_bot.sqlite(saved_bot.premium, f"DELETE FROM {table}")
    saved_bot.sqlite(
        saved_bot.premium,
        "INSERT INTO premium_subscriptions (owner_id, group_id, payment_id, telegram_payment_charge_id, stars_amount, created_at,"
        " expires_at, is_active) VALUES"
        f" (1, 1, 'a', 'c', 99, {now}, {now + 3 * DAY}, 1), (1, 2, 'b', 'c', 99, {now}, {now + 30 * DAY}, NULL),"
        f" (2, 3, 'c', 'c', 99, {now}, {now - DAY}, 1), (2, 4, 'd', 'c', 99, {now}, NULL, 1),"
        f" (3, 5, 'e', 'c', 99, {now}, NULL, 0),"
        f" (3, 6, 'f', 'c', 99, {now}, {2**62}, 1);"
        "INSERT INTO payment_history (owner_id, payment_id, stars_amount, status, created_at) VALUES"
        " (1, 'a', 100, 'completed', 1761955200), (2, 'b', 50, 'completed', 1762041599), (2, 'c', 7, 'failed', 1762041599),"
        " (2, 'd', 30, 'completed', 1762041600), (2, 'd', 1, 'completed', 9000000000000000000);"
        "INSERT INTO refunds (subscription_id, owner_id, group_id, payment_id, stars_amount, refunded_at)"
        " VALUES (1, 1, 1, 'a', 100, 1762041600)",
    )
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM command_requests; DELETE FROM user_requests; DELETE FROM message_owners")
    saved_bot.sqlite(
        saved_bot.requests,
        f"INSERT INTO command_requests VALUES (1, 10, '/start', 29366000, 0), (2, 10, '/start', 29366001, 5),"
        f" (1, 11, '/help', {2**62}, 0);"
        "INSERT INTO user_requests VALUES (1, 10, 'Cap', 29366000), (3, 11, 'Cap', 29366000);"
        f"INSERT INTO message_owners VALUES (1, 10, 7, {29366000 * 60})",
    )
    saved_bot.backup("--accept-shrink")
    return saved_bot


def rows(bot, view, columns="*"):
    return bot.query(f"SELECT {columns} FROM backup_analytics.{view} ORDER BY 1, 2")


def test_the_views_tell_what_can_be_counted_by_hand(sold):
    assert rows(sold, "active_subscriptions", "group_id, days_left") == [(1, 3), (2, 30), (4, None)]
    assert rows(sold, "expiring_subscriptions", "group_id, days_left") == [(1, 3)]
    days = rows(sold, "revenue_by_day", "day::text, payments, stars, payers")
    assert days[:2] == [
        ("2025-11-01", 2, 150, 2),
        ("2025-11-02", 1, 30, 1),
    ]
    assert rows(sold, "revenue_by_month", "month::text, payments, stars")[0] == ("2025-11-01", 3, 180)
    assert rows(sold, "refund_rate", "month::text, payments, refunds, stars_refunded, percent::float")[0] == (
        "2025-11-01", 3, 1, 100, pytest.approx(33.3),
    )  # fmt: skip
    assert rows(sold, "busiest_groups", "chat_id, requests, users") == [(10, 3, 2), (11, 1, 1)]
    assert rows(sold, "busiest_commands", "command_name, requests, users, groups") == [("/help", 1, 1, 1), ("/start", 2, 2, 1)]
    assert rows(sold, "active_users_by_day", "day::text, users, actions")[0] == ("2025-11-01", 4, 5)


def test_every_view_has_a_comment_and_times_are_times(saved_bot):
    found = saved_bot.query(
        """SELECT relname, obj_description(oid), reloptions FROM pg_class
        WHERE relnamespace = 'backup_analytics'::regnamespace AND relkind = 'v' ORDER BY 1"""
    )
    assert [name for name, _, _ in found] == VIEWS
    assert all(comment for _, comment, _ in found)
    if saved_bot.query("SELECT current_setting('server_version_num')::int >= 150000") == [(True,)]:
        assert {tuple(options) for _, _, options in found} == {("security_invoker=on",)}
    times = """SELECT column_name FROM information_schema.columns
        WHERE table_schema = 'backup_analytics' AND column_name ~ '_at$|^last_' AND data_type <> 'timestamp with time zone'"""
    assert saved_bot.query(times) == []


def test_the_data_apis_roles_cannot_use_them(saved_bot):
    for role in ("anon", "authenticated", "service_role"):
        assert saved_bot.query("SELECT has_schema_privilege(%s, 'backup_analytics', 'USAGE')", [role]) == [(False,)]
        for view in VIEWS:
            assert saved_bot.query("SELECT has_table_privilege(%s, %s, 'SELECT')", [role, f"backup_analytics.{view}"]) == [
                (False,)
            ]
    assert saved_bot.query("SELECT has_function_privilege('anon', 'backup_analytics.moment(bigint)', 'EXECUTE')") == [(False,)]


def test_the_readmes_queries_run_and_say_something(saved_bot):
    assert len(QUERIES) == 5
    for query in QUERIES:
        assert saved_bot.query(query), query


def test_a_mirror_that_must_be_made_anew_is_not_held_up_by_its_views(saved_bot):
    saved_bot.sqlite(
        saved_bot.premium,
        "ALTER TABLE refunds RENAME TO old; CREATE TABLE refunds (id INTEGER, owner_id INTEGER, PRIMARY KEY (id, owner_id));"
        "INSERT INTO refunds SELECT id, owner_id FROM old; DROP TABLE old",
    )
    saved_bot.backup("--accept-shrink")
    saved_bot.assert_restorable()
    said = saved_bot.run("setup_supabase.py").expect(0).stdout
    assert "Analytics views: left out for premium_system: " in said


def test_a_source_of_that_name_keeps_its_schema(bot):
    path = bot.data / "analytics.db"
    bot.sqlite(path, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    bot.write_env(SQLITE_DATABASES=f"{bot.premium},{path}")
    said = bot.run("setup_supabase.py").expect(0).stdout
    assert "left out: the schema backup_analytics belongs to a database of that name" in said
    assert bot.query("SELECT count(*) FROM backup_analytics.t") == [(1,)]


def test_other_databases_get_none(bot):
    path = bot.data / "shop.db"
    bot.sqlite(path, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    bot.write_env(SQLITE_DATABASES=str(path))
    assert "Analytics views: none for these databases" in bot.run("setup_supabase.py").expect(0).stdout
    assert bot.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%analytics'") == []
