"""The schedule is installed with this folder's own paths, found again by --status, and never silent."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.backing_up import timetable
from lib.backing_up.timetable import Deployment
from tests.stand_ins.bot import REPOSITORY, environment
from tests.stand_ins.machine import with_cron

pytestmark = pytest.mark.campaign

HOME = Path("/home/bot/hybrid-backup")
EXAMPLE = Deployment(HOME / ".env", HOME, f"{HOME}/.venv/bin/python", "bot", has_log=True)
# What others have in a crontab: bytes that are no UTF-8, other line ends, also such as only Python knows, no last newline.
OTHERS = b"MAILTO=owner@example.org\n# \xe4\r\n5 4 * * * echo 'a\x0cb' \xc2\x85\n* * * * * true"


@pytest.fixture
def machine(bot, tmp_path):
    """The bot on a machine whose crontab, systemctl and logger are stand-ins; nothing has been set up."""
    bot.environment = with_cron(tmp_path)
    return bot


def crontab(machine):
    return Path(machine.environment["CRONTAB"])


def schedule(machine, *flags, status=0):
    return machine.shown("setup_supabase.py", "--schedule", *flags).expect(status)


def by_hand(machine):
    """A line that a person has written."""
    return f"0 */6 * * * cd {REPOSITORY} && python3 backup.py --env-file {machine.folder}/.env\n"


def commands(text):
    """Return what cron would give to the shell."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[1] if line[0] == "@" else line.split(None, 5)[5]).replace("\\%", "%") for line in lines]


def as_cron_runs(machine, command, **more):
    """cron gives a command HOME, a bare PATH, /bin/sh and no terminal."""
    bare = machine.environment | {"PATH": machine.environment["PATH"].split(os.pathsep)[0] + ":/usr/bin:/bin", "HOME": "/"}
    return subprocess.run(["/bin/sh", "-c", command], env=bare | more, capture_output=True, text=True, timeout=120)


def test_the_example_is_what_is_printed():
    text = (REPOSITORY / "crontab.example").read_text()
    assert text[text.index("# >>>") :] == timetable.cron_lines(EXAMPLE)
    assert len(commands(text)) == 4
    for command in commands(text):
        assert subprocess.run(["sh", "-n", "-c", command]).returncode == 0


def test_it_is_put_into_the_crontab_replaced_and_taken_out_and_other_lines_stay_as_they_are(machine):
    assert schedule(machine, "cron").stdout == schedule(machine, "cron").stdout
    assert not crontab(machine).exists()
    crontab(machine).write_bytes(OTHERS)
    schedule(machine, "cron", "--install")
    once = crontab(machine).read_bytes()
    assert once == OTHERS + b"\n" + schedule(machine, "cron").stdout.encode()
    crontab(machine).write_bytes(once.replace(b" --max-age 7h", b" --max-age 9d") + b"# below\n")
    schedule(machine, "cron", "--install")
    assert crontab(machine).read_bytes() == once + b"# below\n"
    assert "removed from the crontab" in schedule(machine, "cron", "--remove").stdout
    assert crontab(machine).read_bytes() == OTHERS + b"\n# below\n"
    assert "nothing of it was in the crontab" in schedule(machine, "cron", "--remove").stdout
    assert crontab(machine).read_bytes() == OTHERS + b"\n# below\n"


def test_two_bots_of_one_user_have_lines_of_their_own(machine, tmp_path):
    schedule(machine, "cron", "--install")
    first = crontab(machine).read_text()
    second = machine.clone(tmp_path / "second")
    second.environment = machine.environment
    second.write_env(BACKUP_SCHEMA="second")
    kinds = [bot.run("backup.py", "--status", "--json").json["schedule"] for bot in (machine, second)]
    assert kinds == ["cron", "none"]  # though both have the same scripts
    schedule(second, "cron", "--install")
    assert crontab(machine).read_text().startswith(first)
    schedule(machine, "cron", "--remove")
    assert str(machine.folder) not in crontab(machine).read_text()
    marks, made_anew = 2, 1
    assert crontab(machine).read_text().count(str(second.folder)) == len(commands(first)) + marks + made_anew


def test_a_crontab_that_is_not_understood_is_not_written(machine):
    schedule(machine, "cron", "--install")
    broken = crontab(machine).read_text().replace("# <<< ", "# ")
    crontab(machine).write_text(broken)
    for flag in ("--install", "--remove"):
        said = schedule(machine, "cron", flag, status=1).stderr
        assert "has only one of the two marks around the lines of " in said
        assert "Try: remove those lines with  crontab -e" in said
    machine.environment["CRONTAB_REFUSES"] = "1"
    assert "not allowed to use this program" in schedule(machine, "cron", "--install", status=1).stderr
    machine.environment["PATH"] = str(machine.folder)
    assert "crontab cannot be run: No such file or directory." in schedule(machine, "cron", "--install", status=1).stderr
    assert crontab(machine).read_text() == broken


def test_lines_that_a_person_has_written_are_told_of(machine):
    """Those of an earlier release, copied: every backup would run twice."""
    crontab(machine).write_text(by_hand(machine))
    assert "take them out with  crontab -e" in schedule(machine, "cron", "--install").stderr
    crontab(machine).write_text("# " + crontab(machine).read_text())
    assert schedule(machine, "cron", "--install").stderr == ""


def test_lines_of_another_bot_are_not_to_be_taken_out(machine):
    crontab(machine).write_text(by_hand(machine).replace(f"{machine.folder}/.env", f"{machine.folder}-2/.env"))
    assert schedule(machine, "cron", "--install").stderr == ""


