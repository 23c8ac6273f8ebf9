"""Where a database really is: SQLite follows links, so a backup reads what they lead to, and a restore replaces that."""

from pathlib import Path

from lib.base.errors import UNTOUCHED, SettingsError


def behind(path: Path) -> Path:
    """Return the file that a link leads to, or that there is without one, be it there or not."""
    try:
        real = path.resolve()
    except RuntimeError:  # until Python 3.12
        real = path
    if real.is_symlink():
        raise SettingsError(f"{path} is a link that leads back to itself.", f"see where it leads:  ls -l {path}", UNTOUCHED)
    return real


def refuse_shared(files: dict[str, Path]) -> None:
    """Raise SettingsError where two sources are one file."""
    for name, path in files.items():
        for other, its in files.items():
            if its == path and other != name:
                raise SettingsError(
                    f"{name} and {other} are one file: {path}.", f"python3 restore.py --database {name}", UNTOUCHED
                )
