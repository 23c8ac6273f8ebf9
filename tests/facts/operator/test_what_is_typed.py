"""What is typed is done as it was typed, or refused in one line before anything is touched: no flag is ignored."""

import datetime
import importlib
import itertools
import os
import stat

import pytest

from lib.base import together, words
from lib.base.errors import SettingsError
from lib.settings import config
from lib.trying import sample_bot
from tests.stand_ins.bot import REPOSITORY
from tests.stand_ins.machine import with_cron

TASKS = (together.BACKUP, together.RESTORE, together.SETUP, together.TRIAL)
SCRIPTS = dict(zip(("backup", "restore", "setup_supabase", "test_backup"), TASKS, strict=True))
VALUES = {
    "--max-age": "7h", "--every": "6h", "--report": "report.html", "--database": "premium_system", "--at": "2",
    "--table": "refunds", "--to": "out", "--target": "1", "--ddl": "sqlite_data/premium_system.db", "--env-file": ".env",
    "--schedule": "cron", "--keep": "2 why", "--release": "2", "--live": "2s", "--since": "2026-11-01", "--last": "20",
    "--undo-edits": "2", "--find": "refunds", "--history": "refunds", "--where": "id=1", "--csv": "rows.csv",
    "--export": "exported", "--format": "csv", "--watch": "https://hooks.example/key",
}  # fmt: skip
LONG = {"--every", "--live", "--demo"}  # two never end, the third is tried by itself


def parser_of(script):
    return importlib.import_module(script).flags()


def flags_of(script):
    """Return every flag that the parser knows, SOURCE for names of sources; the answers about the script itself left out."""
    parser = parser_of(script)
    names = {f"--{name.replace('_', '-')}" for name in vars(parser.parse_args([]))} - {*parser.answers, "--h"}
    return sorted({"SOURCE" if name == "--source" else name for name in names})


def typed(script, *flags):
    values = VALUES | (
        {"--live": ""} if script == "setup_supabase" else {}
    )  # a process that stays has a pace, a schedule has none
    words = [("premium_system",) if flag == "SOURCE" else (flag, *values.get(flag, "").split()) for flag in flags]
    return [word for pair in words for word in pair]


def tried(script):
    """Return every task with every pair of the other flags."""
    for task in SCRIPTS[script]:
        others = [flag for flag in flags_of(script) if flag != task and (task or flag not in SCRIPTS[script])]
        yield from ((task, *pair) for pair in itertools.combinations(others, 2))


def neighbours(script):
    """Return every task with every flag that goes with it, and the flag after that: all pairs take a quarter of an hour."""
    for task in SCRIPTS[script]:
        flags = [flag for flag in flags_of(script) if flag != task and go_together(SCRIPTS[script], task, flag, flag)]
        yield from ((task, flag, following) for flag, following in zip(flags, flags[1:] + flags[:1], strict=True))


def go_together(tasks, task, *pair):
    """Judge by the table, in other words than the code."""
    words = {task, *pair} - {""}
    apart = any({*two} <= words for two in together.APART)
    heads = words & tasks.keys() or {""}
    return any(words - {head} <= {*together.ALWAYS, *tasks[head].split()} for head in heads) and not apart


def test_the_table_has_every_flag_of_every_script_and_no_other():
    for script, tasks in SCRIPTS.items():
        assert {*together.ALWAYS, *tasks, *" ".join(tasks.values()).split()} - {""} == set(flags_of(script)), script


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_pair_of_flags_is_understood_or_refused_in_one_line(script):
    for task, *pair in tried(script):
        words = typed(script, *filter(None, (task, *pair)))
        if go_together(SCRIPTS[script], task, *pair):
            assert parser_of(script).understood(words), words
            continue
        with pytest.raises(SettingsError) as caught:
            parser_of(script).understood(words)
        assert "\n" not in caught.value.what
        assert sum(flag in caught.value.what for flag in (task, *pair) if flag) > bool(task), caught.value.what


