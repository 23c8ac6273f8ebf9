"""What a killed script leaves behind is removed by the next one: names that carry the dead owner's process number."""

import contextlib
import os
import re
import shutil
from pathlib import Path

_ours: set[str] = set()


def owned_name(stem: str, suffix: str) -> str:
    """Return a name that belongs to this process: `premium_system.db.4711.taking`."""
    name = f"{stem}.{os.getpid()}.{suffix}"
    _ours.add(name)
    return name


def remove_abandoned(folder: Path, suffix: str) -> list[str]:
    """Remove files and folders made with `owned_name(…, suffix)` by processes that are no more, and return their stems."""
    stems = []
    for path in folder.glob(f"*.{suffix}*"):
        owner = re.search(rf"\.(\d+)\.{suffix}", path.name)
        if owner and path.name[: owner.end()] not in _ours and not _is_alive(int(owner[1])):
            stems.append(path.name[: owner.start()])
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
    return stems


def _is_alive(number: int) -> bool:
    if number == os.getpid():
        return False  # in a container every script may have the same number
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
