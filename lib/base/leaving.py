"""The one way out for text, to console, log, report and alerts: without secrets, and with commands as they are typed here."""

import contextlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from lib.base import together
from lib.base.errors import typed
from lib.base.printable import printable
from lib.base.redact import hide

# What needs no settings, or names them already, is typed as it is.
COMMAND = re.compile(r"python3 (?:backup|restore|setup_supabase|test_backup)\.py\b(?! --env-file | --help)")

# With its flags, as far as one blank divides them: what is told behind a command stands behind two, or a stop.
RESTORE = re.compile(r"python3 restore\.py\b(?! --help)((?: (?:'[^']*'|[^\s;,)])+)*)")
PATHS = ("--env-file", "--to")

_named: list[str] = []
_asked: dict[str, str] = {}


def with_settings(env_file: str | None) -> None:
    """From now on name this settings file in every command: without it, the command would act on another bot."""
    _named[:] = [f" --env-file {typed(absolute(env_file))}"] if env_file else []


def with_asked(asked: dict[str, str]) -> None:
    """From now on add these flags and values of restore.py to every command of it that they go with.

    Without them it would restore another state, from another target, or to another place.
    """
    _asked.clear()
    _asked.update(asked)


def again(flag: str) -> str:
    """Return the command that was typed, with one flag more; its paths are named as in every command."""
    script, *words = sys.argv
    pairs = zip(sys.argv, words, strict=False)
    kept = [word for before, word in pairs if not {before, word.partition("=")[0]}.intersection(PATHS)]
    return shlex.join(["python3", Path(script).name, flag, *kept])


def absolute(written: str) -> Path:
    """Return a path as it is meant from any folder."""
    path = Path(written)
    with contextlib.suppress(RuntimeError):  # nobody here has such a home
        path = path.expanduser()
    path = path.absolute()
    return path.parent.resolve() / path.name if ".." in path.parts else path  # a link stays as it was written


def told(text: str) -> str:
    """Return text as it may leave; it may be several lines."""
    complete = RESTORE.sub(_as_asked, text) if _asked else text
    return hide(COMMAND.sub(lambda command: "".join([command[0], *_named]), complete))


def _as_asked(command: re.Match[str]) -> str:
    """What names a database or a place of its own is about whole files, not about a table; but not where it names a run then."""
    given = {word.partition("=")[0] for word in command[1].split() if word.startswith("--")}
    asked = [task for task in together.RESTORE if task in _asked and given <= {*together.ALWAYS, *together.RESTORE[task].split()}]
    task = next(iter([*(task for task in together.RESTORE if task in given), *asked]), "")
    is_whole = given & {"--database", "--to"} and not re.search(r"--database .+ --at ", command[1])
    not_these = given | ({"--table"} if is_whole else set())
    fitting = [flag for flag in _asked if flag in {task, *together.RESTORE[task].split()} - not_these]
    more = shlex.join(word for flag in fitting for word in (flag, _asked[flag]) if word)
    return command[0].replace("restore.py", f"restore.py {more}", 1) if more else command[0]


def told_all(answer: Any) -> Any:
    """Return what `--json` prints as it may leave."""
    if isinstance(answer, dict):
        return {told(str(name)): told_all(value) for name, value in answer.items()}
    if isinstance(answer, (list, tuple)):
        return [told_all(value) for value in answer]
    return told(answer) if isinstance(answer, str) else answer


def shown(text: str) -> str:
    """Return text as a terminal or a page may show it."""
    return printable(told(text))
