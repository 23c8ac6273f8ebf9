"""The paths among the settings: which files are meant, and what was written there that is no path of this machine's."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from lib.base.errors import UNTOUCHED, SettingsError
from lib.base.log import KEPT_FILES

# The files of SQLITE_DATABASES, as they really are: none of them is what another one was meant to be.
named: set[str] = set()
# What SQLite writes beside a database.
BESIDE = ("-wal", "-shm", "-journal")
# What is no path here, unless there is such a file all the same. A variable is not put in: a password may hold a `$`.
NO_PATHS = {
    r"\.(db\w*|sqlite\w*)\s*[;|:\s]\s*\S": "is several paths; write a comma between them.",
    r"^[A-Za-z]:|\\": "is a path of Windows'; here it is written /FOLDER/NAME.db.",
    r"^\w+:/|^file:": "is a URI; write the file's path.",
    r"[*?]": "is a pattern; name each file, with a comma between two of them.",
    r"\$|%\w+%": "holds a variable, which nobody puts in; write the whole path, or ~ for the home folder.",
    r"^~": "begins with the home folder of a user who is not here; write the whole path.",
    r"^['\"]|['\"]$": "has a quote too many.",
    r"[\x00-\x1f]": "has a character in it that no path has; in double quotes a \\ changes what follows it.",
}


def expanded(written: str, folder: Path) -> Path:
    """Return a path as it was written: relative to the folder, or with ~ at its beginning."""
    try:
        return folder / Path(written).expanduser()
    except RuntimeError:  # nobody here has such a home
        return folder / written


def typed(flag: str, written: str) -> Path:
    """Return a path of the command line; raise SettingsError for what is none of this machine's."""
    if why := why_none(written):
        raise SettingsError(f"{flag}: {written!r} {why}.", "write one path, whole, as it is on this machine", UNTOUCHED)
    return expanded(written, Path())


def why_none(written: str) -> str:
    """Return why what was typed is no path of this machine's; nothing where it is one."""
    return _why_no_path(written, expanded(written, Path())).partition(";")[0].rstrip(".")


def taken(sources: Iterable[Path]) -> set[str]:
    """Return the places that are SQLite's: those of the sources, and of what it writes beside them."""
    return {os.path.realpath(f"{source}{suffix}") for source in sources for suffix in ("", *BESIDE)}


def databases(written: str, folder: Path, problems: list[str]) -> dict[str, Path]:
    """Return {name: path} of SQLITE_DATABASES; problems are collected. Whether a file is there is for the scripts to see."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    if not parts:
        problems.append("SQLITE_DATABASES names no file.")
    sources: dict[str, Path] = {}
    for part in parts:
        path = expanded(part, folder)
        if why := _why_no_path(part, path):
            problems.append(f"SQLITE_DATABASES: {part!r} {why}")
        elif os.path.realpath(path.parent) == os.path.realpath(folder / "snapshots"):
            problems.append(f"SQLITE_DATABASES: {part!r} is a snapshot, which a backup writes over; name the bot's own file.")
        elif path.stem.lower() in map(str.lower, sources):
            problems.append(f"SQLITE_DATABASES names two sources called {path.stem}; rename one of the files.")
        sources[path.stem] = path
    named.update(map(os.path.realpath, sources.values()))
    return sources


def log(written: str, env_file: Path, sources: list[Path], problems: list[str]) -> Path:
    """Return the path of BACKUP_LOG; it is written to and rotated over, so neither may be a file of other use."""
    path = expanded(written, env_file.parent)
    ours = [str(path), *(f"{path}.{count + 1}" for count in range(KEPT_FILES))]
    if clash := ({os.path.realpath(place) for place in ours} & (taken(sources) | {os.path.realpath(env_file)})):
        problems.append(f"BACKUP_LOG {written!r} would be written over {min(clash)}; give the log a name of its own.")
    return path


def called(name: str, sources: dict[str, Path]) -> str:
    """Return the source that a person means by a path, or by its name or its file's in any case; nothing where there is none."""
    place, wanted = os.path.realpath(expanded(name, Path())), name.lower()
    by_path = [known for known, path in sources.items() if os.path.realpath(path) == place]
    by_name = [known for known, path in sources.items() if wanted in (known.lower(), path.name.lower())]
    return next(iter([*by_path, *by_name]), "")


def _why_no_path(written: str, path: Path) -> str:
    if os.name != "posix" or os.path.lexists(path):
        return ""
    meant = str(path) if written[0] == "~" and not str(path).endswith(written) else written
    return next((why for pattern, why in NO_PATHS.items() if re.search(pattern, meant)), "")
