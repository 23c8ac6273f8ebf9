"""Which rows can have changed between two files of one database: those on pages that differ, or that only one tree has.

A row is as it was where the same page holds it in both files, is a leaf of the table's tree in both, and has the same bytes; what
does not fit there is in overflow pages, which nothing but that row leads to. So each page that differs must be accounted for: it
is a tree's, or what a row on such a page continues in, or free, or one of the pointer map. Where one is left, and wherever a
file is not as SQLite makes it, the pages tell nothing, and every row is compared. Files that lie about which page is whose may
deceive this; they do not pass SQLite's check, quick or full, without which no ordinary run is saved.

Source: https://sqlite.org/fileformat2.html
"""

import itertools
import os
import sqlite3
import struct
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from lib.sqlite.files.functions import as_bytes, as_text
from lib.sqlite.snapshots.watched import COUNTER

CHUNK_BYTES = 1 << 18
HEADER_BYTES = 100
# What both headers must say alike: page size, journal mode, reserved bytes; the schema's format; the encoding.
ALIKE = (slice(0, 24), slice(44, 48), slice(56, 60))
MODES, ROLLBACK = slice(18, 20), b"\1\1"
SHRINKS_ITSELF = slice(52, 56)
PAGE_SIZES = [1 << bits for bits in range(9, 17)]
LOCK_BYTE = 0x40000000
INNER_INDEX, INNER_TABLE, LEAF_INDEX, LEAF_TABLE = 2, 5, 10, 13
LEAF_OF = {INNER_INDEX: LEAF_INDEX, INNER_TABLE: LEAF_TABLE}
# A page's owner is the root of its tree, or this.
NO_TREE = (1 << 32) - 1
# With more of a table's leaves to look at, all of its rows are as soon compared.
MOST_LEAVES = 0.5
# With more of all pages to look at, it may be another database.
MOST_PAGES = 0.5

# Each from a first to a last rowid; they are in order and do not overlap.
Spans = list[tuple[int, int]]


class Unclear(Exception):
    """The pages do not tell which rows have changed."""


class MostDiffer(Exception):
    """Most pages are others than before."""


class File:
    """A database file by its pages, numbered from 1; `usable` are the bytes of each that SQLite uses, `owners` whose they are.

    It is read past SQLite, and when it is closed this process loses its locks on it. Nobody needs one: both files are private
    copies that nobody writes; SQLite's own check rolls back before anything gets there.
    """

    def __init__(self, file: BinaryIO):
        self._file, self.header = file, file.read(HEADER_BYTES)
        size, self.pages = int.from_bytes(self.header[16:18], "big"), _number(self.header, 28)
        self.size = PAGE_SIZES[-1] if size == 1 else size
        self.usable = self.size - self.header[20]
        if self.size not in PAGE_SIZES or os.fstat(file.fileno()).st_size != self.pages * self.size:
            raise Unclear
        self.owners = array("I", bytes(4 * self.pages + 4))
        self.owners[0] = NO_TREE

    def read(self, number: int, size: int) -> bytes:
        """Return so many bytes from the beginning of a page."""
        if not 0 < number <= self.pages:
            raise Unclear
        self._file.seek((number - 1) * self.size)
        return self._file.read(size)

    def page(self, number: int) -> tuple[bytes, int]:
        """Return a page of a tree, and where the tree's part begins: in the first page the header comes first."""
        return self.read(number, self.size), HEADER_BYTES if number == 1 else 0

    def claim(self, pages: Iterable[int], owner: int) -> "array[int]":
        """Note whose these pages are; raise Unclear where one is somebody's already, which ends every circle."""
        claimed, owners = array("I"), self.owners
        for number in pages:
            if owners[number]:
                raise Unclear
            owners[number] = owner
            claimed.append(number)
        return claimed

    def tree(self, root: int) -> "array[int]":
        """Claim the pages of a table or an index, and return its leaves, which are all on one level."""
        level, kind = self.claim([root], root), self.kind(root)
        while (found := self.kind(level[0])) in LEAF_OF:
            level = self.claim(self._children(level, kind), root)
        if found != LEAF_OF.get(kind, kind) or found not in LEAF_OF.values():
            raise Unclear
        return level

    def kind(self, number: int) -> int:
        return self.read(number, HEADER_BYTES + 1)[HEADER_BYTES if number == 1 else 0]

    def _children(self, numbers: "array[int]", kind: int) -> Iterator[int]:
        for number in numbers:
            page, start = self.page(number)
            if page[start] != kind:
                raise Unclear
            for at in (*_cells(page, start), start + 8):
                yield _number(page, at)


