"""A live process brings edits into the bot's file within seconds, and a run that fails in between loses none."""

import time

from lib.postgres.books import edits
from lib.postgres.link.connection import Target
from lib.settings import config
from tests.stand_ins.editing import ACCEPTED, S, is_mirrored, outcomes
from tests.stand_ins.living import living, pay


def expires(bot):
    return bot.sqlite_rows(bot.premium, "SELECT expires_at FROM premium_subscriptions WHERE id = 2")[0][0]


def test_an_edit_comes_while_live_runs_and_the_bot_goes_on(saved_bot):
    saved_bot.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    with living(saved_bot, interval="2s") as live:
        for number in (1, 2, 3):
            saved_bot.query(f"UPDATE {S} SET expires_at = {number} WHERE id = 2")
            began = time.monotonic()
            live.until(lambda number=number: expires(saved_bot) == number)
            print(f"{time.monotonic() - began:.2f} s")
            pay(saved_bot, f"payment {number}")
            live.until_it_has(f"payment {number}")
        live.until(lambda: saved_bot.query("SELECT 1 FROM backup.edits WHERE run IS NULL") == [])
        live.end()
        assert "Warning" not in live.said
    assert [outcome for _, _, outcome, _ in outcomes(saved_bot)] == ["applied"] * 3
    is_mirrored(saved_bot)


def test_what_live_refuses_is_told_once_and_overwritten(saved_bot):
    saved_bot.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    with living(saved_bot) as live:
        saved_bot.query(f"UPDATE {S} SET owner_id = 1 WHERE id = 2")
        live.until(lambda: saved_bot.query(f"SELECT owner_id FROM {S} WHERE id = 2") != [(1,)])
        live.until(lambda: "owner_id is not accepted" in live.said)
        live.end()
        assert live.said.count("owner_id is not accepted") == 1
    is_mirrored(saved_bot)


def test_an_outcome_is_told_by_the_run_that_gets_through(line, saved_bot):
    saved_bot.environment = {"BACKUP_ACCEPT_EDITS": ACCEPTED}
    saved_bot.run("backup.py").expect(0)
    saved_bot.query(f"UPDATE {S} SET expires_at = 1 WHERE id = 2; UPDATE {S} SET owner_id = 1 WHERE id = 4")
    line.cut_at_commit = "after"
    done = saved_bot.run("backup.py", "--json").expect(0)
    assert sum("owner_id is not accepted" in warning for warning in done.json["warnings"]) == 1
    assert [outcome for _, _, outcome, _ in outcomes(saved_bot)] == ["applied", "refused"]
    assert expires(saved_bot) == 1
    is_mirrored(saved_bot)


def test_a_look_for_edits_is_one_trip_of_two_hundred_bytes(saved_bot):
    settings = config.load(str(saved_bot.folder / ".env"))
    with Target(settings.targets[0], settings.schema) as target:
        for edited in ([], ["premium_system"]):
            (sent, received), _ = target.wire_bytes(), target.new_round_trips()
            assert edits.edited(target, ["premium_system", "user_requests"]) == edited
            now_sent, now_received = target.wire_bytes()
            assert now_sent - sent + now_received - received <= 200
            assert target.new_round_trips() == 1
            saved_bot.query(f"UPDATE {S} SET expires_at = 1 WHERE id = 2")
