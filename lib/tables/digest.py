"""The digest of a table: how many rows, and the sum of their hashes.

A row's hash is the first half of the MD5 of its line, read as a signed 64-bit number. A sum does not depend on the order of
the rows, and it can be carried forward by adding and subtracting the rows that changed. Postgres computes the same in
sql/statements/digest_mirror.sql.
"""

import struct
from dataclasses import dataclass

try:  # for short lines Python's own is up to twice as fast as OpenSSL's
    from _md5 import md5  # type: ignore[import-not-found]  # typeshed does not know it
except ImportError:
    from hashlib import md5

row_md5 = md5


def md5_of(text: str) -> str:
    """Return the MD5 of a text in hex, as Postgres' md5() has it."""
    return str(md5(text.encode(), usedforsecurity=False).hexdigest())


@dataclass
class Digest:
    """A number of rows, and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def add(self, lines: list[bytes]) -> None:
        """Add rows, each given as its whole line."""
        hashes = b"".join([row_md5(line, usedforsecurity=False).digest() for line in lines])
        self.rows += len(lines)
        self.total += sum(struct.unpack(">" + "q8x" * len(lines), hashes))

    def add_row(self, md5: bytes) -> None:
        """Add one row, given the MD5 of its line."""
        self.rows += 1
        self.total += struct.unpack(">q8x", md5)[0]

    def __add__(self, other: "Digest") -> "Digest":
        return Digest(self.rows + other.rows, self.total + other.total)

    def __sub__(self, other: "Digest") -> "Digest":
        return Digest(self.rows - other.rows, self.total - other.total)
