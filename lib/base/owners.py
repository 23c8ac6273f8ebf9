"""Whose a file is: what root has made, the bot's user cannot use; what others may change, root should not run."""

import contextlib
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

WRITABLE_BY_GROUP, WRITABLE_BY_ALL = 0o020, 0o002


def remedy(path: Path, otherwise: str) -> str:
    """Return how this user gets a file or a folder that is somebody else's; `otherwise` where it is not for that."""
    with contextlib.suppress(OSError):
        if os.name == "posix" and path.stat().st_uid != os.geteuid():
            to = f"sudo chown -R {name(os.geteuid())} {shlex.quote(str(path))}"
            return f"it is {name(path.stat().st_uid)}'s: give it to the user who runs this:  {to}"
    return otherwise


def changeable_by_others(paths: Iterable[Path]) -> list[str]:
    """Return a warning where this is root, and somebody else may change what root runs or reads."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    return [
        f"{path} can be changed by {who}, and root runs this: whoever changes it is root. Run the scripts as that user, or  "
        f"sudo chown -R root {shlex.quote(str(path))} && sudo chmod -R go-w {shlex.quote(str(path))}"
        for path in paths
        if (who := _who_changes(path))
    ]


def _who_changes(path: Path) -> str:
    try:
        about = path.stat()
    except OSError:
        return ""
    if about.st_uid != 0:
        return name(about.st_uid)
    if about.st_mode & WRITABLE_BY_ALL:
        return "everybody"
    return f"the group {about.st_gid}" if about.st_mode & WRITABLE_BY_GROUP and about.st_gid != 0 else ""


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


def is_roots_alone(path: Path) -> bool:
    """Whether root has made a file that nobody else can use."""
    return os.name == "posix" and os.geteuid() == 0 and path.stat().st_uid == 0


def name(number: int) -> str:
    """Return a user's name, or his number where he has none."""
    try:
        import pwd  # not on Windows

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return str(number)
