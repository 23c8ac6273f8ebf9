"""The user's crontab: our lines are put into it, replaced and taken out; all others stay as they are, byte for byte."""

import os
import re
import subprocess

from lib.backing_up import cron_line
from lib.backing_up.timetable import Deployment, cron_lines
from lib.base.errors import Problem

ELSEWHERE = "python3 setup_supabase.py --schedule systemd, or python3 backup.py --every 6h where there is neither"
SECONDS = 20


def install(deployment: Deployment) -> None:
    """Put the lines where they stood before, or at the end."""
    before, after = _others(read(deployment), deployment)
    _write(deployment, before + cron_lines(deployment) + after)


def remove(deployment: Deployment) -> bool:
    """Take the lines out; return whether there were any."""
    now = read(deployment)
    before, after = _others(now, deployment)
    if before + after != now:
        _write(deployment, before + after)
    return before + after != now


def has(deployment: Deployment) -> bool:
    """Whether a line backs up this deployment, be it ours or one that a person has written."""
    return cron_line.backs_up(read(deployment), deployment)


def has_by_hand(deployment: Deployment) -> bool:
    """Whether a person has written such a line: with ours, every backup would run twice."""
    ours = r"^# >>> Hybrid backup of .*?^# <<< Hybrid backup of [^\n]*"
    return cron_line.backs_up(re.sub(ours, "", read(deployment), flags=re.MULTILINE | re.DOTALL), deployment)


def read(deployment: Deployment) -> str:
    """Return the crontab of the user whose settings they are; one that is not there is empty."""
    done = _crontab(deployment, "-l")
    if done.returncode == 0:
        return done.stdout.decode(errors="surrogateescape")
    said = done.stderr.decode(errors="replace").strip()
    # Only this means that there is none: whatever else went wrong, writing would lose what is in it.
    if re.search(r"no crontab for|can't open '\S+': No such file", said):
        return ""
    raise Problem(f"the crontab of {deployment.user} cannot be read: {said}.", ELSEWHERE)


def _write(deployment: Deployment, text: str) -> None:
    done = _crontab(deployment, "-", text.encode(errors="surrogateescape"))
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise Problem(f"the crontab of {deployment.user} cannot be written: {said}.", ELSEWHERE, "It is as it was.")


def _crontab(deployment: Deployment, flag: str, text: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    as_other = ["-u", deployment.user] if os.geteuid() == 0 and deployment.user != "root" else []
    try:
        return subprocess.run(
            ["crontab", *as_other, flag], input=text, capture_output=True, env={**os.environ, "LC_ALL": "C"}, timeout=SECONDS
        )
    except OSError as error:
        raise Problem(f"crontab cannot be run: {error.strerror}.", ELSEWHERE) from error
    except subprocess.TimeoutExpired as error:
        raise Problem(f"crontab has not answered for {SECONDS} seconds.", ELSEWHERE) from error


def _others(text: str, deployment: Deployment) -> tuple[str, str]:
    """Return what stands before our lines and after them; raise Problem where one mark is missing."""
    start, end = (re.escape(mark) for mark in deployment.marks)
    parts = re.split(rf"^{start}\n.*?^{end}(?:\n|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    if any(re.search(rf"^(?:{start}|{end})$", part, re.MULTILINE) for part in parts):
        raise Problem(
            f"the crontab of {deployment.user} has only one of the two marks around the lines of {deployment.settings_file}.",
            "remove those lines with  crontab -e",
            "It is as it was.",
        )
    before, after = parts[0], "".join(parts[1:])
    return before + "\n" if before and not before.endswith("\n") else before, after
