"""What is told of a path that leads to no file, with what may be meant instead."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lib.base.errors import SourceError
from lib.settings import paths
from lib.sqlite.files import remedy

ALIKE = 0.7
SHOWN = 5
CORRECT = "correct SQLITE_DATABASES in .env"
DATABASES = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db")


def refuse(source: Path, has_backup: bool) -> None:
    """Raise SourceError where there is no file; `has_backup` is whether a run of it was saved from here."""
    if source.is_dir():
        within = _databases(source)[:SHOWN]
        meant = f"; in it: {', '.join(within)}" if within else "; Docker makes one where it finds no file to mount"
        raise SourceError(f"{source} is a folder, not a database.", f"{_restored(source, has_backup)}{CORRECT}{meant}")
    if source.exists():
        if not source.is_file():
            raise SourceError(f"{source} is not a file.", CORRECT)
        return
    if os.path.islink(source):
        raise SourceError(f"{source} is a link to {os.readlink(source)}, which does not exist.", "correct the link, or the path")
    raise remedy.Lost(_missing(source), f"{_restored(source, has_backup)}{CORRECT}{_meant(source)}")


@contextlib.contextmanager
def typed(path: Path) -> Iterator[None]:
    """Read a file of the command line, which need not be a source: no setting is to be corrected, and no backup to be looked for.

    Raise SourceError where it is none.
    """
    try:
        refuse(path, False)
        yield
    except SourceError as problem:
        no_backup = remedy.restore(path, False)
        problem.remedy = problem.remedy.replace(CORRECT, "correct the path").replace(no_backup, "name a database of SQLite's")
        raise


def _missing(source: Path) -> str:
    gone = [folder for folder in source.parents if not folder.exists()]
    return f"{source} does not exist: there is no folder {gone[-1]}." if gone else f"{source} does not exist."


def _meant(source: Path) -> str:
    """Return what may be meant where a file of nearly the same name is there."""
    import difflib  # only who is mistaken needs it

    there = {name.lower(): name for name in _databases(source.parent)}
    alike = difflib.get_close_matches(source.name.lower(), there, 1, ALIKE)
    return f": {there[alike[0]]} is there" if alike else ""


def _restored(source: Path, has_backup: bool) -> str:
    """Return what is told first of a source that was backed up: it is lost, and not misspelt."""
    return f"{remedy.restore(source, True)}  or " if has_backup else ""


def _databases(folder: Path) -> list[str]:
    """Return the databases in a folder that are nobody's yet: a source is no other one."""
    found = (path for path in folder.glob("*") if path.suffix.lower() in DATABASES)
    return sorted(path.name for path in found if os.path.realpath(path) not in paths.named)
