"""Make plain `python3 SCRIPT` work from any folder and from cron: hop into the repository's .venv, and ask for psycopg2.

Every script imports this first, before anything that needs psycopg2.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lib.base import causes, stopping, streams
from lib.base.errors import Problem, typed

REPOSITORY = Path(__file__).resolve().parent.parent
VENV, PIP = typed(REPOSITORY / ".venv"), typed(REPOSITORY / ".venv" / "bin" / "pip")
INSTALL = f"python3 -m venv {VENV} && {PIP} install -r {typed(REPOSITORY / 'requirements.txt')}"


def use_venv() -> None:
    python = REPOSITORY / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    inside = Path(sys.prefix).resolve() == (REPOSITORY / ".venv").resolve()
    # A second hop would mean that the .venv is broken and loops; the variable stops it.
    if inside or os.environ.get("HYBRID_BACKUP_VENV") == str(python):
        return
    try:
        python.stat()
        os.environ["HYBRID_BACKUP_VENV"] = str(python)
        os.execv(python, [str(python), *sys.argv])
    except FileNotFoundError:  # there is none
        return
    except OSError as error:  # as when root has made it
        anew = f"sudo rm -rf {VENV} && {INSTALL}"
        end(f"{python} cannot be started: {error.strerror}.", f"let this user start it, or make it anew:  {anew}")


def require_psycopg2() -> None:
    try:
        import psycopg2  # noqa: F401
    except ImportError as error:
        is_there = importlib.util.find_spec("psycopg2") is not None
        what = f"cannot be loaded: {error}." if is_there else "is not installed for this Python."
        lacks_memory = causes.remedy(error, REPOSITORY) == causes.MEMORY
        end(f"psycopg2, the PostgreSQL driver, {what}", causes.MEMORY if lacks_memory else INSTALL)


def end(what: str, remedy: str) -> NoReturn:
    """End before anything is loaded that could say it better."""
    print(Problem(what, remedy, "Nothing was read or written.").text, file=sys.stderr)
    streams.answer_failed(what, remedy)
    sys.exit(2)


def watch_over_loading() -> None:
    """A script that still loads its modules has nothing to clean up; whoever imports a script has signals of his own."""
    if Path(sys.argv[0]).resolve().parent == REPOSITORY:
        streams.prepare()
        stopping.at_once()
        sys.excepthook = _explained(sys.excepthook)


def _explained(hook: Callable[..., object]) -> Callable[..., None]:
    """Print what is the matter instead of a traceback, where it has a name: a machine without memory may fail at any import."""

    def explain(kind: type[BaseException], error: BaseException, traceback: object) -> None:
        if problem := causes.named(error):
            print(problem.text, file=sys.stderr)
            streams.answer_failed(problem.what, problem.remedy)
        else:
            hook(kind, error, traceback)

    return explain


watch_over_loading()
use_venv()
require_psycopg2()
