"""Write a small file that belongs to its owner alone: all of it, or what was there stays."""

import os
from pathlib import Path

from lib.base import leftovers

SUFFIX = "new"


def write(path: Path, text: str, suffix: str = SUFFIX) -> None:
    """Replace the file in one step, with mode 0600; `suffix` marks what a killed script leaves behind."""
    folder = leftovers.make(path.parent, path.name, suffix)
    new = folder / path.name
    try:
        with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        os.replace(new, path)
    finally:
        leftovers.clear(folder)
