"""The mirrors as Postgres describes them (sql/statements/read_mirrors.sql), and as a run has noted them on this machine.

Where the two have the same hash, the description need not travel.
"""

import json
from collections.abc import Mapping
from typing import Any

from lib.sqlite.snapshots.previous import NotedMirror
from lib.tables.digest import md5_of
from lib.tables.plan import Mirror, MirrorColumn


def mirrors(described: list[list[Any]]) -> dict[str, Mirror]:
    """Return the mirrors that a description is of, by name."""
    return {
        name: Mirror(name, _columns(columns), tuple(key), {made: tuple(of) for made, of in unique}, oid, is_watched, oddity)
        for name, oid, is_watched, oddity, columns, key, unique in described
    }


def _columns(described: list[list[Any]]) -> dict[str, MirrorColumn]:
    return {name: {"type": kind, "not_null": not_null, "number": number} for number, kind, not_null, name in described}


def as_noted(noted: Mapping[str, NotedMirror]) -> list[list[Any]]:
    """Return what Postgres says of mirrors that are as they were noted: watched, and nothing odd among them."""
    return [
        [name, mirror["oid"], True, "", _as_noted(mirror["columns"]), list(mirror["key"]), [*map(list, mirror["unique"].items())]]
        for name, mirror in sorted(noted.items())
    ]


def _as_noted(columns: dict[str, MirrorColumn]) -> list[list[Any]]:
    return [[column.get("number"), column["type"], column["not_null"], name] for name, column in columns.items()]


def hash_of(described: list[list[Any]]) -> str:
    """Return the hash of a description as Postgres computes it, from the text of its jsonb."""
    return md5_of(json.dumps(described, ensure_ascii=False))
