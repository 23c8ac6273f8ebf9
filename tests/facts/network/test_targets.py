"""Several targets are several backups: each on its own, and a restore takes the best."""

import os
import re
import secrets
import shutil

import pytest

from lib.trying import sample_bot
from tests import compare
from tests.stand_ins import relay
from tests.stand_ins.bot import URL, Bot
from tests.stand_ins.supabase import make_database
from tests.stand_ins.unreachable import down


@pytest.fixture
def second(server):
    with make_database(server, f"test_{secrets.token_hex(6)}") as url:
        yield url


@pytest.fixture
def doubled(bot, second):
    """A bot with two targets, set up and backed up."""
    bot.second = Bot(bot.folder, second)
    bot.write_env(SUPABASE_DB_URL_2=second)
    bot.run("setup_supabase.py").expect(0)
    return bot


def outcomes(result):
    return [(run["source"], run["run"]) for run in result.json["runs"]]


def test_each_target_gets_everything(doubled):
    assert doubled.mirror_counts() == doubled.second.mirror_counts()
    found = doubled.run("backup.py", "--json").expect(0)
    assert outcomes(found) == [("premium_system", 3), ("user_requests", 4)] * 2


@pytest.mark.parametrize("broken", ["SUPABASE_DB_URL", "SUPABASE_DB_URL_2"])
def test_one_that_fails_does_not_stop_the_other(doubled, broken):
    urls = {"SUPABASE_DB_URL": doubled.url, "SUPABASE_DB_URL_2": doubled.second.url}
    doubled.write_env(**urls | {broken: down(urls[broken])})
    sample_bot.live(doubled.data, 3)
    done = doubled.run("backup.py", "--json").expect(3)
    assert done.json["outcome"] == "incomplete"
    assert len(done.json["runs"]) == 2
    good = doubled if broken == "SUPABASE_DB_URL_2" else doubled.second
    assert good.query("SELECT count(*) FROM backup.runs WHERE outcome = 'saved'") == [(4,)]


def test_what_fails_on_one_of_two_names_it_and_speaks_of_no_other(doubled):
    doubled.write_env(SUPABASE_DB_URL_2=down(doubled.second.url))
    said = doubled.run("backup.py", "premium_system").expect(3).stderr
    assert said.startswith("Error: target 2: cannot connect to 127.0.0.1:")
    assert "\nNothing was changed there.\n" in said
    doubled.write_env(SUPABASE_DB_URL_2=doubled.second.url)
    doubled.premium.unlink()
    said = doubled.run("backup.py").expect(3).stderr
    for number in (1, 2):
        assert f"Error: target {number}: {doubled.premium} does not exist.\nNothing was changed there; the last good" in said
    assert "in Supabase" not in said
    (doubled.folder / "snapshots" / "premium_system.db.json").unlink()  # the note for target 1; that for target 2 is there
    assert "Try: restore it with" in doubled.run("setup_supabase.py", "--check").expect(1).stdout
    for flags in (["restore.py", "--drill"], ["backup.py", "--dry-run"], ["backup.py", "--verify"]):
        doubled.write_env(SUPABASE_DB_URL_2=down(doubled.second.url))
        assert "Error: target 2: cannot connect to 127.0.0.1:" in doubled.run(*flags).expect(1).stderr


def test_setup_says_which_of_two_it_is_that_fails(doubled):
    doubled.second.query("GRANT SELECT ON backup.runs TO anon")
    doubled.second.query("GRANT USAGE ON SCHEMA backup TO anon")
    said = doubled.run("setup_supabase.py", "--check").expect(1).stdout
    assert re.search(r"❌ \d+\. target 2: Privacy: others can get in", said)
    assert re.search(r"✅ \d+\. target 1: Privacy: closed", said)


