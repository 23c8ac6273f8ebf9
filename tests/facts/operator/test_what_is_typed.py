"""What is typed is done as it was typed, or refused in one line before anything is touched: no flag is ignored."""

import importlib
import itertools

import pytest

from lib.base import together
from lib.base.errors import SettingsError

TASKS = (together.BACKUP, together.RESTORE, together.SETUP, together.TRIAL)
SCRIPTS = dict(zip(("backup", "restore", "setup_supabase", "test_backup"), TASKS, strict=True))
VALUES = {
    "--max-age": "7h", "--every": "6h", "--report": "report.html", "--database": "premium_system", "--at": "1",
    "--table": "refunds", "--to": "out", "--target": "1", "--ddl": "sqlite_data/premium_system.db", "--env-file": ".env",
}  # fmt: skip
LONG = {"--every", "--demo"}  # one never ends, the other is tried by itself


def parser_of(script):
    return importlib.import_module(script).flags()


def flags_of(script):
    """Return every flag that the parser knows, SOURCE for names of sources; the answers about the script itself left out."""
    parser = parser_of(script)
    names = {f"--{name.replace('_', '-')}" for name in vars(parser.parse_args([]))} - {*parser.answers, "--h"}
    return sorted({"SOURCE" if name == "--source" else name for name in names})


def typed(*flags):
    words = [("premium_system",) if flag == "SOURCE" else (flag, VALUES.get(flag)) for flag in flags]
    return [word for pair in words for word in pair if word]


def tried(script):
    """Return every task with every pair of the other flags."""
    for task in SCRIPTS[script]:
        others = [flag for flag in flags_of(script) if flag != task and (task or flag not in SCRIPTS[script])]
        yield from ((task, *pair) for pair in itertools.combinations(others, 2))


def go_together(tasks, task, *pair):
    """Judge by the table, in other words than the code."""
    apart = any({*two} <= {task, *pair} for two in together.APART)
    return {*pair} <= {*together.ALWAYS, *tasks[task].split()} and not apart


def test_the_table_has_every_flag_of_every_script_and_no_other():
    for script, tasks in SCRIPTS.items():
        assert {*together.ALWAYS, *tasks, *" ".join(tasks.values()).split()} - {""} == set(flags_of(script)), script


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_pair_of_flags_is_understood_or_refused_in_one_line(script):
    for task, *pair in tried(script):
        words = typed(*filter(None, (task, *pair)))
        if go_together(SCRIPTS[script], task, *pair):
            assert parser_of(script).understood(words), words
            continue
        with pytest.raises(SettingsError) as caught:
            parser_of(script).understood(words)
        assert "\n" not in caught.value.what
        assert sum(flag in caught.value.what for flag in (task, *pair) if flag) > bool(task), caught.value.what


@pytest.mark.campaign
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_pair_that_is_understood_does_something_that_can_be_named(saved_bot, script):
    for task, first, second in tried(script):
        if go_together(SCRIPTS[script], task, first, second) and not {task, first, second} & LONG:
            done = saved_bot.run(f"{script}.py", *typed(*filter(None, (task, first, second))))
            assert done.status in (0, 1, 2), done
            assert "unexpected" not in done.stderr + done.stdout, done
            assert done.status == 0 or done.stderr.strip(), done


REFUSED = {
    "--at does not go with --local": ("restore.py", "--local", "--at", "1", "--yes"),
    "--table does not go with --local": ("restore.py", "--local", "--table", "refunds", "--yes"),
    "--at does not go with --undo": ("restore.py", "--undo", "--at", "1", "--yes"),
    "--list and --drill do not go together": ("restore.py", "--drill", "--list"),
    "--max-age goes only with --status or --report": ("backup.py", "--max-age", "7h"),
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
