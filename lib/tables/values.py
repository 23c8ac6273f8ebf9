"""The values that SQLite stores: how they are compared to the bit, and how people see and type them."""

import struct
from collections.abc import Mapping

Value = int | float | str | bytes | None
Row = dict[str, Value]


def is_same(one: object, other: object) -> bool:
    """Whether two values are the same to the bit, storage class included."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return type(one) is type(other) and one == other


def are_same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())


def as_text(value: Value) -> str:
    """Return a value as people see it, and may type it."""
    return "NULL" if value is None else f"x'{value.hex().upper()}'" if isinstance(value, bytes) else f"{value}"
