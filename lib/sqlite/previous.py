"""The previous snapshot: the copy kept from the last saved run, with a note of what it is beside it."""

import hashlib
import json
from pathlib import Path


def about(place: Path | None) -> dict:
    """Return what was noted about a kept snapshot, or nothing where there is none, or where it is not the file of the note."""
    try:
        note = json.loads(note_text(place))
        return note if note["hash"] == file_hash(place) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def note_text(place: Path | None) -> str:
    """Return the note word for word, or nothing where there is none."""
    try:
        return note_of(place).read_text() if place else ""
    except (OSError, ValueError):
        return ""


def note_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
