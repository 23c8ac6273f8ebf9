"""The one way out for text, to console, log, report and alerts: without secrets, and with commands as they are typed here."""

import re
import shlex
from pathlib import Path
from typing import Any

from lib.base.printable import printable
from lib.base.redact import hide

# What needs no settings, or names them already, is typed as it is.
COMMAND = re.compile(r"python3 (?:backup|restore|setup_supabase|test_backup)\.py\b(?! --env-file | --help)")

_named: list[str] = []


def with_settings(env_file: str | None) -> None:
    """From now on name this settings file in every command: without it, the command would act on another bot."""
    _named[:] = [f" --env-file {shlex.quote(str(_absolute(env_file)))}"] if env_file else []


def _absolute(written: str) -> Path:
    try:
        return Path(written).expanduser().absolute()
    except RuntimeError:  # nobody here has such a home
        return Path(written).absolute()


def told(text: str) -> str:
    """Return text as it may leave; it may be several lines."""
    return hide(COMMAND.sub(lambda command: "".join([command[0], *_named]), text))


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
