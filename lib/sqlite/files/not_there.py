"""What is told of a path that leads to no file, with what may be meant instead."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lib.base.errors import Problem, SourceError
from lib.sqlite.files import remedy

Result = TypeVar("Result")
ALIKE = 0.7
SHOWN = 5
CORRECT = "correct SQLITE_DATABASES in .env"
DATABASES = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db")


def refuse(source: Path, has_backup: bool) -> None:
    """Raise SourceError where there is no file; `has_backup` is whether a run of it was saved from here."""
    if source.is_dir():
        within = _databases(source)[:SHOWN]
        meant = f"; in it: {', '.join(within)}" if within else "; Docker makes one where it finds no file to mount"
        raise SourceError(f"{source} is a folder, not a database.", f"{CORRECT}{meant}")
    if source.exists():
        if not source.is_file():
            raise SourceError(f"{source} is not a file.", CORRECT)
        return
    if os.path.islink(source):
        raise SourceError(f"{source} is a link to {os.readlink(source)}, which does not exist.", "correct the link, or the path")
    raise SourceError(_missing(source), _meant(source) or _or_restored(source, has_backup))


def refuse_typed(path: Path) -> None:
    """Raise SourceError where there is no file at a path of the command line: no setting is to be corrected then."""
    try:
        refuse(path, False)
    except SourceError as problem:
        problem.remedy = problem.remedy.replace(CORRECT, "correct the path")
        raise


def told_first(source: Path, step: Callable[[], Result]) -> Result:
    """Take a step; where it fails, tell instead that there is no file: that is why, as a rule."""
    try:
        return step()
    except Problem:
        refuse(source, False)
        raise


def _missing(source: Path) -> str:
    gone = [folder for folder in source.parents if not folder.exists()]
    return f"{source} does not exist: there is no folder {gone[-1]}." if gone else f"{source} does not exist."


def _meant(source: Path) -> str:
    """Return what to do where a file of nearly the same name is there."""
    there = {name.lower(): name for name in _databases(source.parent)}
    alike = difflib.get_close_matches(source.name.lower(), there, 1, ALIKE)
    return f"{CORRECT}: {there[alike[0]]} is there" if alike else ""


def _or_restored(source: Path, has_backup: bool) -> str:
    return f"{CORRECT}, or {remedy.restore(source, True)}" if has_backup else CORRECT


def _databases(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.suffix.lower() in DATABASES)