def test_one_database_behind_two_addresses_is_no_second_backup(saved_bot):
    port = URL.fullmatch(saved_bot.url)["port"]
    with relay.running("127.0.0.1", int(port)) as (_, listens):
        saved_bot.write_env(SUPABASE_DB_URL_2=saved_bot.url.replace(f":{port}/", f":{listens}/"))
        twice = "it is the database of target 1 (127.0.0.1), reached in another way: two backups there are one."
        said = saved_bot.run("backup.py").expect(3).stderr
        assert f"Error: target 2: {twice}\nNothing was changed there.\nTry: take SUPABASE_DB_URL_2 out of .env" in said
        for script, *flags in (("setup_supabase.py", "--check"), ("test_backup.py",), ("backup.py", "--status")):
            assert twice in saved_bot.run(script, *flags).expect(1).stdout
        saved_bot.run("backup.py", "--report", "report.html").expect(0)
        assert twice in (saved_bot.folder / "report.html").read_text()
        for script, flag in (("backup.py", "--verify"), ("backup.py", "--dry-run"), ("restore.py", "--drill")):
            assert f"Error: target 2: {twice}" in saved_bot.run(script, flag).expect(1).stderr
        assert f"   target 2, 127.0.0.1: {twice}" in saved_bot.run("restore.py", "--list").expect(0).stdout
        saved_bot.run("restore.py", "--list", "--target", "2").expect(0)
        assert saved_bot.query("SELECT count(*) FROM backup.runs") == [(4,)]


@pytest.mark.campaign
def test_a_target_that_was_away_catches_up_by_itself(doubled):
    doubled.write_env(SUPABASE_DB_URL_2=down(doubled.second.url))
    for seed in (3, 4):
        sample_bot.live(doubled.data, seed)
        doubled.run("backup.py").expect(3)
    doubled.write_env(SUPABASE_DB_URL_2=doubled.second.url)
    sample_bot.live(doubled.data, 5)
    doubled.backup()
    doubled.run("backup.py", "--verify").expect(0)
    for number in ("1", "2"):
        doubled.assert_restorable("--target", number)


def test_each_target_has_its_own_previous_snapshot(doubled):
    kept = doubled.folder / "snapshots"
    doubled.write_env(SUPABASE_DB_URL_2=down(doubled.second.url))
    before = (kept / "premium_system.target-2.db").read_bytes()
    sample_bot.live(doubled.data, 3)
    doubled.run("backup.py").expect(3)
    assert (kept / "premium_system.target-2.db").read_bytes() == before
    assert compare.differences(kept / "premium_system.db", doubled.premium) == []


def test_a_restore_takes_the_newest_and_says_so(doubled):
    doubled.write_env(SUPABASE_DB_URL=down(doubled.url), SUPABASE_DB_URL_2=doubled.second.url)
    sample_bot.live(doubled.data, 3)
    doubled.run("backup.py").expect(3)
    newest = doubled.keep_copies()
    doubled.write_env(SUPABASE_DB_URL_2=doubled.second.url)
    sample_bot.live(doubled.data, 4)
    done = doubled.run("restore.py", "--yes").expect(0)
    assert "Target 2 has the newest backup, and is used (--target N to choose another).\n" in done.stdout
    assert "✅ target 2, 127.0.0.1: complete as of " in done.stdout
    for path in doubled.databases:
        assert compare.differences(path, newest[path.stem]) == []
    done = doubled.run("restore.py", "--yes", "--target", "1").expect(0)
    assert "Restore from 127.0.0.1:\n" in done.stdout
    assert compare.differences(doubled.premium, newest["premium_system"]) != []
    for number in ("7", "0"):
        said = doubled.run("restore.py", "--yes", "--target", number).expect(2).stderr
        assert f"there is no target {number}.\nTry: name one of 1, 2, or leave --target out\n" in said


def test_a_restore_takes_the_one_that_answers(doubled):
    doubled.write_env(SUPABASE_DB_URL=down(doubled.url), SUPABASE_DB_URL_2=doubled.second.url)
    done = doubled.run("restore.py", "--yes").expect(0)
    assert "   target 1, 127.0.0.1: cannot connect to 127.0.0.1:" in done.stdout
    assert "✅ target 2, 127.0.0.1: complete as of " in done.stdout


def test_a_target_that_lacks_a_database_is_not_the_best(doubled):
    doubled.backup("user_requests")
    doubled.query("UPDATE backup.sources SET last_run = NULL WHERE source = 'premium_system'")
    assert "Target 2 has the newest backup" in doubled.run("restore.py", "--yes").expect(0).stdout


