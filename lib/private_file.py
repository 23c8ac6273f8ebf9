"""Write a small file that belongs to its owner alone: all of it, or what was there stays."""

import os
from pathlib import Path

from lib import leftovers

SUFFIX = "new"


def write(path: Path, text: str, suffix: str = SUFFIX) -> None:
    """Replace the file in one step, with mode 0600; `suffix` marks what a killed script leaves behind."""
    leftovers.remove_abandoned(path.parent, suffix)
    new = path.with_name(leftovers.owned_name(path.name, suffix))
    try:
        with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