def changed(connection: sqlite3.Connection, previous: Path, snapshot: Path) -> dict[str, Spans] | None:
    """Return the spans of rowids in which rows may have changed, by table; without a span, the table is as it was.

    The connection has both files, as `previous` and `main`. A table is left out where its pages do not tell, or tell too much.
    Return None where most pages differ, or the new file is not made as the old one was: it may be another database.
    """
    try:
        before, now = _objects(connection, "previous"), _objects(connection, "main")
        with open(previous, "rb", buffering=0) as was, open(snapshot, "rb", buffering=0) as become:
            old = File(was)
            return dict(_compared(old, _new_file(become, old), before, now))
    except MostDiffer:
        return None
    except (Unclear, OSError, IndexError, struct.error, sqlite3.OperationalError):
        return {}


def is_counted(previous: Path, snapshot: Path) -> bool:
    """Whether SQLite has counted the changes between two copies of a database in rollback mode; there it counts each."""
    heads = []
    for path in (previous, snapshot):
        with open(path, "rb", buffering=0) as file:
            heads.append(file.read(HEADER_BYTES))
    return heads[0][COUNTER] != heads[1][COUNTER]


def _new_file(file: BinaryIO, old: File) -> File:
    """Raise MostDiffer where its size is not what its head says, or it is made otherwise than the old one."""
    try:
        new = File(file)
    except Unclear:
        raise MostDiffer from None
    if any(old.header[part] != new.header[part] for part in ALIKE):
        raise MostDiffer
    return new


def _objects(connection: sqlite3.Connection, file: str) -> list[tuple[bytes, bytes, int, bytes]]:
    """Return type, name, root page and SQL of each table and index."""
    has_pages = "typeof(rootpage) = 'integer' AND rootpage > 0"
    with as_bytes(connection):
        return connection.execute(f"SELECT type, name, rootpage, sql FROM {file}.sqlite_master WHERE {has_pages}").fetchall()


def _compared(
    old: File, new: File, before: list[tuple[bytes, bytes, int, bytes]], now: list[tuple[bytes, bytes, int, bytes]]
) -> Iterator[tuple[str, Spans]]:
    differs = _differing(old, new)
    leaves = {root: new.tree(root) for root in [1, *(root for _, _, root, _ in now)]}
    _account_for(new, differs)
    touched = {new.owners[number] for number in _those(differs, new)}
    for kind, name, root, _ in set(before).intersection(now):
        spans = _spans(old, new, root, leaves[root], differs) if root in touched else []
        if kind == b"table" and spans is not None:
            yield as_text(name), spans


def _differing(old: File, new: File) -> bytearray:
    """Return for the number of each page 1 where the files differ, and where only one has it; raise MostDiffer where most do."""
    if new.header[MODES] != ROLLBACK:
        raise Unclear
    both, step = min(old.pages, new.pages), CHUNK_BYTES // new.size
    differs = bytearray(both + 1) + b"\1" * abs(old.pages - new.pages)
    for first in range(1, both + 1, step):
        many = min(step, both + 1 - first)
        was, now = old.read(first, many * new.size), new.read(first, many * new.size)
        if was != now:
            parts = [slice(at, at + new.size) for at in range(0, many * new.size, new.size)]
            differs[first : first + many] = bytes(was[part] != now[part] for part in parts)
    if differs.count(1) > MOST_PAGES * len(differs):
        raise MostDiffer
    return differs


def _those(differs: bytearray, file: File) -> Iterator[int]:
    return itertools.compress(range(file.pages + 1), differs)


