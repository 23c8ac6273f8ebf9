"""A machine that has cron, systemd and a system's log: stand-ins for what a script calls there."""

import os
import shutil
from pathlib import Path

from tests.stand_ins.bot import Bot

PROGRAMS = ("crontab", "systemctl", "logger")


def with_cron(folder: Path) -> dict[str, str]:
    """Put the programs into a folder, and return the environment in which they are found."""
    programs, enabled = folder / "bin", folder / "enabled"
    programs.mkdir()
    enabled.mkdir()
    for name in PROGRAMS:
        shutil.copy(Path(__file__).with_name(f"{name}.sh"), programs / name)
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "CRONTAB": str(folder / "crontab"), "ENABLED": str(enabled), "LOGGED": str(folder / "logged")}


def scheduled(bot: Bot) -> None:
    """Put the bot's schedule into its machine's crontab."""
    bot.run("setup_supabase.py", "--schedule", "cron", "--install").expect(0)
