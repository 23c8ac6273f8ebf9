"""Make plain `python3 SCRIPT` work from any folder and from cron: hop into the repository's .venv, and ask for psycopg2.

Every script imports this first, before anything that needs psycopg2.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from lib.base import stopping

REPOSITORY = Path(__file__).resolve().parent.parent
INSTALL = f"python3 -m venv {REPOSITORY}/.venv && {REPOSITORY}/.venv/bin/pip install -r {REPOSITORY}/requirements.txt"


def use_venv() -> None:
    python = REPOSITORY / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    inside = Path(sys.prefix).resolve() == (REPOSITORY / ".venv").resolve()
    # A second hop would mean that the .venv is broken and loops; the variable stops it.
    if inside or os.environ.get("HYBRID_BACKUP_VENV") == str(python):
        return
    try:
        if python.exists():
            os.environ["HYBRID_BACKUP_VENV"] = str(python)
            sys.stdout.flush()
            os.execv(python, [str(python), *sys.argv])
    except OSError as error:  # as when root has made it
        again = f"sudo rm -rf {REPOSITORY}/.venv, and make it as this user:  {INSTALL}"
        end(f"{python} cannot be used by this user: {error.strerror}.", again)


def require_psycopg2() -> None:
    if importlib.util.find_spec("psycopg2") is None:
        end("psycopg2, the PostgreSQL driver, is not installed for this Python.", INSTALL)


def end(what: str, remedy: str) -> NoReturn:
    """End before anything is loaded that could say it better."""
    print(f"Error: {what}\nNothing was read or written.\nTry: {remedy}", file=sys.stderr)
    if "--json" in sys.argv:
        print(json.dumps({"outcome": "failed", "error": what, "try": remedy}))
    sys.exit(2)


def stop_at_once_on_signals() -> None:
    """A script that still loads its modules has nothing to clean up; whoever imports a script has signals of his own."""
    if Path(sys.argv[0]).resolve().parent == REPOSITORY:
        stopping.at_once()


use_venv()
stop_at_once_on_signals()
require_psycopg2()
