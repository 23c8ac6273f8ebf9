"""Whether backups run by themselves: what --status says of it, and when the next one is to be expected."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from lib.backing_up import alone, crontab, timetable
from lib.backing_up.health import Health
from lib.backing_up.timetable import BACKUP, Deployment
from lib.base.errors import Problem
from lib.settings.config import Settings

INSTALL = "python3 setup_supabase.py --schedule cron --install"


@dataclass(frozen=True)
class Schedule:
    """`kind` is cron, systemd, live, none or unknown; `said` is the same for people."""

    kind: str
    said: str

    @property
    def is_there(self) -> bool:
        return self.kind in ("cron", "systemd")


def look(settings: Settings) -> Schedule:
    """Look for a live process, lines of cron's and timers of systemd's; a container that repeats cannot be seen from here."""
    by_clock = _by_clock(settings)
    if not alone.is_held(settings):
        return by_clock
    if by_clock.kind == "none":
        return Schedule("live", "live backups alone, which check the files every six hours, too")
    return Schedule(by_clock.kind, f"{by_clock.said}; live backups beside it")


def _by_clock(settings: Settings) -> Schedule:
    try:
        deployment = Deployment.of(settings)
        if _has_timer(deployment):
            return Schedule("systemd", f"systemd, {deployment.unit}-{BACKUP.name}.timer")
        if crontab.has(deployment):
            return Schedule("cron", f"cron, of the user {deployment.user}")
    except Problem as problem:
        return Schedule("unknown", f"unknown: {problem.what}")
    return Schedule("none", f"neither cron nor systemd has one for this folder ({INSTALL})")


def _has_timer(deployment: Deployment) -> bool:
    command = ["systemctl", "is-enabled", "--quiet", f"{deployment.unit}-{BACKUP.name}.timer"]
    try:
        return subprocess.run(command, capture_output=True, timeout=crontab.SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def expect(schedule: Schedule, known: Sequence[Health]) -> None:
    """Where there is a schedule, it says when runs come, not what a person has typed besides."""
    for health in known:
        if schedule.is_there:
            health.known["pace"] = max(health.known["pace"] or 0, timetable.PAUSE)
