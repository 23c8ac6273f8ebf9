"""What a killed script leaves behind is removed by the next one: names that carry the dead owner's process number."""

import contextlib
import os
import re
import shutil
from pathlib import Path


def owned_name(stem: str, suffix: str) -> str:
    """Return a name that belongs to this process: `premium_system.db.4711.taking`."""
    return f"{stem}.{os.getpid()}.{suffix}"


def remove_abandoned(folder: Path, suffix: str) -> None:
    """Remove files and folders made with `owned_name(…, suffix)` by processes that are no more."""
    for path in folder.glob(f"*.{suffix}*"):
        owner = re.search(rf"\.(\d+)\.{suffix}", path.name)
        if owner and not _is_alive(int(owner[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _is_alive(number: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