def test_when_none_answers_it_says_why_of_each_and_how_to_do_without(doubled):
    doubled.write_env(SUPABASE_DB_URL=down(doubled.url), SUPABASE_DB_URL_2=down(doubled.second.url))
    for flags in (["--yes"], ["--list"], ["--list", "--target", "2"]):
        said = doubled.run("restore.py", *flags).expect(1).stderr
        command = " ".join(["python3 restore.py", *flags[1:], "--local"])
        assert f"     or, without the network:  {command}\n" in said
    assert re.findall(r"target (\d): cannot connect to ", doubled.run("restore.py", "--yes").stderr) == ["1", "2"]
    for flags in (["--at", "today"], ["--table", "refunds", "--database", "premium_system"]):
        assert "without the network" not in doubled.run("restore.py", "--yes", *flags).expect(1).stderr
    shutil.rmtree(doubled.folder / "snapshots")
    assert "without the network" not in doubled.run("restore.py", "--yes").expect(1).stderr


def test_what_is_told_of_two_says_of_which(doubled):
    doubled.second.query("UPDATE backup_premium_system.refunds SET status = 'x' WHERE id = 1")
    looked = {flag: doubled.run("backup.py", flag).stdout for flag in ("--dry-run", "--verify")}
    for number in (1, 2):
        assert f"target {number}: premium_system.refunds: would insert" in looked["--dry-run"]
    assert "✅ equal  target 1: premium_system.refunds: " in looked["--verify"]
    assert "❌ differs  target 2: premium_system.refunds: " in looked["--verify"]
    asked = doubled.run("backup.py", "--status").expect(1).stderr
    assert "premium_system → 127.0.0.1 (target 2): --verify found differences in refunds." in asked
    parts = {"backup.py --dry-run": "tables", "backup.py --verify": "tables", "restore.py --drill": "drills", "backup.py": "runs"}
    for script, part in parts.items():
        assert {one["number"] for one in doubled.run(*script.split(), "--json").json[part]} == {1, 2}, script
    assert "target 2: premium_system.refunds: " in doubled.run("backup.py", "--verbose").expect(0).stdout


def test_a_local_restore_takes_the_newest_snapshot_of_any_target(doubled):
    doubled.write_env(SUPABASE_DB_URL=down(doubled.url), SUPABASE_DB_URL_2=doubled.second.url)
    sample_bot.live(doubled.data, 3)
    doubled.run("backup.py").expect(3)
    newest = doubled.keep_copies()
    for path in doubled.databases:
        path.unlink()
    doubled.run("restore.py", "--local", "--yes").expect(0)
    assert compare.differences(doubled.premium, newest["premium_system"]) == []
    shutil.rmtree(doubled.folder / "snapshots")
    doubled.run("restore.py", "--local", "--yes").expect(1)


@pytest.mark.campaign
def test_a_local_restore_goes_by_the_order_of_the_runs_not_by_a_clock(doubled):
    doubled.write_env(SUPABASE_DB_URL=down(doubled.url), SUPABASE_DB_URL_2=doubled.second.url)
    sample_bot.live(doubled.data, 3)
    doubled.run("backup.py").expect(3)
    newest = doubled.keep_copies()
    for path in (doubled.folder / "snapshots").glob("*.db"):
        is_second = "target-2" in path.name
        os.utime(path, (1, 1) if is_second else (4e9, 4e9))
    doubled.run("restore.py", "--local", "--yes").expect(0)
    assert compare.differences(doubled.premium, newest["premium_system"]) == []
    doubled.run("restore.py", "--local", "--target", "1", "--yes").expect(0)
    assert compare.differences(doubled.premium, newest["premium_system"]) != []
    before = doubled.premium.read_bytes()
    (doubled.folder / "snapshots" / "runs.jsonl").unlink()
    asked = doubled.run("restore.py", "--local", "--yes", "--database", "premium_system").expect(1).stderr
    assert "it is not clear which snapshot of premium_system is the newest:\n  target 1: run " in asked
    assert "Try: choose one:  python3 restore.py --local --database premium_system --target 1" in asked
    assert doubled.premium.read_bytes() == before
    doubled.run("restore.py", "--local", "--yes", "--target", "2").expect(0)
    assert compare.differences(doubled.premium, newest["premium_system"]) == []


def test_a_target_whose_clock_was_set_back_is_a_question(doubled):
    doubled.second.query("UPDATE backup.runs SET finished_at = finished_at + interval '3 years'")
    asked = doubled.run("restore.py", "--yes").expect(2).stderr
    assert "the clock of target 2 was set back: its newest backup is from the future." in asked
    doubled.run("restore.py", "--yes", "--target", "1").expect(0)


