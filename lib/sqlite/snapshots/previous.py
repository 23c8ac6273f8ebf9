"""The previous snapshot: the copy kept from the last saved run, with a note of what it is beside it.

Others may work in the same folder, and names prove nothing: what is relied on is what was hashed, and it is looked at again
when it has been used.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

# What a run notes beside its snapshot, and of which kind it is.
NOTED = {
    **dict.fromkeys(("hash", "check", "journal_mode", "belongs_to", "origin", "machine", "path"), str),
    **dict.fromkeys(("run", "rows"), int),
    **dict.fromkeys(("tables", "mirrors"), dict),
    "doubts": list,
    "compared_at": (int, float),
}
LEFT_IN_A_TABLE = [int, int, int, str]
MIRROR = {"oid", "columns", "key", "unique"}


@dataclass(frozen=True)
class Previous:
    """A kept snapshot as it was when it was looked at.

    `told` is what stands beside it, `note` the same where it is whole and of the file, else empty (see NOTED); "tables" are
    {label: [rows, misfits, digest, form]}, "mirrors" {name: {"oid", "columns", "key", "unique"}}. `identity` tells whether it is
    still the same.
    """

    place: Path | None
    told: dict
    note: dict
    identity: tuple

    @property
    def hash(self) -> str:
        return self.note.get("hash", "")

    @property
    def is_untouched(self) -> bool:
        """Whether the file and its note are those that were looked at: neither replaced nor written to."""
        return identity(self.place) == self.identity


def look(place: Path | None, seen: tuple | None = None) -> Previous:
    """Look at a kept snapshot; `seen` is its identity at an earlier moment, from which on it must not have changed."""
    seen = identity(place) if seen is None else seen  # before it is read
    told = read(place) if place else {}
    return Previous(place, told, told if told and _is_of(told, place) else {}, seen)


def identity(place: Path | None) -> tuple:
    """Return what changes with the file or its note: every write and every rename gives a file another change time."""
    return tuple(_stat(path) for path in (place, note_of(place))) if place else ()


def _stat(path: Path) -> tuple:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_of(note: dict, place: Path) -> bool:
    """Whether a note is whole, and of this file; one that an older version has written is not."""
    is_whole = all(isinstance(note.get(name), kind) for name, kind in NOTED.items())
    try:
        return is_whole and _can_be_read(note["tables"], note["mirrors"]) and note["hash"] == file_hash(place)
    except OSError:
        return False


def _can_be_read(tables: dict, mirrors: dict) -> bool:
    return all(isinstance(left, list) and [type(value) for value in left] == LEFT_IN_A_TABLE for left in tables.values()) and all(
        isinstance(mirror, dict) and mirror.keys() == MIRROR for mirror in mirrors.values()
    )


def read(place: Path) -> dict:
    """Return what is noted beside a snapshot, or nothing; whether it is true of the file, nobody has looked."""
    try:
        note = json.loads(note_of(place).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def note_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