def test_it_is_one_schedule_however_the_settings_are_named(machine, tmp_path):
    schedule(machine, "cron", "--install")
    once, folder = crontab(machine).read_text(), machine.folder
    (tmp_path / "link").symlink_to(folder)
    for machine.folder in (tmp_path / "link", folder / "sqlite_data" / ".."):
        schedule(machine, "cron", "--install")
        assert crontab(machine).read_text() == once


def test_the_settings_must_be_in_a_file(machine):
    (machine.folder / ".env").unlink()
    machine.environment["SUPABASE_DB_URL"] = machine.url
    assert "does not exist" in schedule(machine, "cron", status=2).stderr
    machine.write_env(SUPABASE_DB_URL=None)
    said = schedule(machine, "cron").stderr
    assert said == "Warning: neither cron nor systemd hands on the environment: write into .env SUPABASE_DB_URL\n"


@pytest.mark.parametrize("settings", ["BACKUP_CHECK=none\n", "\xff", None])
def test_it_is_taken_away_also_where_the_settings_are_wrong_or_gone(machine, settings):
    """Who takes all away may begin anywhere, and what is no use any more must not go on complaining."""
    crontab(machine).write_bytes(OTHERS)
    schedule(machine, "cron", "--install")
    by_systemd = schedule(machine, "systemd", "--remove").stdout
    if settings is None:
        shutil.rmtree(machine.folder)
        machine.folder.mkdir()  # a script is started in it
    else:
        (machine.folder / ".env").write_bytes(settings.encode("latin-1"))
    assert schedule(machine, "systemd", "--remove").stdout == by_systemd
    assert "removed from the crontab" in schedule(machine, "cron", "--remove").stdout
    assert crontab(machine).read_bytes() == OTHERS + b"\n"


def test_lines_work_as_cron_runs_them_wherever_the_folder_is(machine, tmp_path):
    machine.folder = machine.folder.rename(tmp_path / "my bot's 100%d $HOME")
    machine.data = machine.folder / "sqlite_data"
    machine.run("setup_supabase.py").expect(0)
    schedule(machine, "cron", "--install")
    lines = commands(crontab(machine).read_text())
    assert len(lines) == 4
    for line in lines:
        done = as_cron_runs(machine, line.replace("sleep 60", "true"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), line


def test_a_folder_that_was_moved_is_not_silent(machine):
    """What the shell says of it reaches cron, and the system's log."""
    for command in commands(timetable.cron_lines(EXAMPLE)):
        done = as_cron_runs(machine, command.replace("sleep 60", "true"))
        assert "/home/bot/hybrid-backup/.venv/bin/python" in done.stderr, command
    assert Path(machine.environment["LOGGED"]).read_text().count(".venv/bin/python") == 4


def test_the_status_says_whether_it_is_there(machine):
    machine.run("setup_supabase.py").expect(0)

    def status():
        said = machine.run("backup.py", "--status").expect(0).stdout
        return machine.run("backup.py", "--status", "--json").expect(0).json["schedule"], said

    kind, said = status()
    assert (kind, "schedule: neither cron nor systemd has one for this folder" in said) == ("none", True)
    assert said.split("\n\n")[0].count("premium_system, user_requests: neither cron nor systemd backs it up here. Try: ") == 1
    schedule(machine, "cron", "--install")
    kind, said = status()
    assert (kind, said.count("schedule: cron, of the user "), said.count("they come every 6 hours")) == ("cron", 1, 2)
    assert "backs it up here" not in said
    crontab(machine).write_text(re.sub(r"^(?=[@*0-9])", "# ", crontab(machine).read_text(), flags=re.MULTILINE))
    assert status()[0] == "none"
    crontab(machine).write_text(by_hand(machine))
    assert status()[0] == "cron"
    machine.environment["CRONTAB_REFUSES"] = "1"
    assert status()[0] == "unknown"


def test_a_run_that_the_schedule_has_not_made_is_overdue_also_after_the_first(machine):
    machine.run("setup_supabase.py").expect(0)
    machine.query(
        "UPDATE backup.runs SET started_at = started_at - interval '10 hours', finished_at = finished_at - interval '10 hours'"
    )
    machine.run("backup.py", "--status").expect(0)  # nobody knows yet when runs come
    schedule(machine, "cron", "--install")
    late = machine.run("backup.py", "--status").expect(1).stderr
    assert "premium_system, user_requests: a run was expected 4 hours ago, and did not come." in late
    assert "see why its schedule does not" in late


def test_systemd_s_units_are_right_and_are_installed_by_a_root_shell(machine, tmp_path):
    machine.run("setup_supabase.py").expect(0)
    units = tmp_path / "units"
    units.mkdir()

    def shell(script):
        moved = script.replace("/etc/systemd/system", str(units))
        subprocess.run(["/bin/sh", "-c", moved], env=environment() | machine.environment, check=True)

    shell(schedule(machine, "systemd").stdout)
    files = sorted(units.iterdir())
    assert len(files) == 6
    if verify := shutil.which("systemd-analyze"):
        done = subprocess.run([verify, "verify", *files], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    services = [path.read_text() for path in files if path.suffix == ".service"]
    assert all("\nWants=network-online.target\nAfter=network-online.target\n" in text for text in services)
    assert machine.run("backup.py", "--status", "--json").expect(0).json["schedule"] == "systemd"
    assert "--schedule systemd | sudo sh" in schedule(machine, "systemd", "--install", status=2).stderr
    shell(schedule(machine, "systemd", "--remove").stdout)
    assert list(units.iterdir()) == []
    assert machine.run("backup.py", "--status", "--json").expect(0).json["schedule"] == "none"