@pytest.mark.campaign
def test_a_drill_and_the_status_tell_of_each(doubled):
    found = doubled.run("restore.py", "--drill", "--json").expect(0).json["drills"]
    assert [(drill["source"], drill["error"]) for drill in found] == [("premium_system", None), ("user_requests", None)] * 2
    doubled.write_env(SUPABASE_DB_URL_2=down(doubled.second.url))
    doubled.run("restore.py", "--drill").expect(1)
    said = doubled.run("backup.py", "--status", "--max-age", "7h").expect(0).stdout
    assert "premium_system → 127.0.0.1 (target 2)\n  the target cannot be asked: " in said
    doubled.query("UPDATE backup.runs SET finished_at = finished_at - interval '8 hours'")
    late = doubled.run("backup.py", "--status", "--max-age", "7h").expect(1).stderr
    assert late.count("premium_system → 127.0.0.1, user_requests → 127.0.0.1: the last success is 8 hours old") == 1


def test_a_run_number_needs_a_target(doubled):
    """Both have a run 1, and another one each."""
    before = doubled.premium.stat().st_ino
    done = doubled.run("restore.py", "--at", "1", "--yes").expect(2)
    assert "each of the 2 targets counts its own runs: of which is run 1?" in done.stderr
    assert "Try: see and choose:  python3 restore.py --list --target N" in done.stderr
    assert doubled.premium.stat().st_ino == before
    doubled.run("restore.py", "--at", "2", "--yes", "--target", "2").expect(0)
    doubled.run("restore.py", "--at", "today", "--yes").expect(0)


@pytest.mark.parametrize("broken", ["SUPABASE_DB_URL", "SUPABASE_DB_URL_2"])
def test_setup_sets_up_the_one_that_is_there(bot, second, broken):
    urls = {"SUPABASE_DB_URL": bot.url, "SUPABASE_DB_URL_2": second}
    bot.write_env(**urls | {broken: down(urls[broken])})
    done = bot.run("setup_supabase.py", "--json").expect(3).json
    assert [done["outcome"], *(run["source"] for run in done["runs"])] == ["incomplete", "premium_system", "user_requests"]
    well, ill = (2, 1) if broken == "SUPABASE_DB_URL" else (1, 2)
    assert [failure["check"] for failure in done["failed"]] == [f"target {ill}: Connection to 127.0.0.1"]
    steps = ("Mirrors of premium_system", "Mirrors of user_requests", "Analytics views", "Setup", "Privacy")
    assert {f"target {well}: {step}" for step in steps} <= set(done["passed"])
    there = bot if broken == "SUPABASE_DB_URL_2" else Bot(bot.folder, second)
    assert there.query("SELECT source FROM backup.sources ORDER BY source") == [("premium_system",), ("user_requests",)]
    bot.run("backup.py").expect(3)
    bot.run("setup_supabase.py", "--check").expect(1)
    bot.write_env(**urls)
    bot.run("setup_supabase.py").expect(0)
    bot.run("setup_supabase.py", "--check").expect(0)


def test_each_target_s_writer_is_told_with_its_setting(doubled):
    said = doubled.run("setup_supabase.py", "--writer-role").expect(0).stdout
    assert re.findall(r"into (\S+) in \.env", said) == ["SUPABASE_DB_URL", "SUPABASE_DB_URL_2"]


@pytest.mark.campaign
def test_a_trial_tries_the_one_that_is_there(doubled):
    doubled.write_env(SUPABASE_DB_URL=down(doubled.url), SUPABASE_DB_URL_2=doubled.second.url)
    done = doubled.run("test_backup.py", "--json").expect(1).json
    assert [failure["check"] for failure in done["failed"]] == ["target 1: Connection to 127.0.0.1"]
    steps = ("Back up", "Change and back up", "Restore", "Privacy")
    assert {f"target 2: {step}" for step in steps} <= set(done["passed"])


def test_a_target_that_gets_another_number_is_the_same_bots(doubled):
    doubled.write_env(SUPABASE_DB_URL=doubled.second.url, SUPABASE_DB_URL_2=doubled.url)
    doubled.run("backup.py").expect(0)
    doubled.write_env(SUPABASE_DB_URL=doubled.url)
    doubled.run("backup.py").expect(0)
    doubled.run("restore.py", "--yes").expect(0)
