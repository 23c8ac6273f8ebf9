"""When what runs by itself, as lines for cron and as units for systemd, with the paths of one deployment.

A deployment is its settings file: cron's lines stand between two marks that name it, systemd's units have its sum in their names.
"""

import os
import re
import shlex
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from lib.base.errors import SettingsError
from lib.settings.config import Settings
from lib.start import REPOSITORY

# The pause between two backups, in seconds.
PAUSE = 6 * 3600
UNITS = Path("/etc/systemd/system")
# A service that stays; whoever stops it by SIGTERM gets 143.
LIVES = "Type=exec\nRestart=always\nRestartSec=10\nSuccessExitStatus=143"
WANTED = "\n[Install]\nWantedBy=multi-user.target\n"


@dataclass(frozen=True)
class Task:
    """What runs when: cron's five fields and systemd's calendar; `catches_up` what a machine that was off has missed."""

    name: str
    why: str
    minute: str
    calendar: str
    words: tuple[str, ...]
    catches_up: bool = False


BACKUP = Task("backup", "The backup, four times a day.", "0 */6 * * *", "*-*-* 00/6:00:00", ("backup.py",), catches_up=True)
TASKS = (
    BACKUP,
    Task(
        "check",
        "The staleness check complains when a backup did not run.",
        "30 */6 * * *",
        "*-*-* 00/6:30:00",
        ("backup.py", "--status", "--max-age", "7h", "--quiet"),
    ),
    Task(
        "drill",
        "Every Sunday, the drill rebuilds everything from Supabase alone, and compares.",
        "15 4 * * 0",
        "Sun *-*-* 04:15:00",
        ("restore.py", "--drill", "--quiet"),
    ),
)
# What stays, and is started again when it ends: see lib/live/.
LIVE = Task("live", "Live backups, right after each commit.", "@reboot", "", ("backup.py", "--live", "2s"))


@dataclass(frozen=True)
class Deployment:
    """What the lines and units name: the settings file, the scripts' folder, the Python that has psycopg2, the user.

    `has_log` says whether the machine has a system's log, `is_live` whether live backups are to run beside the timetable.
    """

    settings_file: Path
    folder: Path
    python: str
    user: str
    has_log: bool
    is_live: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Deployment":
        """Return this one; raise SettingsError where it could not run by itself."""
        deployment = cls.at(settings.folder / settings.file)
        file = deployment.settings_file
        if not file.exists():
            raise SettingsError(
                f"{file} does not exist, and neither cron nor systemd hands on the environment.", "write the settings into it"
            )
        if odd := [path for path in (str(file), str(REPOSITORY)) if not path.isprintable()]:
            raise SettingsError(f"{odd[0]!r} cannot stand in a schedule.", "give the folder another name")
        return deployment

    @classmethod
    def at(cls, file: Path) -> "Deployment":
        """Return the one with these settings, right or wrong, there or gone: its schedule can be taken away all the same."""
        file = file.parent.resolve() / file.name  # however it was typed
        return cls(file, REPOSITORY, sys.executable, _owner(file), Path("/dev/log").exists())

    @property
    def is_default(self) -> bool:
        """Whether the settings are those that a script finds by itself."""
        return self.settings_file == self.folder / ".env"

    @property
    def named(self) -> list[str]:
        """Return the flag that names the settings, where it is needed."""
        return [] if self.is_default else ["--env-file", str(self.settings_file)]

    @property
    def unit(self) -> str:
        return f"hybrid-backup-{zlib.crc32(str(self.settings_file).encode()):08x}"

    @property
    def marks(self) -> tuple[str, str]:
        """Return the lines before and after those of cron."""
        return f"# >>> Hybrid backup of {self.settings_file} >>>", f"# <<< Hybrid backup of {self.settings_file} <<<"

    def command(self, task: Task) -> list[str]:
        script, *flags = task.words
        return [self.python, str(self.folder / script), *self.named, *flags]


def _owner(file: Path) -> str:
    """Return whose the settings are, or their folder where they are gone: not root, only because root asks."""
    there = next(path for path in (file, *file.parents) if os.path.exists(path))
    try:
        return there.owner()
    except KeyError:
        return str(there.stat().st_uid)


