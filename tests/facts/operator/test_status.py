"""The status says in one screen how each database is doing, also when the network is down."""

import json
import re

import pytest

from tests.stand_ins.machine import scheduled, with_cron
from tests.stand_ins.unreachable import free_port


def unreachable(bot):
    return f"postgresql://postgres:secret-4711@127.0.0.1:{free_port()}/postgres"


def aged(bot, hours):
    """Let this machine's record be some hours older."""
    record = bot.folder / "snapshots" / "runs.jsonl"
    runs = [json.loads(line) for line in record.read_text().splitlines()]
    record.write_text("".join(json.dumps(run | {"at": run["at"] - hours * 3600}) + "\n" for run in runs))


@pytest.mark.campaign
def test_it_fits_a_screen_and_says_all_that_is_asked(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET status = 'x' WHERE id = 1")
    for _ in range(3):
        saved_bot.backup()
    saved_bot.run("restore.py", "--drill").expect(0)
    said = saved_bot.run("backup.py", "--status").expect(0).stdout
    assert len(said.splitlines()) <= 24
    assert "premium_system → 127.0.0.1\n  last success: run 7, " in said
    for part in (" ago: ", " rows, 0 changes, ", " B sent, ", "next run expected: ", "restore points: 4, back to run 1, ",
                 "last proven restorable: run 7, ", " of 500.0 MB (", 
                 "last runs, newest first: ✅ ✅ ✅ ✅ (✅ saved)"):  # fmt: skip
        assert part in said, part


@pytest.mark.campaign
def test_the_last_failure_and_why_and_whether_it_is_over(saved_bot):
    content = saved_bot.premium.read_bytes()
    saved_bot.premium.write_bytes(b"")
    saved_bot.run("backup.py").expect(3)
    said = saved_bot.run("backup.py", "--status").expect(1).stdout
    assert "(❌ nothing has got through since): premium_system.db is empty (0 bytes)." in said
    assert said.count("last failure") == 1
    saved_bot.premium.write_bytes(content)
    saved_bot.backup()
    assert "(got through since): premium_system.db is empty (0 bytes)." in saved_bot.run("backup.py", "--status").stdout


@pytest.mark.campaign
def test_where_nothing_starts_it_the_first_line_does_not_say_that_all_is_well(saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    saved_bot.run("restore.py", "--drill").expect(0)
    line, page = first_line(saved_bot, 0), saved_bot.folder / "status.html"
    mind, unscheduled = "Backed up, with something to mind", "neither cron nor systemd backs it up here."
    assert without_age(line) == (
        f"⚠️  {mind}: premium_system, user_requests: {unscheduled} Try: python3 setup_supabase.py --schedule cron --install"
    )
    saved_bot.run("backup.py", "--report", str(page)).expect(0)
    assert mind in page.read_text()
    assert unscheduled in page.read_text()
    assert saved_bot.run("backup.py", "--status", "--max-age", "7h", "--quiet").expect(0).stderr == ""  # what cron asks
    scheduled(saved_bot)
    assert first_line(saved_bot, 0).startswith("✅ All is well: ")


def first_line(bot, status):
    return bot.run("backup.py", "--status").expect(status).stdout.split("\n")[0]


def without_age(line):
    """Return a verdict without how long ago the last success was, which has to be in it."""
    said, age = re.subn(r" \(last saved \d+ \w+ ago\)", "", line)
    assert age == 1, line
    return said


@pytest.mark.campaign
def test_the_first_line_says_whether_all_is_well_and_what_to_type(saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    scheduled(saved_bot)
    unproven = "premium_system, user_requests: never proven restorable. Try: python3 restore.py --drill"
    assert without_age(first_line(saved_bot, 0)) == f"⚠️  Backed up, with something to mind: {unproven}"
    saved_bot.run("restore.py", "--drill").expect(0)
    assert re.fullmatch(
        r"✅ All is well: [\d,]+ rows are safe in Supabase, last saved \d+ seconds? ago\.", first_line(saved_bot, 0)
    )
    saved_bot.premium.write_bytes(b"")
    saved_bot.run("backup.py").expect(3)
    wrong = "premium_system: the last run failed: premium_system.db is empty (0 bytes)."
    assert without_age(first_line(saved_bot, 1)).startswith(
        f"❌ Something needs you: {wrong} Try: restore it with python3 restore.py"
    )
    found = saved_bot.run("backup.py", "--status", "--json").expect(1).json
    assert (found["outcome"], found["error"], [one["is_bad"] for one in found["troubles"]]) == ("failed", wrong, [True])


@pytest.mark.campaign
def test_all_that_is_wrong_is_in_the_first_lines_the_worst_first(saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    scheduled(saved_bot)
    saved_bot.query("UPDATE backup.runs SET outcome = 'failed', error = E'no\\nroom' WHERE run = 1")
    saved_bot.query("UPDATE backup.sources SET last_run = NULL WHERE source = 'premium_system'")
    (saved_bot.folder / "snapshots" / "runs.jsonl").unlink()
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="9", ALERT_WEBHOOK_URL="nowhere")
    lines = saved_bot.run("backup.py", "--status").expect(1).stdout.split("\n\n")[0].split("\n")
    assert [line.split()[0] for line in lines] == ["❌", "❌", "⚠️", "⚠️"]
    assert "no run has ever got through; the last one failed: no Try: python3 backup.py" in lines[0]
    assert "❌ premium_system, user_requests: the database uses 1" in "\n".join(lines)


def test_a_failure_that_only_the_target_knows_of_is_told(saved_bot):
    """That of another machine, or of one that has lost its record."""
    saved_bot.query(
        "INSERT INTO backup.runs (source, outcome, error, version) VALUES ('premium_system', 'failed', 'no room', '')"
    )
    (saved_bot.folder / "snapshots" / "runs.jsonl").unlink()
    said = without_age(first_line(saved_bot, 1))
    assert said.startswith("❌ Something needs you: premium_system: the last run failed: no room Try: ")


def test_a_run_that_did_not_come_is_overdue(saved_bot):
    for _ in range(2):
        saved_bot.backup()
    pauses = "make_interval(hours => 8 + 6 * (2 - (run::int - 1) / 2))"
    saved_bot.query(f"UPDATE backup.runs SET started_at = started_at - {pauses}, finished_at = finished_at - {pauses}")
    saved_bot.run("backup.py", "--status").expect(0)  # two hours late, of six: pauses differ
    saved_bot.query(
        "UPDATE backup.runs SET started_at = started_at - interval '2 hours', finished_at = finished_at - interval '2 hours'"
    )
    late = saved_bot.run("backup.py", "--status").expect(1)
    assert "premium_system, user_requests: a run was expected 4 hours ago, and did not come.\nTry: python3 " in late.stderr
    assert late.stdout.count("next run expected: ❌ overdue, ") == 2
    saved_bot.run("backup.py", "--status", "--max-age", "12h").expect(0)  # what is late has been said


def test_what_is_old_is_told_also_where_nobody_knows_how_often_runs_come(saved_bot):
    """After the first run, and where the target does not answer."""
    old = "interval '90 days'"
    saved_bot.query(f"UPDATE backup.runs SET started_at = started_at - {old}, finished_at = finished_at - {old}")
    aged(saved_bot, 90 * 24)
    page = saved_bot.folder / "status.html"
    for url in (saved_bot.url, unreachable(saved_bot)):
        saved_bot.write_env(SUPABASE_DB_URL=url)
        asked = saved_bot.run("backup.py", "--status").expect(1)
        assert asked.stdout.startswith("❌ Something needs you (last saved 90 days ago): ")
        assert "premium_system, user_requests: the last success is 90 days old.\nTry: python3 " in asked.stderr
        saved_bot.run("backup.py", "--report", str(page)).expect(0)
        assert "the last success is 90 days old." in page.read_text()
        assert page.read_text().count('"badge bad">overdue<') == page.read_text().count('"badge ') > 0


def test_unknown_is_not_never(bot):
    bot.run("setup_supabase.py").expect(0)
    bot.query("UPDATE backup.runs SET compared_all = NULL")  # as an older release left it
    assert bot.run("backup.py", "--status").expect(0).stdout.count("every row last compared: unknown\n") == 2
    bot.query("DELETE FROM backup.run_tables; UPDATE backup.sources SET last_run = NULL; DELETE FROM backup.runs")
    (bot.folder / "snapshots" / "runs.jsonl").unlink()
    asked = bot.run("backup.py", "--status").expect(1)
    assert "premium_system, user_requests: never backed up.\n" in asked.stderr
    assert asked.stdout.count("last success: never\n") == asked.stdout.count("every row last compared: never\n") == 2
    bot.write_env(SUPABASE_DB_URL=unreachable(bot))
    alone = bot.run("backup.py", "--status").expect(1)
    assert "the target cannot be asked: cannot connect to " in alone.stdout
    assert "unknown whether it was ever backed up: nothing is recorded here.\n" in alone.stderr
    assert alone.stdout.count("last success: unknown: none is recorded here\n") == 2
    assert alone.stdout.count("restore points, last drill, size: unknown until the target answers\n") == 2
    assert "never" not in alone.stdout
    bot.run("backup.py").expect(1)
    page = bot.folder / "status.html"
    failed = bot.run("backup.py", "--status").expect(1)
    bot.run("backup.py", "--report", str(page)).expect(0)
    for said in (failed.stdout, page.read_text()):
        assert "unknown whether a run has ever got through; the last one failed: cannot connect to " in said
        assert "no run has ever" not in said
    cause = "cannot connect to 127.0.0.1:"
    verdict = failed.stdout.split("\n\n")[0]
    assert (verdict.count(cause), failed.stderr.count(cause)) == (1, 1)  # and once its remedy
    assert page.read_text().split('role="status"')[1].split("</ul>")[0].count(cause) == 1


def test_json_has_numbers(saved_bot):
    found = saved_bot.run("backup.py", "--status", "--json").expect(0).json
    first = found["sources"][0]
    assert (first["source"], first["asked"], first["is_late"]) == ("premium_system", "the target", False)
    assert first["last_success"]["run"] == 1
    assert 0 <= first["last_success"]["age"] < 600
    assert first["database_bytes"] > 1_000_000
    assert first["restore_points"]["count"] == 1


@pytest.mark.campaign
def test_with_the_network_down_it_tells_what_this_machine_knows_and_says_so(saved_bot):
    saved_bot.backup()
    saved_bot.write_env(SUPABASE_DB_URL=unreachable(saved_bot))
    said = saved_bot.run("backup.py", "--status", "--max-age", "7h").expect(0).stdout
    assert "the target cannot be asked: cannot connect to 127.0.0.1:" in said
    assert "what follows is this machine's own record\n  last success: run 3, " in said
    aged(saved_bot, 8)
    late = saved_bot.run("backup.py", "--status", "--max-age", "7h").expect(1)
    assert "premium_system, user_requests: the last success is 8 hours old, more than 7h." in late.stderr
    assert saved_bot.run("backup.py", "--status", "--json").json["sources"][0]["asked"] == "this machine's record"


def test_a_run_that_did_not_reach_the_target_is_known_when_the_network_is_back(saved_bot):
    aged(saved_bot, 1)
    saved_bot.query(
        "UPDATE backup.runs SET started_at = started_at - interval '1 hour', finished_at = finished_at - interval '1 hour'"
    )
    saved_bot.write_env(SUPABASE_DB_URL=unreachable(saved_bot))
    saved_bot.run("backup.py").expect(1)
    saved_bot.write_env()
    said = saved_bot.run("backup.py", "--status").expect(1).stdout
    assert said.count("(❌ nothing has got through since): cannot connect to 127.0.0.1:") == 2


def test_a_target_without_setup_is_a_failure(bot):
    done = bot.run("backup.py", "--status").expect(1)
    who, why = "premium_system, user_requests", "the target has not been set up (no schema backup)."
    assert done.stderr == f"{who}: the target cannot be asked: 127.0.0.1: {why}\nTry: python3 setup_supabase.py\n"


def test_a_record_that_was_cut_off_or_cannot_be_written_harms_nothing(saved_bot):
    record = saved_bot.folder / "snapshots" / "runs.jsonl"
    assert record.stat().st_mode & 0o077 == 0
    record.write_text(record.read_text() + '{"source": "premium_sy')
    saved_bot.backup()
    saved_bot.run("backup.py", "--status").expect(0)
    record.unlink()
    record.mkdir()
    assert "runs.jsonl is not a file: " in saved_bot.backup()["warnings"][0]
    assert saved_bot.backup()["warnings"] == []
    assert record.is_file()
