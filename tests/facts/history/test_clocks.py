"""Clocks jump, and machines have time zones: runs are ordered by their numbers, and every time is the database's, in UTC."""

import pytest

from lib.trying import sample_bot
from tests import compare

ZONES = ["UTC", "Pacific/Kiritimati", "America/New_York", "Australia/Lord_Howe"]


@pytest.mark.campaign
@pytest.mark.parametrize("zone", ZONES)
def test_a_machine_s_time_zone_changes_nothing(saved_bot, zone):
    saved_bot.environment = {"TZ": zone}
    before = saved_bot.keep_copies()
    ((moment,),) = saved_bot.query("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
    sample_bot.live(saved_bot.data, seed=1)
    saved_bot.backup()
    out = saved_bot.folder / "out"
    saved_bot.run("restore.py", "--yes", "--at", moment, "--to", str(out)).expect(0)
    for name, path in before.items():
        assert compare.differences(path, out / path.name) == [], name
    ((finished,),) = saved_bot.query("SELECT to_char(max(finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM backup.runs")
    assert finished in saved_bot.run("backup.py", "--status").expect(0).stdout
    assert f"Last Sync: {finished}" in (saved_bot.folder / "supabase_backup.log").read_text()


@pytest.mark.campaign
def test_the_clock_of_the_database_was_set_back(saved_bot):
    """The first runs seem to lie in the future; the newest run is still the one with the highest number."""
    hours = "interval '2 hours'"
    saved_bot.query(f"UPDATE backup.runs SET started_at = started_at + {hours}, finished_at = finished_at + {hours}")
    first = saved_bot.keep_copies()
    for seed in (1, 2):
        sample_bot.live(saved_bot.data, seed)
        assert saved_bot.changes()
    ((last,),) = saved_bot.query("SELECT max(run) FROM backup.runs")
    assert f"run {last}" in saved_bot.run("backup.py", "--status").expect(0).stdout
    saved_bot.run("backup.py", "--status", "--max-age", "1h").expect(0)
    saved_bot.assert_restorable()
    out = saved_bot.folder / "out"
    saved_bot.run("restore.py", "--yes", "--at", "2", "--to", str(out)).expect(0)
    for name, path in first.items():
        assert compare.differences(path, out / path.name) == [], name


def test_a_session_s_time_zone_does_not_move_the_times(saved_bot):
    """Supabase's role may have a time zone of its own."""
    said = saved_bot.run("restore.py", "--list").expect(0).stdout
    database = saved_bot.url.rpartition("/")[2]
    saved_bot.query(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET timezone = 'Asia/Kathmandu'")
    assert saved_bot.run("restore.py", "--list").expect(0).stdout == said