def _account_for(file: File, differs: bytearray) -> None:
    """Raise Unclear unless each page that differs is known not to belong to a row whose own page does not differ."""
    in_trees = [number for number in _those(differs, file) if file.owners[number]]
    file.claim(_free(file), NO_TREE)
    file.claim(_reserved(file), NO_TREE)
    if not all(file.owners[number] for number in _those(differs, file)):
        file.claim(itertools.chain.from_iterable(_overflow(file, number) for number in in_trees), NO_TREE)
    if not all(file.owners[number] for number in _those(differs, file)):
        raise Unclear


def _spans(old: File, new: File, root: int, now: "array[int]", differs: bytearray) -> Spans | None:
    """Return where rows may have changed; nothing where pages do not tell, or tell too much."""
    if new.kind(root) not in (INNER_TABLE, LEAF_TABLE):
        return None
    before = old.tree(root)
    leaves = [(old, leaf) for leaf in before if differs[leaf] or new.owners[leaf] != root]
    leaves += [(new, leaf) for leaf in now if differs[leaf] or old.owners[leaf] != root]
    if len(leaves) > MOST_LEAVES * (len(before) + len(now)):
        return None
    return _joined(sorted(ends for file, leaf in leaves for ends in _ends(file, leaf)))


def _joined(spans: Spans) -> Spans:
    """Return spans that do not overlap, from such as may."""
    joined: Spans = []
    for first, last in spans:
        if joined and first <= joined[-1][1]:
            first, before = joined.pop()
            last = max(last, before)
        joined.append((first, last))
    return joined


def _cells(page: bytes, start: int) -> tuple[int, ...]:
    """Return where the cells of a tree's page begin."""
    (count,) = struct.unpack_from(">H", page, start + 3)
    return struct.unpack_from(f">{count}H", page, start + (12 if page[start] in LEAF_OF else 8))


def _ends(file: File, leaf: int) -> Spans:
    """Return the first and the last rowid on a table's leaf, if it has any."""
    page, start = file.page(leaf)
    if page[start] != LEAF_TABLE:
        raise Unclear
    cells = _cells(page, start)
    rowids = [_varint(page, _varint(page, cell)[1])[0] for cell in (*cells[:1], *cells[-1:])]
    return [(min(rowids), max(rowids))] if rowids else []


def _overflow(file: File, number: int) -> Iterator[int]:
    """Yield the pages that the rows on a tree's page continue in."""
    page, start = file.page(number)
    kind = page[start]
    for cell in _cells(page, start) if kind != INNER_TABLE else ():
        size, at = _varint(page, cell + (4 if kind == INNER_INDEX else 0))
        if kind == LEAF_TABLE:
            _, at = _varint(page, at)
        here = _bytes_here(file.usable, size, kind)
        following = _number(page, at + here) if here < size else 0
        for _ in range(here, size, file.usable - 4):
            yield following
            following = _number(file.read(following, 4), 0)


def _bytes_here(usable: int, size: int, kind: int) -> int:
    """Return how many bytes of a row of this size are on its own page."""
    most = usable - 35 if kind == LEAF_TABLE else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    fitting = least + (size - least) % (usable - 4)
    return fitting if fitting <= most else least


def _free(file: File) -> Iterator[int]:
    trunk = _number(file.header, 32)
    while trunk:
        page = file.read(trunk, file.size)
        yield trunk
        trunk, count = struct.unpack_from(">2I", page)
        yield from struct.unpack_from(f">{count}I", page, 8)


def _reserved(file: File) -> Iterator[int]:
    """Yield the page that locks lie on, and the pointer map: what each page's parent is, where a file may shrink by itself."""
    lock = LOCK_BYTE // file.size + 1
    if lock <= file.pages:
        yield lock
    if any(file.header[SHRINKS_ITSELF]):
        yield from (number + (number == lock) for number in range(2, file.pages + 1, file.usable // 5 + 1))


def _number(page: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", page, at)[0])


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return a signed number, and where the next one begins."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | page[place] & 0x7F
        if page[place] < 0x80:
            return value, place + 1
    value = value << 8 | page[at + 8]
    return value - (value >> 63 << 64), at + 9
