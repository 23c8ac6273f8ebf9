"""What the lines of a crontab do for one bot: whether any of them backs it up, be it ours or one that a person has written."""

import itertools
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from lib.backing_up.timetable import Deployment
from lib.base import together

SCRIPT, SETTINGS = "backup.py", "--env-file"
# It goes on until the machine is switched off.
STAYS = {"--every", "--live"}
# Asked for these, it makes no backup.
LOOKS = {*together.BACKUP, "--help", "-h", "--version"} - {"", *STAYS}
COMMENT = re.compile(r"\s*#")
VARIABLE = re.compile(r"""\s*(\w+)\s*=\s*["']?(.*?)["']?\s*""")
TIMED = re.compile(r"\s*(?:(@\w+)|(?:[^\s@]\S*\s+){4}\S+)\s+(.*)")
# What the shell leaves as it is, in quotes or for a quote's sake, and a variable.
IN_PLACE = re.compile(r"""("'"|'[^']*')|\$\{?(\w+)\}?""")
OPERATOR = re.compile(r"[();<>|&]+")


def backs_up(crontab: str, deployment: Deployment) -> bool:
    """Whether a line that is not switched off starts a backup with these settings, again and again."""
    home = os.path.expanduser(f"~{deployment.user}")
    variables = {"HOME": home}
    for line in crontab.split("\n"):
        if COMMENT.match(line):
            continue
        if variable := VARIABLE.fullmatch(line):
            variables[variable[1]] = variable[2]
        elif (timed := TIMED.fullmatch(line)) and _is_any(timed[2], timed[1] == "@reboot", deployment, variables):
            return True
    return False


def _is_any(written: str, is_once: bool, deployment: Deployment, variables: Mapping[str, str]) -> bool:
    """Look at each command of a line; to cron, a % ends it."""
    command = re.split(r"(?<!\\)%", written)[0].replace("\\%", "%")
    found = _backups(IN_PLACE.sub(lambda part: part[1] or variables.get(part[2], part[0]), command), variables["HOME"])
    return any(settings == deployment.settings_file and (not is_once or STAYS & {*flags}) for settings, flags in found)


def _backups(command: str, folder: str) -> Iterator[tuple[Path, list[str]]]:
    """Yield, for every backup that a shell would start in the folder, the settings file and the flags."""
    home = folder
    for words in _split(command):
        words = [home + word[1:] if word.startswith("~/") else word for word in words]
        if words[0] == "cd":
            folder = os.path.join(folder, *words[1:2])
        for flag, inner in itertools.pairwise(words):
            if re.fullmatch(r"-\w*c", flag):  # a shell of its own
                yield from _backups(inner, folder)
        place = next((place for place, word in enumerate(words) if os.path.basename(word) == SCRIPT), None)
        if place is not None and _is_started(words[:place]):
            script, flags = os.path.realpath(os.path.join(folder, words[place])), words[place + 1 :]
            if os.path.isfile(script) and not LOOKS & {flag.partition("=")[0] for flag in flags}:
                yield _settings(script, flags, folder), [flag.partition("=")[0] for flag in flags]


def _split(command: str) -> Iterator[list[str]]:
    """Yield the words of each simple command."""
    words = shlex.shlex(command, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    try:
        for is_between, group in itertools.groupby(list(words), lambda word: bool(OPERATOR.fullmatch(word))):
            if not is_between:
                yield list(group)
    except ValueError:  # a quote is missing: no shell would start it
        return


def _is_started(before: list[str]) -> bool:
    """Whether what stands before the script in a command starts it; variables of its own may."""
    names = [os.path.basename(word) for word in before if not re.match(r"\w+=", word)]
    return not names or any(name.startswith(("python", "pypy")) for name in names)


def _settings(script: str, flags: list[str], folder: str) -> Path:
    """Return the settings file that is named last, or that is beside the script, in the form of Deployment's."""
    file = Path(script).with_name(".env")
    for flag, after in itertools.pairwise([*flags, ""]):
        name, _, value = flag.partition("=")
        if name == SETTINGS:
            file = Path(folder, value or after)
    return Path(os.path.realpath(file.parent), file.name)
