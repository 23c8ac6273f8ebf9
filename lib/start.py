"""Make plain `python3 SCRIPT` work from any folder and from cron: hop into the repository's .venv, and ask for psycopg2.

Every script imports this first, before anything that needs psycopg2.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

from lib.base import stopping

REPOSITORY = Path(__file__).resolve().parent.parent
INSTALL = f"python3 -m venv {REPOSITORY}/.venv && {REPOSITORY}/.venv/bin/pip install -r {REPOSITORY}/requirements.txt"


def use_venv() -> None:
    python = REPOSITORY / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    inside = Path(sys.prefix).resolve() == (REPOSITORY / ".venv").resolve()
    # A second hop would mean that the .venv is broken and loops; the variable stops it.
    if python.exists() and not inside and os.environ.get("HYBRID_BACKUP_VENV") != str(python):
        os.environ["HYBRID_BACKUP_VENV"] = str(python)
        sys.stdout.flush()
        os.execv(python, [str(python), *sys.argv])


def require_psycopg2() -> None:
    if importlib.util.find_spec("psycopg2") is None:
        what = "psycopg2, the PostgreSQL driver, is not installed for this Python."
        print(f"Error: {what}\nNothing was read or written.\nTry: {INSTALL}", file=sys.stderr)
        if "--json" in sys.argv:
            print(json.dumps({"outcome": "failed", "error": what, "try": INSTALL}))
        sys.exit(2)


def stop_at_once_on_signals() -> None:
    """A script that still loads its modules has nothing to clean up; whoever imports a script has signals of his own."""
    if Path(sys.argv[0]).resolve().parent == REPOSITORY:
        stopping.at_once()


use_venv()
stop_at_once_on_signals()
require_psycopg2()
