"""`--every` repeats on a steady grid, and ends when it is asked to."""

import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.backing_up.schedule import next_start

STARTS = "SELECT extract(epoch FROM started_at)::float8 FROM backup.runs WHERE source = 'user_requests' AND run > %s ORDER BY run"
STOPPED = "Stopped by SIGTERM; what was not finished was rolled back.\n"
times = st.integers(0, 10**9)


@given(first=times, every=st.integers(1, 10**7), passed=times)
def test_the_next_start_is_the_first_point_of_the_grid_that_is_still_to_come(first, every, passed):
    now = first + passed
    start = next_start(first, every, now)
    assert (start - first) % every == 0
    assert now < start <= now + every


def starts(bot, after=4, most=1000):
    return [at for (at,) in bot.query(STARTS, [after])][:most]


def wait_for_starts(bot, running, count, after=4):
    deadline = time.monotonic() + 60
    while len(starts(bot, after)) < count:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def end(running, number=signal.SIGTERM):
    started = time.monotonic()
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=30)
    return time.monotonic() - started, stdout, stderr


@pytest.mark.campaign
def test_the_first_run_is_at_once_and_the_others_keep_to_the_grid(saved_bot):
    saved_bot.backup()
    running = saved_bot.start("backup.py", "--every", "3s")
    wait_for_starts(saved_bot, running, 4)
    took, stdout, stderr = end(running)
    assert (running.returncode, stdout, stderr) == (128 + 15, "", STOPPED)
    assert took < 2
    first, *others = starts(saved_bot, most=4)
    for number, at in enumerate(others, 1):  # no drift: the runs' own time is not added up
        assert abs(at - first - 3 * number) < 1.5


@pytest.mark.campaign
def test_after_a_long_sleep_there_is_one_run_and_no_burst(saved_bot):
    saved_bot.backup()
    running = saved_bot.start("backup.py", "--every", "2s")
    wait_for_starts(saved_bot, running, 1)
    while not saved_bot.query("SELECT 1 FROM backup.runs WHERE run = 6 AND outcome = 'saved'"):
        assert running.poll() is None
    running.send_signal(signal.SIGSTOP)
    time.sleep(9)
    asleep = len(starts(saved_bot))
    running.send_signal(signal.SIGCONT)
    wait_for_starts(saved_bot, running, asleep + 4)
    end(running)
    woken = starts(saved_bot)[asleep:]
    assert len([at for at in woken if at < woken[0] + 1.9]) <= 2  # the one that was missed, and the next of the grid


@pytest.mark.campaign
def test_runs_that_take_longer_than_the_pause_do_not_meet(saved_bot):
    saved_bot.backup()
    saved_bot.query(
        "CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END $$"
    )
    saved_bot.query(
        "CREATE TRIGGER slowly BEFORE INSERT ON backup.run_tables FOR EACH STATEMENT EXECUTE FUNCTION public.slowly()"
    )
    running = saved_bot.start("backup.py", "--every", "1s")
    wait_for_starts(saved_bot, running, 3)
    end(running)
    spans = saved_bot.query(
        "SELECT count(*) FROM backup.runs AS one JOIN backup.runs AS other ON other.run > one.run"
        " WHERE one.run > 4 AND other.started_at < one.finished_at"
    )
    assert spans == [(0,)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_run(saved_bot, number):
    before = saved_bot.mirror_counts()
    saved_bot.query(
        "CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$"
    )
    saved_bot.query(
        "CREATE TRIGGER slowly BEFORE INSERT ON backup.run_tables FOR EACH STATEMENT EXECUTE FUNCTION public.slowly()"
    )
    running = saved_bot.start("backup.py", "--every", "6h")
    deadline = time.monotonic() + 30
    while not saved_bot.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
        assert time.monotonic() < deadline
    took, _, _ = end(running, number)
    assert took < 2
    assert running.returncode == 128 + number
    assert saved_bot.mirror_counts() == before


def test_a_failed_run_does_not_end_it(saved_bot):
    saved_bot.premium.write_bytes(b"")
    running = saved_bot.start("backup.py", "--every", "2s")
    wait_for_starts(saved_bot, running, 3, after=2)
    _, _, stderr = end(running)
    assert stderr.count("premium_system.db is empty (0 bytes).") >= 2


def test_what_is_no_length_of_time_is_refused(saved_bot):
    assert "'often' is no length of time from 1s to 366d." in saved_bot.run("backup.py", "--every", "often").expect(2).stderr
