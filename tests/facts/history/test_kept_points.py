"""A run that somebody keeps stays a restore point for ever; the list shows the newest, and how to see more."""

import contextlib
import shutil

import psycopg2
import psycopg2.errors
import pytest

from lib.trying import sample_bot
from tests import compare


def days_later(bot, days):
    bot.query(
        "UPDATE backup.runs SET started_at = started_at - %(past)s::interval, finished_at = finished_at - %(past)s::interval",
        {"past": f"{days} days"},
    )


def listed(bot, *flags):
    return bot.run("restore.py", "--list", "--json", *flags).expect(0).json["runs"]


def test_a_kept_run_comes_back_after_its_retention(saved_bot):
    kept = saved_bot.keep_copies()
    said = saved_bot.run("restore.py", "--keep", "2", "before the migration").expect(0).stdout
    assert "premium_system: run 1 in 127.0.0.1" in said
    assert "user_requests: run 2 in 127.0.0.1" in said
    for seed in range(5):
        days_later(saved_bot, 11)
        sample_bot.live(saved_bot.data, seed)
        saved_bot.backup()
    runs = {point["run"]: point for point in listed(saved_bot)}
    assert {1, 2} < {*runs}
    assert {3, 4} & {*runs} == set()
    assert (runs[1]["kept"]["why"], runs[1]["kept"]["by"], runs[1]["restorable"]) == ("before the migration", "postgres", True)
    saved_bot.run("restore.py", "--yes", "--at", "2", "--to", str(saved_bot.folder / "out")).expect(0)
    for name, path in kept.items():
        assert compare.differences(path, saved_bot.folder / "out" / path.name) == [], name
    said = saved_bot.run("restore.py", "--list").expect(0).stdout
    assert said.count("kept for ever by postgres since") == 2
    assert "; 1 kept for ever" in saved_bot.run("backup.py", "--status").expect(0).stdout
    saved_bot.run("backup.py", "--report", "report.html").expect(0)
    assert "kept for ever" in (saved_bot.folder / "report.html").read_text()
    assert "is kept no longer" in saved_bot.run("restore.py", "--release", "2").expect(0).stdout
    saved_bot.backup()
    assert {point["run"] for point in listed(saved_bot)} & {1, 2} == set()
    assert saved_bot.query("SELECT count(*) FROM backup.undo_log WHERE run <= 4") == [(0,)]


def test_the_writer_keeps_and_only_the_owner_releases(writer, saved_bot):
    writer.run("restore.py", "--keep", "2", "why not", "--database", "user_requests").expect(0)
    assert saved_bot.query("SELECT run, kept_for, kept_by FROM backup.runs WHERE kept_at IS NOT NULL") == [
        (2, "why not", "backup_writer")
    ]
    said = writer.run("restore.py", "--release", "2").expect(1).stderr
    assert "Error: backup_writer may back up and keep, and cannot release what is kept." in said
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE kept_at IS NOT NULL") == [(1,)]
    saved_bot.write_env()
    saved_bot.run("restore.py", "--release", "2").expect(0)
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE kept_at IS NOT NULL") == [(0,)]


def test_to_keep_a_run_waits_for_the_one_that_may_be_thinning_it(saved_bot):
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as at_work:
        at_work.cursor().execute("SELECT pg_advisory_xact_lock(backup.source_lock('user_requests'))")
        kept = "backup.keep_runs('{premium_system,user_requests}', 2, 'why')"
        keep = f"SET LOCAL lock_timeout = '50ms'; SELECT source, run FROM {kept}"
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            saved_bot.query(f"BEGIN; {keep}")
        at_work.rollback()
        assert saved_bot.query(f"BEGIN; {keep}") == [("premium_system", 1), ("user_requests", 2)]


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        (("--keep", "yesterday", "why"), 2, "'yesterday' is not the number of a run."),
        (("--keep", "soon", "why"), 2, "'soon' is neither a run nor a time."),
        (("--keep", "99", "why"), 2, "there is no run 99"),
        (("--keep", "2", " x", "--at", "1"), 2, "--at does not go with --keep"),
        (("--keep", "2"), 2, "--keep"),
        (("--release", "2"), 1, "of the runs up to 2 there is none that is kept."),
        (("--list", "--since", "7"), 2, "'7' is a run: --since is for a time."),
        (("--list", "--since", "2999-01-01"), 2, "is still to come"),
        (("--list", "--last", "0"), 2, "--last 0 lists nothing."),
        (("--last", "3"), 2, "--last goes only with --list"),
    ],
)
def test_what_cannot_be_kept_or_listed_is_refused_as_it_was_typed(saved_bot, typed, status, said):
    assert said in saved_bot.run("restore.py", *typed).expect(status).stderr


