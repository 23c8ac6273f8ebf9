"""Whose a file is: what root has made, the bot's user cannot use; what others may change, root should not run."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from lib.base import causes
from lib.base.errors import typed

# The folder that the scripts keep for themselves: nothing in it is the bot's.
SNAPSHOTS = "snapshots"


def remedy(path: Path, otherwise: str) -> str:
    """Return how this user gets a file or a folder that is somebody else's; `otherwise` where it is not for that.

    Only the scripts' own folder is given away with all that is in it: of another one nobody here knows what it holds.
    """
    with contextlib.suppress(OSError):
        about = path.stat()
        if os.name == "posix" and about.st_uid != os.geteuid() and not about.st_mode & stat.S_ISVTX:
            is_of_others = path.is_dir() and path.name != SNAPSHOTS
            how = "if it is meant for this user alone:" if is_of_others else "give it to the user who runs this:"
            to = f"sudo chown{' -R' * (path.name == SNAPSHOTS)} {name(os.geteuid())} {typed(path)}"
            return f"it is {name(about.st_uid)}'s: {how}  {to}"
    return otherwise


def to_read(path: Path) -> str:
    """Return how this user gets to read what he cannot."""
    return remedy(path, causes.RIGHTS.format(place=typed(path)))


def shut(paths: Iterable[Path]) -> str:
    """Return how this user gets the first of these files and folders that is somebody else's, and that he may not write to."""
    shut = (path for path in paths if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK))
    return next(filter(None, (remedy(path, "") for path in shut)), "")


def closed(paths: Iterable[Path]) -> Path | None:
    """Return the first of these files, and the folders before them, that is there and that this user cannot get at."""
    closed = (path for path in paths if os.path.exists(path) and not os.access(path, os.X_OK if path.is_dir() else os.R_OK))
    return next(closed, None)


def changeable_by_others(paths: Iterable[Path]) -> list[str]:
    """Return a note, where this is root, of what root runs or reads that somebody else may change."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    found = {path: who for path in paths if (who := _who_changes(path))}
    if not found:
        return []
    told = "; ".join(f"{path} ({who})" for path, who in found.items())
    users = [path.stat().st_uid for path in found if path.stat().st_uid]
    return [
        f"root runs this, and others may change what it runs: {told}. "
        f"Run the scripts as the bot's user:  sudo -u {_sudo_name(users[0]) if users else 'USER'} python3 …"
    ]


def _who_changes(path: Path) -> str:
    """Return who besides root may change a file, or exchange what is in a folder; nothing where nobody may."""
    try:
        about = path.stat()
    except OSError:
        return ""
    if about.st_uid != 0:
        return f"by the user {name(about.st_uid)}"
    if about.st_mode & stat.S_ISVTX:  # as in /tmp: each his own
        return ""
    if about.st_mode & stat.S_IWOTH:
        return "by every user"
    return f"by the group {about.st_gid}" if about.st_mode & stat.S_IWGRP and about.st_gid != 0 else ""


def _sudo_name(number: int) -> str:
    """Return a user as sudo knows him, also one without a name."""
    return name(number) if name(number) != str(number) else typed(f"#{number}")


def give(path: Path, folder: Path) -> None:
    """Give what root has made to the owner of the folder where it will be; nobody else may give anything away."""
    if os.name == "posix" and os.geteuid() == 0:
        about = folder.stat()
        os.chown(path, about.st_uid, about.st_gid, follow_symlinks=False)


def make_file(path: Path) -> None:
    """Make an empty file for the owner of its folder alone, where there is none yet."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        give(path, path.parent)


def roots_alone(path: Path) -> list[Path]:
    """Return a file that root has made and nobody else can use, behind its folder where no journal can be made beside it."""
    if os.name != "posix" or os.geteuid() != 0 or path.stat().st_uid != 0:
        return []
    about = path.parent.stat()
    return [path.parent, path] if about.st_uid == 0 and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else [path]


def name(number: int) -> str:
    """Return a user's name, or his number where he has none."""
    try:
        import pwd  # not on Windows

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return str(number)
