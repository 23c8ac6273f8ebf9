"""A time means its end, as precisely as it is given: so every time that a script shows names its run."""

import datetime
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.backing_up import health
from lib.base import words
from lib.base.errors import SettingsError, SourceError
from lib.postgres.books import points
from lib.postgres.link.connection import Target
from lib.trying import sample_bot
from tests.stand_ins.deployment import Deployment

UTC = datetime.timezone.utc
TODAY = datetime.date(2026, 11, 22)
READ = {
    "2026-11-20": "2026-11-21 00:00:00",
    "2026-11-20Z": "2026-11-21 00:00:00",
    "2026-11-20+02:00": "2026-11-20 22:00:00",
    "2026-11-20 12": "2026-11-20 13:00:00",
    "2026-11-20T12": "2026-11-20 13:00:00",
    "2026-11-20 12:00": "2026-11-20 12:01:00",
    "2026-11-20 12:00 UTC": "2026-11-20 12:01:00",
    "2026-11-20T12:00:03": "2026-11-20 12:00:04",
    "2026-11-20t12:00:03z": "2026-11-20 12:00:04",
    "  2026-11-20   12:00:03  UTC ": "2026-11-20 12:00:04",
    "2026-11-20 12:00:03 utc": "2026-11-20 12:00:04",
    "2026-11-20 12:00:03.5": "2026-11-20 12:00:03.600000",
    "2026-11-20 12:00:03,999": "2026-11-20 12:00:04",
    "2026-11-20 12:00:03.000": "2026-11-20 12:00:03.001000",
    "2026-11-20 12:00:03.123456": "2026-11-20 12:00:03.123457",
    "2026-11-20 12:00:03.123456789": "2026-11-20 12:00:03.123457",
    "2026-11-20 12:00:03+05:30": "2026-11-20 06:30:04",
    "2026-11-20 12:00:03 -0330": "2026-11-20 15:30:04",
    "2026-11-20T12:00-03": "2026-11-20 15:01:00",
    "2026-11-20 00:00:00+14:00": "2026-11-19 10:00:01",
    "2026-11-20 24:00": "2026-11-21 00:00:00",
    "2026-11-20T24:00:00Z": "2026-11-21 00:00:00",
    "2026-11-20 23:59": "2026-11-21 00:00:00",
    "2026-12-31 23:59:60": "2027-01-01 00:00:01",
    "2028-02-29": "2028-03-01 00:00:00",
    "today": "2026-11-23 00:00:00",
    "Yesterday": "2026-11-22 00:00:00",
    "9999-12-31": "9999-12-31 23:59:59.999999",
    "0001-01-01": "0001-01-02 00:00:00",
}
REFUSED = (
    "", "0", "00", "soon", "117a", "-1", "+1", "1.5", "²", "9223372036854775808", "2026-11", "2026-13-01", "2026-11-31",
    "2027-02-29",
    "2026-11-20 25:00", "2026-11-20 24:01", "2026-11-20 12:60", "2026-11-20 12:00:61", "2026-11-20 12:00:03.",
    "2026-11-20 12:00:03 CET", "2026-11-20 12:00:03+24:00", "2026-11-20 12:00:03+05:60", "2026-W47-5", "2026-324",
    "20261120T120003", "2026-11-20  T12", "0000-01-01", "2026-11-20 1:00", "٢٠٢٦-11-20", "2026-11-20 12:00\n--", "tomorrow",
    "2026-11-20 12:00:03 +1",
)  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_a_time_is_read_alike_by_every_python(text):
    run, before = words.moment(text, TODAY)
    assert (run, before.astimezone(UTC)) == (None, datetime.datetime.fromisoformat(READ[text]).replace(tzinfo=UTC))


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(SettingsError, match="is neither a run nor a time"):
        words.moment(text, TODAY)


def test_a_number_is_a_run():
    assert words.moment(" 117 ") == (117, None)
    assert words.moment("9223372036854775807") == (2**63 - 1, None)


FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f")
LENGTHS = (86400, 3600, 60, 1, 0.000001)


@given(st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(9000, 1, 1)), st.integers(-1439, 1439), st.integers(0, 4))
def test_a_time_written_to_any_precision_means_its_end(moment, minutes, precision):
    moment = moment.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=minutes)))
    _, before = words.moment(moment.strftime(FORMS[precision] + "%z"))
    assert datetime.timedelta(0) < before - moment <= datetime.timedelta(seconds=LENGTHS[precision])


@pytest.fixture
def lived(tmp_path, database):
    """A source with six saved runs."""
    found = Deployment(tmp_path / "deployment", database)
    found.script("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    found.set_up()
    for number in range(6):
        found.script(f"INSERT INTO t VALUES ({number})")
        found.back_up()
    return found


INSTANTS = st.integers(0, 5_000_000)  # microseconds: several runs in one second


@pytest.mark.campaign
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(INSTANTS, min_size=6, max_size=6).map(sorted))
def test_every_listed_time_names_its_run_or_a_later_one_of_that_second(lived, instants):
    with Target(lived.settings.targets[0], "backup") as target:
        for run, instant in enumerate(instants, 1):
            at = f"2026-11-20 12:00:00+00'::timestamptz + interval '{instant} microseconds"
            target.rows(f"UPDATE backup.runs SET finished_at = '{at}' WHERE run = {run}")
        listed, _ = points.restore_points(target, "source")
        for point in listed:
            same_second = [other["run"] for other in listed if other["finished_at"] == point["finished_at"]]
            for text in (point["finished_at"], f"{point['finished_at']} UTC"):
                assert points.run_at(target, "source", *words.moment(text)) == max(same_second)


SHOWN = re.compile(r"run (\d+),? .*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)")


@pytest.mark.campaign
def test_the_times_that_the_scripts_print_name_their_runs(saved_bot):
    for seed in (1, 2):
        sample_bot.live(saved_bot.data, seed)
        saved_bot.backup()
    saved_bot.query("UPDATE backup.runs SET started_at = started_at - interval '1 minute', finished_at = finished_at"
                    " - (7 - run) * interval '10 seconds' + interval '0.3 seconds'")  # fmt: skip
    saved_bot.premium.write_bytes(b"")
    said = saved_bot.run("restore.py", "--list").expect(0).stdout
    said += saved_bot.run("restore.py", "--yes", "--dry-run", "--at", "3").stdout
    said += saved_bot.run("backup.py", "--status").expect(0).stdout
    said += saved_bot.run("backup.py").expect(3).stderr
    too_old = saved_bot.run("restore.py", "--yes", "--at", "1999-01-01").expect(1).stderr
    found = {(int(run), at) for run, at in SHOWN.findall(said + too_old)}
    assert {run for run, _ in found} == {1, 2, 3, 4, 5, 6}
    for run, at in found:
        source = saved_bot.query("SELECT source FROM backup.runs WHERE run = %s", [run])[0][0]
        done = saved_bot.run(
            "restore.py", "--json", "--yes", "--database", source, "--to", str(saved_bot.folder / "out"), "--at", at
        )
        assert [restored["run"] for restored in done.expect(0).json["restored"]] == [run], at


def test_the_oldest_point_is_shown_with_its_own_time_whatever_the_clock_did(lived):
    lived.rows("UPDATE backup.runs SET finished_at = finished_at - interval '2 hours' WHERE run > 3")
    with Target(lived.settings.targets[0], "backup") as target:
        first = points.restore_points(target, "source")[0][-1]
        known = health.asked(target, ["source"])["source"]
        assert words.clock(known["restore_points"]["at"]) == f"{first['finished_at']} UTC"
        with pytest.raises(SourceError, match=f"its oldest restore point is run 1, {first['finished_at']} UTC"):
            points.run_at(target, "source", *words.moment("1999-01-01"))