def test_a_run_that_was_thinned_away_is_said_to_be_gone(saved_bot):
    for seed in range(3):
        sample_bot.live(saved_bot.data, seed)
        saved_bot.backup()
    days_later(saved_bot, 2)
    for seed in range(3, 5):
        saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '1 minute'")
        sample_bot.live(saved_bot.data, seed)
        saved_bot.backup()
    runs = {point["run"] for point in listed(saved_bot) if point["source"] == "user_requests"}
    assert (2 in runs, 6 in runs) == (True, False)
    gone = "user_requests: run 2 is the newest up to run 6 that is left"
    only, to = ("restore.py", "--database", "user_requests"), ("--yes", "--to", "out")
    for flags in (("--at", "6", *to), ("--at", "6", "--table", "user_requests", "--yes"), ("--keep", "6", "why")):
        assert gone in saved_bot.run(*only, *flags).expect(0).stderr
        assert any(warning.startswith(gone) for warning in saved_bot.run(*only, "--json", *flags).expect(0).json["warnings"])
    for exact in ("2", "12"):
        assert gone[:15] not in saved_bot.run(*only, *to, "--at", exact).expect(0).stderr
    assert "none that is kept (kept are user_requests: run 2)" in saved_bot.run("restore.py", "--release", "12").expect(1).stderr
    saved_bot.run(*only, "--release", "6").expect(0)


def test_the_list_shows_the_newest_and_how_to_see_more(saved_bot):
    copied = "source, outcome, started_at, finished_at, version, source_schema, snapshot_hash, snapshot_bytes, undo_mark, rows"
    saved_bot.query(f"INSERT INTO backup.runs ({copied}) SELECT {copied} FROM backup.runs, generate_series(1, 29) WHERE run <= 2")
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - (60 - run) * interval '1 hour'")
    saved_bot.run("restore.py", "--keep", "1", "the first").expect(0)
    assert len(listed(saved_bot)) == 41
    assert listed(saved_bot)[20]["run"] == 1
    said = saved_bot.run("restore.py", "--list").expect(0).stdout
    assert "and 19 more:  python3 restore.py --list --since 2026-11-01  or  --last 60" in said
    assert len(listed(saved_bot, "--last", "60")) == 60
    assert [point["run"] for point in listed(saved_bot, "--last", "1", "--database", "user_requests")] == [60]
    recent = listed(saved_bot, "--since", "3 hours ago")
    assert {point["run"] for point in recent} == {1, 58, 59, 60}
    assert recent[0]["run"] not in (1, 2)


def test_a_time_of_today_and_a_time_ago_are_understood(saved_bot):
    kept = saved_bot.keep_copies()
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '2 days'")
    sample_bot.live(saved_bot.data, 3)
    saved_bot.backup()
    for when in ("1 day ago", "90 minutes ago", "yesterday 00:00", "yesterday 12:30"):
        shutil.rmtree(saved_bot.folder / "out", ignore_errors=True)
        saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "out"), "--at", when).expect(0)
        assert compare.differences(kept["premium_system"], saved_bot.folder / "out" / sample_bot.PREMIUM) == [], when
    assert "cannot go back that far" in saved_bot.run("restore.py", "--yes", "--at", "9 days ago").expect(1).stderr
