"""Several scripts at once: each does all of its work or none, and says who was first."""

import contextlib
import signal
import time

import pytest

from lib.trying import sample_bot
from tests import compare

pytestmark = pytest.mark.campaign

SLOW = """CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
CREATE TRIGGER slow AFTER INSERT ON backup_premium_system.refunds FOR EACH STATEMENT EXECUTE FUNCTION public.slow()"""


@contextlib.contextmanager
def held_in_the_middle(bot, *flags):
    """A backup that works on the server, holding its lock, until the block ends."""
    sample_bot.live(bot.data, seed=21)
    bot.query(SLOW)
    running = bot.start("backup.py", "--full", *flags)
    deadline = time.monotonic() + 30
    while not bot.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def test_the_second_backup_of_a_source_says_who_is_first(saved_bot):
    with held_in_the_middle(saved_bot, "premium_system"):
        ((run, since),) = saved_bot.query(
            "SELECT run, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM backup.runs "
            "WHERE outcome = 'running'"
        )
        (said,) = saved_bot.backup("premium_system")["busy"]
        assert f"premium_system is being backed up already (run {run} on " in said
        assert f", since {since} UTC)." in said
        saved_bot.run("backup.py", "user_requests").expect(0)


def test_after_a_kill_the_lock_is_free(saved_bot):
    """The server works on a statement of a minute for a client that is dead; PostgreSQL 14 and newer look every two seconds."""
    with held_in_the_middle(saved_bot) as running:
        running.send_signal(signal.SIGKILL)
        running.wait()
        deadline = time.monotonic() + 20
        while saved_bot.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
            assert time.monotonic() < deadline
    saved_bot.query("DROP FUNCTION public.slow CASCADE")
    saved_bot.backup()
    assert saved_bot.query("SELECT outcome, error FROM backup.runs ORDER BY run DESC OFFSET 2 LIMIT 1") == [
        ("failed", "killed or cut off before it ended")
    ]


def test_a_restore_during_a_backup_gets_the_last_saved_state(saved_bot):
    before = saved_bot.keep_copies()
    with held_in_the_middle(saved_bot):
        out = saved_bot.folder / "out"
        saved_bot.run("restore.py", "--yes", "--to", str(out)).expect(0)
        for name, path in before.items():
            assert compare.differences(path, out / path.name) == [], name


def test_a_backup_during_a_restore_changes_nothing_for_it(saved_bot, line):
    before = saved_bot.keep_copies()
    line.reset(bytes_per_second={"down": 100_000})
    out = saved_bot.folder / "out"
    restoring = saved_bot.start("restore.py", "--yes", "--to", str(out))
    while line.carried["down"] < 20_000:
        assert restoring.poll() is None
        time.sleep(0.01)
    sample_bot.live(saved_bot.data, seed=22)
    saved_bot.write_env()
    assert saved_bot.changes()
    assert restoring.poll() is None
    line.bytes_per_second = {"up": 1e9, "down": 1e9}
    restoring.communicate(timeout=60)
    assert restoring.returncode == 0
    for name, path in before.items():
        assert compare.differences(path, out / path.name) == [], name
    saved_bot.assert_restorable()
