"""Functions that SQLite calls for values whose text it cannot give exactly, or cannot judge, by itself."""

import codecs
import contextlib
import math
import sqlite3
import struct
from collections.abc import Iterator

SLICE_BYTES = 1 << 20


def register(connection: sqlite3.Connection) -> None:
    """Give the connection the functions that lib/sqlite/lines/expressions.py calls."""
    codec = codec_of(connection)
    connection.create_function("real_text", 1, _real_text, deterministic=True)
    connection.create_function("real_bits", 1, _real_bits, deterministic=True)
    connection.create_function("is_negative_zero", 1, _is_negative_zero, deterministic=True)
    connection.create_function("is_plain_text", 1, lambda raw: is_plain_text(raw, codec), deterministic=True)


@contextlib.contextmanager
def as_bytes(connection: sqlite3.Connection) -> Iterator[None]:
    """Let text come as bytes, for executing as well as for fetching: until Python 3.10, execute fetches the first row."""
    connection.text_factory = bytes
    try:
        yield
    finally:
        connection.text_factory = str


def as_text(raw: bytes) -> str:
    """Return text of which the bytes that are not UTF-8 come back: a text_factory for what may have such names."""
    return raw.decode("utf-8", "surrogateescape")


def codec_of(connection: sqlite3.Connection) -> str:
    """Return Python's name for the database's encoding."""
    return {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}[
        connection.execute("PRAGMA encoding").fetchone()[0]
    ]


def _real_text(value: float | None) -> str | None:
    """Return the shortest decimal text that reads back as the same double; SQLite's own has 15 digits."""
    return None if value is None else repr(value)


def _real_bits(value: float | None) -> str | None:
    """Return the double's 8 bytes in hex, like Postgres' encode(float8send(…), 'hex')."""
    return None if value is None else struct.pack(">d", value).hex()


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def is_plain_text(raw: bytes | None, codec: str) -> bool:
    """Whether Postgres can hold the text: valid in its encoding, and no NUL."""
    if raw is None:
        return False
    try:
        return "\0" not in raw.decode(codec) if len(raw) <= SLICE_BYTES else _is_plain_in_slices(raw, codec)
    except UnicodeDecodeError:
        return False


def _is_plain_in_slices(raw: bytes, codec: str) -> bool:
    """Decode a large text in slices; raise UnicodeDecodeError."""
    decoder, view = codecs.getincrementaldecoder(codec)(), memoryview(raw)
    slices = (decoder.decode(view[start : start + SLICE_BYTES]) for start in range(0, len(raw), SLICE_BYTES))
    has_nul = any("\0" in text for text in slices)
    decoder.decode(b"", final=True)
    return not has_nul