def cron_lines(deployment: Deployment) -> str:
    """Return the lines for a crontab, marks included.

    They set no variable: it would hold for all lines below. What a script says, or the shell where a folder has been moved, cron
    mails, and the system's log keeps, which is rotated.
    """
    start, end = deployment.marks
    live = ["--live"] if deployment.is_live else []
    anew = shlex.join(["python3", "setup_supabase.py", *deployment.named, "--schedule", "cron", *live])
    lines = [
        start,
        f"# Do not edit: {anew} --install makes them anew, --remove takes them away.",
    ]
    for task in TASKS:
        lines += [f"# {task.why}", f"{task.minute} {_for_cron(deployment, task)}"]
        if task.catches_up:
            lines.append(f"@reboot sleep 60; {_for_cron(deployment, task)}")
    if deployment.is_live:
        now = "cron starts them with the machine; systemd would also start them again."
        lines += [f"# {LIVE.why} {now}", f"{LIVE.minute} sleep 60; {_for_cron(deployment, LIVE)}"]
    return "\n".join([*lines, end, ""])


def _for_cron(deployment: Deployment, task: Task) -> str:
    """Quote for the shell, and then for cron, to which a % is a new line."""
    quoted = shlex.join(deployment.command(task)).replace("%", "\\%")
    return quoted + (" 2>&1 | logger -s -t hybrid-backup" if deployment.has_log else "")


def systemd_install(deployment: Deployment) -> str:
    """Return a script for a root shell that writes the units and starts the timers."""
    files = {}
    for task in TASKS:
        files[f"{_name(deployment, task)}.service"] = _service(deployment, task)
        files[f"{_name(deployment, task)}.timer"] = _timer(deployment, task)
    if deployment.is_live:
        files[f"{_name(deployment, LIVE)}.service"] = _service(deployment, LIVE, LIVES) + WANTED
    written = [f"cat > {UNITS / name} << 'END'\n{text}END" for name, text in files.items()]
    live = [f"systemctl enable --now {_name(deployment, LIVE)}.service"] if deployment.is_live else [_without_live(deployment)]
    timers = f"systemctl enable --now {_timers(deployment)}"
    return "\n".join(["set -e", *written, "systemctl daemon-reload", timers, *live, ""])


def systemd_remove(deployment: Deployment) -> str:
    """Return a script for a root shell that takes them away again."""
    units = f"{UNITS}/{deployment.unit}-*"
    off = f"systemctl disable --now {_timers(deployment)}\n{_without_live(deployment)}\n"
    return f"{off}rm -f {units}.service {units}.timer\nsystemctl daemon-reload\n"


def _without_live(deployment: Deployment) -> str:
    """Return what ends live backups where there are any."""
    unit = f"{_name(deployment, LIVE)}.service"
    place = UNITS / unit
    return f"if [ -e {place} ]; then systemctl disable --now {unit}; rm {place}; fi"


def _name(deployment: Deployment, task: Task) -> str:
    return f"{deployment.unit}-{task.name}"


def _timers(deployment: Deployment) -> str:
    return " ".join(f"{_name(deployment, task)}.timer" for task in TASKS)


def _service(deployment: Deployment, task: Task, kind: str = "Type=oneshot") -> str:
    """What it says goes to the journal, which is rotated."""
    return f"""[Unit]
Description=Hybrid backup of {_for_systemd(str(deployment.settings_file))}: {task.name}
Wants=network-online.target
After=network-online.target

[Service]
{kind}
User={deployment.user}
ExecStart={" ".join(f'"{_in_command(word)}"' for word in deployment.command(task))}
"""


def _timer(deployment: Deployment, task: Task) -> str:
    return f"""# {task.why}
[Unit]
Description=Hybrid backup of {_for_systemd(str(deployment.settings_file))}: {task.name}

[Timer]
OnCalendar={task.calendar}
Persistent={str(task.catches_up).lower()}

[Install]
WantedBy=timers.target
"""


def _for_systemd(text: str) -> str:
    return text.replace("%", "%%")


def _in_command(word: str) -> str:
    return _for_systemd(re.sub(r'(["\\])', r"\\\1", word)).replace("$", "$$")
