"""A small sample of the campaign in attacks.py: whatever is killed or cut, nothing is lost."""

import pytest

from tests.cases import attacks
from tests.stand_ins import supabase
from tests.stand_ins.bot import Bot

pytestmark = pytest.mark.campaign
MOMENTS = 6


@pytest.mark.parametrize("script", attacks.SCRIPTS)
def test_killed_at_a_few_moments(saved_bot, script):
    found = attacks.kill_at_moments(saved_bot, script, MOMENTS)
    assert found.counts["LOST"] == 0
    assert found.counts["ended before"] < MOMENTS


@pytest.mark.parametrize("way", ["up", "down"])
def test_cut_at_a_few_offsets(saved_bot, way):
    found = attacks.cut_at_offsets(saved_bot, way, MOMENTS)
    assert found.counts["LOST"] == 0
    assert found.counts["exit 0"] < MOMENTS


def test_postgres_is_restarted_in_the_middle(tmp_path):
    with supabase.running() as server, supabase.make_database(server, "restarted") as url:
        bot = Bot.make(tmp_path / "bot", url, users=120)
        bot.run("setup_supabase.py").expect(0)
        assert attacks.restart_at_moments(bot, server, MOMENTS).counts["LOST"] == 0
