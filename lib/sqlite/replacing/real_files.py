"""Where a database really is: SQLite follows links, so a backup reads what they lead to, and a restore replaces that."""

import os
from pathlib import Path

from lib.base.errors import SettingsError
from lib.base.script import Console

UNTOUCHED = "The SQLite files were not touched."


def behind(places: dict[str, Path], console: Console) -> dict[str, Path]:
    """Return the files that the links lead to, be they there or not, and say so; refuse one file for two sources."""
    found: dict[str, Path] = {}
    for name, path in places.items():
        found[name] = _followed(path)
        if os.path.abspath(path) != str(found[name]):
            console.say(f"  {path} is a link to {found[name]}")
    for name, path in found.items():
        others = [other for other in found if found[other] == path and other != name]
        if others:
            raise SettingsError(
                f"{name} and {others[0]} are one file: {path}.", f"python3 restore.py --database {name}", UNTOUCHED
            )
    return found


def _followed(path: Path) -> Path:
    try:
        found = path.resolve()
    except RuntimeError:  # until Python 3.12
        found = path
    if found.is_symlink():
        raise SettingsError(f"{path} is a link that leads back to itself.", f"see where it leads:  ls -l {path}", UNTOUCHED)
    return found
