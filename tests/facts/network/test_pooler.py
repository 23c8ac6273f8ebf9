"""Everything works through a pooler, in session and in transaction mode, with fewer connections than a pool has clients."""

import contextlib
import subprocess
import time

import pytest

from lib.trying import sample_bot
from tests.stand_ins import pooler
from tests.stand_ins.bot import Bot

pytestmark = pytest.mark.skipif(not pooler.IS_HERE, reason="pgbouncer is not installed (Debian: apt-get install pgbouncer)")
BOTS = 60


@pytest.fixture(params=["transaction", "session"])
def pooled_bot(request, tmp_path, database):
    """A bot whose .env leads to PgBouncer in front of its database."""
    with pooler.running(tmp_path / "pooler", database, request.param) as standing:
        yield Bot.make(tmp_path / "bot", standing.url, users=120)


@pytest.mark.campaign
def test_setup_backup_restore_and_trial(pooled_bot):
    pooled_bot.run("setup_supabase.py").expect(0)
    for seed in range(3):
        sample_bot.live(pooled_bot.data, seed)
        assert pooled_bot.changes()
    assert pooled_bot.changes() == {}
    pooled_bot.assert_restorable()
    pooled_bot.run("restore.py", "--drill").expect(0)
    pooled_bot.run("test_backup.py").expect(0)


def test_nothing_of_a_run_stays_with_the_next_client(pooled_bot):
    pooled_bot.run("setup_supabase.py").expect(0)
    left = (
        "SELECT current_setting('search_path'), current_setting('extra_float_digits'), current_setting('hybrid_backup.run', true)"
    )
    for _ in range(4):
        ((search_path, digits, run),) = pooled_bot.query(left)
        assert (search_path, digits, run or "") == ('"$user", public, extensions', "0", "")
    assert pooled_bot.query("SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == [(0,)]
    assert pooled_bot.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_a_quiet_run_is_two_messages_here_too(pooled_bot):
    pooled_bot.run("setup_supabase.py").expect(0)
    for _ in range(2):
        assert [run["round_trips"] for run in pooled_bot.backup()["runs"]] == [2, 2]
    assert pooled_bot.query("SELECT count(*) FROM backup.runs WHERE outcome <> 'saved'") == [(0,)]


@pytest.mark.parametrize(
    ("auth", "wrong", "told"),
    [
        ("scram-sha-256", "password", "the password was refused."),
        ("plain", "password", "the password was refused."),
        ("plain", "user", "the password was refused."),
        ("plain", "database", "the pooler does not know this database."),
    ],
)
def test_what_a_pooler_refuses_is_told_by_its_cause_and_asked_once(saved_bot, tmp_path, auth, wrong, told):
    with pooler.running(tmp_path / "pooler", saved_bot.url, "transaction", database="known", auth=auth) as standing:
        known = f"{standing.url.rpartition('/')[0]}/known"
        urls = {
            "password": known.replace(saved_bot.password, "wrong-4711"),
            "user": known.replace("postgres:", "nobody:"),
            "database": standing.url,
        }
        saved_bot.write_env(SUPABASE_DB_URL=urls[wrong])
        said = saved_bot.run("backup.py").expect(1).stderr
        assert told in said
        assert "Trying again" not in saved_bot.log


@pytest.mark.campaign
def test_a_pooler_that_is_killed_in_the_middle_is_waited_for(saved_bot, tmp_path):
    with pooler.running(tmp_path / "pooler", saved_bot.url, "transaction") as standing:
        saved_bot.write_env(SUPABASE_DB_URL=standing.url)
        for moment in range(5):
            sample_bot.live(saved_bot.data, seed=moment)
            ((before,),) = saved_bot.query("SELECT count(*) FROM backup.runs")
            running = saved_bot.start("backup.py")
            while running.poll() is None and saved_bot.query("SELECT count(*) FROM backup.runs") == [(before,)]:
                time.sleep(0.01)  # until it is connected: where nothing listens from the first, nobody waits
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.05 * moment)
            standing.kill()
            standing.start()
            assert running.communicate(timeout=60) == ("", "")
            assert running.returncode == 0
            saved_bot.assert_restorable()


@pytest.mark.campaign
def test_sixty_bots_at_once_through_a_pool_of_ten(tmp_path, database):
    with pooler.running(tmp_path / "pooler", database, "transaction", size=10) as standing:
        bots = [Bot.make(tmp_path / "first", standing.url, users=60)]
        for number in range(1, BOTS):
            bots.append(bots[0].clone(tmp_path / str(number)))
        for number, bot in enumerate(bots):
            bot.write_env(BACKUP_SCHEMA=f"bot_{number}")
        for script in ("setup_supabase.py", "backup.py"):
            for bot in bots:
                sample_bot.live(bot.data, seed=5)
            running = [bot.start(script, "--quiet") for bot in bots]
            ends = [(one.communicate(timeout=300), one.returncode) for one in running]
            assert [end for end in ends if end[1]] == []
        for number, bot in enumerate(bots):
            assert bot.query(f"SELECT outcome, count(*) FROM bot_{number}.runs GROUP BY outcome") == [("saved", 4)]
        bots[-1].assert_restorable()
