"""Functions that SQLite calls for values whose text it cannot give exactly, or cannot judge, by itself."""

import math
import sqlite3
import struct


def register(connection: sqlite3.Connection) -> None:
    """Give the connection the functions that the expressions of lib/sqlite/lines.py call."""
    codec = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}[
        _text(connection.execute("PRAGMA encoding").fetchone()[0])
    ]
    connection.create_function("real_text", 1, _real_text, deterministic=True)
    connection.create_function("real_bits", 1, _real_bits, deterministic=True)
    connection.create_function("is_negative_zero", 1, _is_negative_zero, deterministic=True)
    connection.create_function("is_plain_text", 1, lambda raw: _is_plain_text(raw, codec), deterministic=True)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def _real_text(value: float | None) -> str | None:
    """Return the shortest decimal text that reads back as the same double; SQLite's own has 15 digits."""
    return None if value is None else repr(value)


def _real_bits(value: float | None) -> str | None:
    """Return the double's 8 bytes in hex, like Postgres' encode(float8send(…), 'hex')."""
    return None if value is None else struct.pack(">d", value).hex()


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _is_plain_text(raw: bytes | None, codec: str) -> bool:
    """Whether Postgres can hold the text: valid in its encoding, and no NUL."""
    try:
        return raw is not None and "\0" not in raw.decode(codec)
    except UnicodeDecodeError:
        return False
