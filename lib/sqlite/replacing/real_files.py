"""Where a database really is: SQLite follows links, so a backup reads what they lead to, and a restore replaces that."""

import os
from pathlib import Path

from lib.base.errors import UNTOUCHED, SettingsError, typed


def behind(path: Path) -> Path:
    """Return the file that a link leads to, or that there is without one, be it there or not; a folder is for the caller.

    What is neither may be the machine's: a device that is renamed, or whose place a file takes, is missing everywhere.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise SettingsError(
            f"{path} is not a file, and is not replaced.", f"name another one; see  ls -l {typed(path)}", UNTOUCHED
        )
    try:
        real = path.resolve()
    except RuntimeError:  # until Python 3.12
        real = path
    if real.is_symlink():
        raise SettingsError(
            f"{path} is a link that leads back to itself.", f"see where it leads:  ls -l {typed(path)}", UNTOUCHED
        )
    return real


def refuse_shared(files: dict[str, Path]) -> None:
    """Raise SettingsError where two sources are one file."""
    for name, path in files.items():
        for other, its in files.items():
            if its == path and other != name:
                raise SettingsError(
                    f"{name} and {other} are one file: {path}.", f"python3 restore.py --database {typed(name)}", UNTOUCHED
                )
