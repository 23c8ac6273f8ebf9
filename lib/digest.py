"""The digest of a table: how many rows, and the sum of their hashes.

A row's hash is the first half of the MD5 of its line, read as a signed 64-bit number. A sum does not depend on the order of
the rows, and it can be carried forward by adding and subtracting the rows that changed. Postgres computes the same in
sql/statements/digest_mirror.sql.
"""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

_first_half = struct.Struct(">q8x").unpack


class RowHash:
    """The hash of one line that is fed in pieces."""

    def __init__(self):
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.update, self.digest = self._md5.update, self._md5.digest


@dataclass
class Digest:
    rows: int = 0
    total: int = 0

    def add(self, lines: Iterable[bytes]) -> None:
        md5 = hashlib.md5
        hashes = [_first_half(md5(line, usedforsecurity=False).digest())[0] for line in lines]
        self.rows += len(hashes)
        self.total += sum(hashes)

    def add_row(self, row: "RowHash") -> None:
        self.rows += 1
        self.total += _first_half(row.digest())[0]

    def __add__(self, other: "Digest") -> "Digest":
        return Digest(self.rows + other.rows, self.total + other.total)

    def __sub__(self, other: "Digest") -> "Digest":
        return Digest(self.rows - other.rows, self.total - other.total)
