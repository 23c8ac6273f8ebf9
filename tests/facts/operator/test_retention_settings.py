"""How long runs stay restore points is written in plain lengths, and what contradicts itself is refused."""

import pytest

from lib.base.errors import SettingsError
from tests.stand_ins.env_file import load

GOOD = "postgres://postgres:pw@localhost/postgres"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("", (30, "1 day, 0:00:00", "7 days, 0:00:00")),
        ("BACKUP_KEEP_DAYS=3", (3, "1 day, 0:00:00", "7 days, 0:00:00")),  # what was never given ends with the days
        ("BACKUP_KEEP_ALL=90m\nBACKUP_KEEP_HOURLY=2d\nBACKUP_KEEP_DAILY=60d", (60, "1:30:00", "2 days, 0:00:00")),
        ("BACKUP_KEEP_DAYS=60\nBACKUP_KEEP_DAILY=60d", (60, "1 day, 0:00:00", "7 days, 0:00:00")),
    ],
)
def test_how_long_runs_are_kept_is_written_in_plain_lengths(tmp_path, monkeypatch, written, kept):
    days, every, hourly = load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'\n{written}").retention
    assert (days, str(every), str(hourly)) == kept


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("BACKUP_KEEP_ALL=24", "BACKUP_KEEP_ALL '24' is no length of time from 1s to 36500d: write 90s, 45m, 7h or 2d."),
        ("BACKUP_KEEP_HOURLY=60d", "BACKUP_KEEP_HOURLY '60d' is longer than the 30 days after which history ends"),
        ("BACKUP_KEEP_DAILY=36h", "BACKUP_KEEP_DAILY '36h' is not in whole days."),
        ("BACKUP_KEEP_DAYS=20\nBACKUP_KEEP_DAILY=60d", "BACKUP_KEEP_DAILY '60d' is not the same as BACKUP_KEEP_DAYS 20"),
        ("BACKUP_KEEP_DAILY=99999d", "BACKUP_KEEP_DAILY '99999d' is no length of time from 1s to 36500d"),
        ("BACKUP_KEEP_DAYS=0", "BACKUP_KEEP_DAYS '0' is not a whole number from 1 to 36500."),
    ],
)  # fmt: skip
def test_what_does_not_say_how_long_is_refused(tmp_path, monkeypatch, written, said):
    with pytest.raises(SettingsError) as wrong:
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'\n{written}")
    assert wrong.value.what.startswith(said)