@pytest.mark.campaign
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_pair_that_is_understood_does_something_that_can_be_named(saved_bot, script, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    for task, first, second in neighbours(script):
        if go_together(SCRIPTS[script], task, first, second) and not {task, first, second} & LONG:
            done = saved_bot.run(f"{script}.py", *typed(script, *dict.fromkeys(filter(None, (task, first, second)))))
            assert done.status in (0, 1, 2), done
            assert "unexpected" not in done.stderr + done.stdout, done
            assert done.status == 0 or (done.stderr + done.stdout).strip(), done


def test_what_is_no_settings_file_is_told_in_a_line_or_two(tmp_path):
    prose = tmp_path / "README.md"
    sample_bot.make(tmp_path, 5)
    with pytest.raises(SettingsError) as caught:
        config.load(str(tmp_path / sample_bot.PREMIUM))
    assert caught.value.what == f"{tmp_path / sample_bot.PREMIUM} is no text: is it the file with the settings?"
    prose.write_text("one line\n" * 90)
    with pytest.raises(SettingsError, match=r"- README\.md has 87 more such lines: is it the file with the settings\?") as caught:
        config.load(str(prose))
    assert len(caught.value.what.splitlines()) == 7


def test_a_length_of_time_is_one_that_can_be_waited_for():
    assert [words.seconds(text) for text in ("90s", "0007h", "366d")] == [90, 25200, 366 * 86400]
    for text in ("0s", "367d", "99999999999999999999d", f"{'9' * 5000}s", "-1h", "7"):
        with pytest.raises(SettingsError, match="is no length of time from 1s to 366d"):
            words.seconds(text)


REFUSED = {
    "--demo and --env-file do not go together: the demo has databases": ("backup.py", "--demo"),
    "--at does not go with --local": ("restore.py", "--local", "--at", "1", "--yes"),
    "--table and --local do not go together": ("restore.py", "--local", "--table", "refunds", "--yes"),
    "--at does not go with --undo": ("restore.py", "--undo", "--at", "1", "--yes"),
    "--list and --drill do not go together": ("restore.py", "--drill", "--list"),
    "--max-age goes only with --status, --report or --fleet": ("backup.py", "--max-age", "7h"),
    "--status and --report do not go together": ("backup.py", "--status", "--report", "report.html"),
    "--dry-run and --verify do not go together": ("backup.py", "--verify", "--dry-run"),
    "--writer-role does not go with --check": ("setup_supabase.py", "--check", "--writer-role"),
    "--to was given an empty value": ("restore.py", "--to", "", "--yes"),
    "--at was given an empty value": ("restore.py", "--at=", "--yes"),
    "--database was given an empty value": ("restore.py", "--database", " ", "--yes"),
    "--undo was given an empty value": ("restore.py", "--undo", "", "--yes"),
    "SOURCE was given an empty value": ("backup.py", ""),
    "--at was given more than once": ("restore.py", "--at", "1", "--at=2", "--yes"),
}  # fmt: skip


@pytest.mark.campaign
def test_what_is_refused_has_done_nothing(saved_bot):
    before = {path: path.read_bytes() for path in saved_bot.folder.rglob("*") if path.is_file()}
    for said, command in REFUSED.items():
        done = saved_bot.run(*command).expect(2)
        first, *others = done.stderr.splitlines()
        assert first.startswith(f"Error: {said}"), done.stderr
        assert others == [f"Try: python3 {command[0]} --help"]
        assert saved_bot.run(*command, "--json").expect(2).json["outcome"] == "failed"
    assert {path: path.read_bytes() for path in saved_bot.folder.rglob("*") if path.is_file()} == before
    assert saved_bot.query("SELECT max(run) FROM backup.runs") == [(2,)]


def test_help_shows_the_table_in_80_columns():
    for script, tasks in SCRIPTS.items():
        shown = parser_of(script).answers["--help"].partition("\nwhat goes together")[2]
        assert max(map(len, shown.splitlines())) <= 80
        for task, with_it in tasks.items():
            assert " ".join([task or "none of these", with_it or "(nothing else)"]) in " ".join(shown.split()), (script, task)


NOT_YET = {
    "9999": "there is no run 9999: the newest of all databases is run 2.",
    "20200101": "there is no run 20200101: the newest of all databases is run 2.",
    "3": "there is no run 3: the newest of all databases is run 2.",
    "9999-01-01": "'9999-01-01' is still to come: it is ",
    "2999-01-01 12:00:00.5": "'2999-01-01 12:00:00.5' is still to come: it is ",
    "2999-01-01 12:00 UTC": "'2999-01-01 12:00 UTC' is still to come: it is ",
}


@pytest.mark.parametrize("more", ["--yes", "--dry-run", "--table refunds --yes", "--to out --yes"])
def test_a_run_or_a_time_that_has_not_been_is_not_the_newest(saved_bot, more):
    before = sorted(saved_bot.folder.rglob("*")), saved_bot.premium.stat().st_ino
    for at, said in NOT_YET.items():
        done = saved_bot.run("restore.py", "--at", at, *more.split()).expect(2)
        assert done.stderr.startswith(f"Error: {said}"), done.stderr
        assert "\nThe SQLite files were not touched.\nTry: python3 restore.py --list" in done.stderr
    assert (sorted(saved_bot.folder.rglob("*")), saved_bot.premium.stat().st_ino) == before
    for at in ("2", "today", saved_bot.query("SELECT (now() AT TIME ZONE 'UTC')::date::text")[0][0]):
        saved_bot.run("restore.py", "--at", at, "--dry-run").expect(0)


def test_a_run_that_failed_may_be_named_and_one_of_another_database(saved_bot):
    saved_bot.premium.write_bytes(b"")
    saved_bot.run("backup.py", "premium_system").expect(1)
    ((newest,),) = saved_bot.query("SELECT max(run) FROM backup.runs")
    found = saved_bot.run("restore.py", "--at", str(newest), "--yes", "--json").expect(0).json["restored"]
    assert [restored["run"] for restored in found] == [1, 2]


def test_a_time_is_still_to_come_by_the_later_of_two_clocks(saved_bot):
    """The server's clock was set back since its last run: what `--list` shows can be typed."""
    saved_bot.query("UPDATE backup.runs SET finished_at = finished_at + interval '3 hours'")
    (*_, newest) = saved_bot.run("restore.py", "--list", "--json").expect(0).json["runs"]
    found = saved_bot.run("restore.py", "--at", newest["finished_at"], "--to", "out", "--yes", "--json").expect(0).json
    assert newest["run"] in [restored["run"] for restored in found["restored"]]


def test_without_a_restore_point_no_run_means_the_newest(saved_bot):
    saved_bot.query("UPDATE backup.sources SET pruned_to = 1000000")
    done = saved_bot.run("restore.py", "--at", "1", "--yes").expect(1)
    assert "127.0.0.1 holds no restore point of premium_system." in done.stderr


TIMES = {
    "2026-11-20": "2026-11-20 00:00:00", "2026-11-20 12": "2026-11-20 12:00:00", "2026-11-20T12:30Z": "2026-11-20 12:30:00",
    "2026-11-20 12:30:05": "2026-11-20 12:30:05", "2026-11-20 12:30+02:00": "2026-11-20 10:30:00",
    " 2026-11-20  UTC": "2026-11-20 00:00:00",
}  # fmt: skip


def test_a_time_begins_as_precisely_as_it_is_given():
    for text, begins in TIMES.items():
        assert words.beginning(text).astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S") == begins, text
    assert words.beginning("117") is None
    assert words.beginning("today").date() == datetime.datetime.now(datetime.timezone.utc).date()


def test_a_report_replaces_a_report_and_nothing_else(saved_bot):
    report = saved_bot.folder / "report.html"
    for beside in (saved_bot.data / "premium_system.db-wal", saved_bot.folder / "snapshots" / "status.html"):
        said = saved_bot.run("backup.py", "--report", str(beside)).expect(2).stderr
        assert f"Error: {beside} is no report, and is not replaced." in said
        assert not beside.exists()
    for kept in (saved_bot.premium, saved_bot.folder / ".env", saved_bot.folder / "supabase_backup.log"):
        before = kept.read_bytes()
        done = saved_bot.run("backup.py", "--report", str(kept)).expect(2)
        assert f"Error: {kept} is no report, and is not replaced.\nTry: python3 backup.py --report status.html\n" in done.stderr
        assert kept.read_bytes().startswith(before)  # the log grows
    report.touch()
    for _ in range(2):
        saved_bot.run("backup.py", "--report", str(report)).expect(0)
        assert report.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_is_no_file_is_not_replaced_and_a_link_leads_to_what_is(saved_bot):
    """A pipe with a name stands for all that is no file: nobody tries this with a device."""
    link, status = saved_bot.folder / "link.html", saved_bot.folder / "status.html"
    link.symlink_to(status.name)
    for _ in range(2):
        saved_bot.run("backup.py", "--report", str(link)).expect(0)
        assert (link.is_symlink(), status.read_text()[:9]) == (True, "<!DOCTYPE")
    out = saved_bot.folder / "out"
    out.mkdir()
    pipe = out / saved_bot.premium.name
    os.mkfifo(pipe)
    link.unlink()
    link.symlink_to(pipe)
    to_pipe = ("restore.py", "--to", str(out), "--database", "premium_system", "--yes")
    for command in (("backup.py", "--report", str(pipe)), ("backup.py", "--report", str(link)), to_pipe, (*to_pipe, "--local")):
        assert " is not a file, and is not replaced.\n" in saved_bot.run(*command).expect(2).stderr
    (out / "folder.html").mkdir()
    assert (
        "cannot be written: Is a directory" in saved_bot.run("backup.py", "--report", str(out / "folder.html")).expect(1).stderr
    )
    assert sorted(path.name for path in out.iterdir()) == ["folder.html", pipe.name]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_a_path_that_is_typed_is_told_as_one_in_the_settings_is(saved_bot):
    before = sorted(saved_bot.folder.rglob("*"))
    for written, why in {"$HOME/x": "holds a variable", "*.db": "is a pattern", "C:\\x": "is a path of Windows'"}.items():
        for command in (("restore.py", "--yes", "--to"), ("setup_supabase.py", "--ddl"), ("backup.py", "--report")):
            said = saved_bot.run(*command, written).expect(2).stderr
            assert f"Error: {command[-1]}: {written!r} {why}" in said
            assert "SQLITE_DATABASES" not in said
    said = saved_bot.run("setup_supabase.py", "--ddl", "sqlite_data/premium_sytem.db").expect(1).stderr
    assert "premium_sytem.db does not exist.\nTry: correct the path: premium_system.db is there\n" in said
    said = saved_bot.run("setup_supabase.py", "--ddl", str(REPOSITORY / "README.md")).expect(1).stderr
    assert said == "Error: README.md: file is not a database.\nTry: name a database of SQLite's\n"
    said = saved_bot.run("backup.py", "/nowhere/premium_system.db").expect(2).stderr
    assert "Error: /nowhere/premium_system.db does not exist, and there is no source" in said
    for more in ("--yes", "--local --yes", "--undo --yes"):
        said = saved_bot.run("restore.py", "--to", "snapshots", *more.split()).expect(2).stderr
        assert "Error: snapshots has the snapshots of Hybrid backup; --to is for another folder.\n" in said
        for file in (".env", ".env/below"):
            said = saved_bot.run("restore.py", "--to", file, *more.split()).expect(2)
            assert said.stdout == ""
            assert said.stderr.startswith(f"Error: {saved_bot.folder}/.env is no folder; --to is for one.\n")
    saved_bot.write_env(SQLITE_DATABASES="snapshots/premium_system.db")
    assert "is a snapshot, which a backup writes over" in saved_bot.run("backup.py").expect(2).stderr
    assert sorted(saved_bot.folder.rglob("*")) == before


@pytest.mark.parametrize("more", ["--yes", "--local --yes", "--undo --yes", "--dry-run"])
def test_another_folder_is_another_one(saved_bot, more):
    """`--to` promises that the bot's files stay as they are."""
    saved_bot.run("restore.py", "--yes").expect(0)
    before = {path: path.stat().st_ino for path in saved_bot.databases}
    (saved_bot.folder / "link").symlink_to(saved_bot.data)
    for folder in ("sqlite_data", str(saved_bot.data), "link", "sqlite_data/../sqlite_data"):
        done = saved_bot.run("restore.py", "--to", folder, *more.split()).expect(2)
        assert f"Error: {folder} has the bot's own files; --to is for another folder." in done.stderr
    assert {path: path.stat().st_ino for path in saved_bot.databases} == before
