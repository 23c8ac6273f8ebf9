"""The previous snapshot: the copy kept from the last saved run, with a note of what it is beside it.

Others may work in the same folder, and names prove nothing: what is relied on is what was hashed, and it is looked at again
when it has been used.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from lib.base import private_file
from lib.base.words import clock
from lib.sqlite.files.remedy import LastSound
from lib.sqlite.snapshots.watched import stat_of
from lib.tables.plan import MirrorColumn

# What a run notes beside its snapshot, and of which kind it is.
NOTED: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("hash", "check", "journal_mode", "belongs_to", "origin", "machine", "path"), str),
    **dict.fromkeys(("run", "rows"), int),
    **dict.fromkeys(("tables", "mirrors"), dict),
    "doubts": list,
    "compared_at": (int, float),
}
LEFT_IN_A_TABLE = [int, int, int, str]
MIRROR = {"oid": str, "columns": dict, "key": list, "unique": dict}
CHECKED = {"run": int, "at": float, "rows": dict, "target": int}
COLUMN = {"type": str, "not_null": bool, "number": int}
# Where nothing can be: the place of what nobody has kept.
NOWHERE = Path(os.devnull, "nothing")

# The rows, the misfits and the digest that a run left in a table, and the table's form (see lib/postgres/mirrors/last_run.py).
NotedTable = tuple[int, int, int, str]
# The hashes of snapshots that this process has read or written, with what changes when they do.
hashed: dict[Path, tuple[tuple[int, ...], str]] = {}
# What changes with the file and with its note.
Identity = tuple[tuple[int, ...], ...]


class NotedMirror(TypedDict):
    """A mirror as a run left it, as in lib/tables/plan.py."""

    oid: str
    columns: dict[str, MirrorColumn]
    key: Sequence[str]
    unique: Mapping[str, Sequence[str]]


class Checked(TypedDict):
    """The last run whose file was checked, when that was, in Unix seconds, and the rows of the bot's tables then, by label.

    `target` is the target's number where there are several, else nothing.
    """

    run: int
    at: float
    rows: dict[str, int]
    target: int | None


class Note(TypedDict, total=False):
    """What a run notes beside its snapshot: all of it, or nothing; only `checked` is younger than the rest.

    `hash` is the SHA-256 of the file. `tables` go by label, `mirrors` by name. `compared_at`, in Unix seconds, is when every row
    was compared last.
    """

    hash: str
    check: str
    journal_mode: str
    belongs_to: str
    origin: str
    machine: str
    path: str
    run: int
    rows: int
    tables: dict[str, NotedTable]
    mirrors: dict[str, NotedMirror]
    doubts: list[str]
    compared_at: float
    checked: Checked


@dataclass(frozen=True)
class Previous:
    """A kept snapshot as it was when it was looked at.

    `told` is the JSON that stands beside it, `note` the same where it is whole and of the file, else empty. `identity` tells
    whether it is still the same.
    """

    place: Path
    told: dict[str, Any]
    note: Note
    identity: Identity

    @property
    def hash(self) -> str:
        return self.note.get("hash", "")

    @property
    def is_untouched(self) -> bool:
        """Whether the file and its note are those that were looked at: neither replaced nor written to."""
        return identity(self.place) == self.identity

    def damage(self, source: str) -> list[str]:
        """Return a warning where there is a note that cannot be read, or not all of it; a folder is set aside, and told."""
        note = note_of(self.place)
        if not self.identity[1] or note.is_dir() or _is_whole(self.told):
            return []
        return [f"{note} is damaged, or of another version, and is written anew: every row of {source} is sent."]

    def not_told(self, doubts: list[str]) -> list[str]:
        """Return which doubts are new: what stays is said once."""
        return [doubt for doubt in doubts if doubt not in self.note.get("doubts", [])]


def look(place: Path | None, seen: Identity | None = None) -> Previous:
    """Look at a kept snapshot, if there is any; `seen` is its identity at an earlier moment: it must not have changed since."""
    place = place or NOWHERE
    seen = identity(place) if seen is None else seen  # before it is read
    told = read(place)
    return Previous(place, told, _note(told, place), seen)


def remember(place: Path, its_hash: str) -> None:
    """Note which hash the snapshot has that this process has put there just now."""
    hashed[place] = stat_of(place), its_hash


def identity(place: Path | None) -> Identity:
    """Return what changes with the file or its note."""
    place = place or NOWHERE
    return stat_of(place), stat_of(note_of(place))


def _note(told: Any, place: Path) -> Note:
    """Return the note, or nothing where it is not whole or not of this file; one that an older version has written is not."""
    try:
        is_of_file = _is_whole(told) and place.is_file() and told["hash"] == _known_hash(place)
    except OSError:
        is_of_file = False
    if not is_of_file:
        return {}
    note: Note = told
    tables = {label: (rows, misfits, digest, form) for label, (rows, misfits, digest, form) in note["tables"].items()}
    return {**note, "tables": tables}


def _known_hash(place: Path) -> str:
    """Return the hash of a snapshot, which a process that stays need not read again while it is the very same file."""
    seen = stat_of(place)
    if hashed.get(place, ((), ""))[0] != seen:
        hashed[place] = seen, file_hash(place)
    return hashed[place][1]


def _is_whole(told: dict[str, Any]) -> bool:
    has_all = all(isinstance(told.get(name), kind) for name, kind in NOTED.items())
    return has_all and _can_be_read(told["tables"], told["mirrors"])


def _can_be_read(tables: dict[str, Any], mirrors: dict[str, Any]) -> bool:
    are_left = all(isinstance(left, list) and [type(value) for value in left] == LEFT_IN_A_TABLE for left in tables.values())
    are_mirrors = all(_has(mirror, MIRROR) and _is_mirror(mirror) for mirror in mirrors.values())
    return are_left and are_mirrors and _is_text([*tables, mirrors])


def _is_mirror(mirror: dict[str, Any]) -> bool:
    columns, key = mirror["columns"], mirror["key"]
    described = [{"number": 0, **column} if isinstance(column, dict) else None for column in columns.values()]
    are_named = all(_are_among([*columns], names) for names in [key, *mirror["unique"].values()])
    return are_named and bool(key) == bool(columns) and all(_has(column, COLUMN) for column in described)


def _are_among(columns: list[str], names: Any) -> bool:
    return isinstance(names, list) and all(name in columns for name in names)


def _has(said: Any, parts: Mapping[str, type]) -> bool:
    return isinstance(said, dict) and {part: type(value) for part, value in said.items()} == parts


def _is_text(said: Any) -> bool:
    """Whether Postgres can be told all of it."""
    written = json.dumps(said, ensure_ascii=False).replace(r"\\", "")
    return r"\u0000" not in written and written.encode(errors="replace").decode() == written


def read(place: Path) -> dict[str, Any]:
    """Return what is noted beside a snapshot, or nothing; whether it is true of the file, nobody has looked."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        note = json.loads(private_file.read(note_of(place)))
        return note if isinstance(note, dict) else {}
    return {}


def last_checked(told: Mapping[str, Any]) -> Checked | None:
    """Return which run's file was checked last, where that is noted, and can be read."""
    checked: Any = told.get("checked")
    if not isinstance(checked, dict) or not _has({**checked, "target": 0}, CHECKED):
        return None
    return cast(Checked, checked) if all(type(rows) is int for rows in checked["rows"].values()) else None


def last_sound(told: Mapping[str, Any]) -> LastSound | None:
    """Return which run to go back to where the file is damaged, if that is not the newest: nobody has checked what came later."""
    checked = last_checked(told)
    if not checked or checked["run"] == told.get("run"):
        return None
    on = f" --target {checked['target']}" if type(checked["target"]) is int else ""
    return LastSound(f"run {checked['run']}, {clock(checked['at'])}", f"--at {checked['run']}{on}")


def note_of(place: Path) -> Path:
    """Return where the note stands that belongs to a snapshot."""
    return place.with_name(f"{place.name}.json")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hex; raise OSError where it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
