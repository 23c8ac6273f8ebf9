"""Whether foreign keys lead anywhere: SQLite checks them, before rows are edited and after."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from lib.sqlite.editing.change import Change
from lib.sqlite.files.names import quoted
from lib.tables.plan import folded

REFERENCES = """SELECT child.name, parent."table" FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS parent
    WHERE child.type = 'table'"""
# The bot waits while they are read: a table with more rows that lead nowhere cannot be checked.
MOST_LONELY = 10_000
Cells = tuple[tuple[str, object], ...]
Row = dict[str, object]


class Lonely(NamedTuple):
    """A row of `child` whose foreign key, in these `columns`, leads nowhere, by its `key`.

    `sought` is by the columns of `parent`. Names are folded; all that nobody can tell is empty.
    """

    child: str
    key: Cells
    columns: tuple[str, ...]
    parent: str
    sought: Cells


class Edited(NamedTuple):
    """A change with folded names: which of its columns are others now, and what the row was before."""

    table: str
    key: Cells
    changed: frozenset[str]
    base: Row

    @classmethod
    def by(cls, change: Change) -> "Edited":
        base, theirs = _folded(change.base), _folded(change.theirs)
        changed = {name for name in {**base, **theirs} if base.get(name) != theirs.get(name) or not (base and theirs)}
        return cls(
            folded(change.table.name),
            tuple(sorted(_folded(change.key).items(), key=lambda cell: cell[0])),
            frozenset(changed),
            base,
        )


class References:
    """The rows whose foreign keys led nowhere before `changes`, of their tables and of those that refer to them, or of all.

    `related` are all these tables, folded; of those that are `unchecked` nobody can tell: SQLite cannot follow their keys.
    """

    def __init__(self, connection: sqlite3.Connection, changes: Sequence[Change], are_all_meant: bool):
        self._connection, self._edited = connection, [Edited.by(change) for change in changes]
        meant, known = {edited.table for edited in self._edited}, connection.execute(REFERENCES).fetchall()
        pairs = {(child, parent) for child, parent in known if are_all_meant or meant & {folded(child), folded(parent)}}
        self._before: Counter[Lonely] = Counter()
        unchecked = {child for child in {child for child, _ in pairs} if not self._note(child)}
        self.related = {folded(name) for pair in pairs for name in pair}
        self.unchecked = {folded(name) for pair in pairs if pair[0] in unchecked for name in pair}
        self._children = sorted({child for child, _ in pairs} - unchecked)

    def broken(self) -> list[Lonely]:
        """Return rows whose foreign keys lead nowhere, and did not before, or not there: at least one where there are any."""
        return [row for child in self._children for row in Counter(self._lonely(child)) - self._before]

    def culprits(self, places: Collection[int], broken: Sequence[Lonely]) -> set[int]:
        """Return which of the changes at these places have done it: who took away what a row looks for, else who wrote it."""
        writers = {(self._edited[place].table, self._edited[place].key): place for place in places}
        takers: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], int]] = {}
        found = set[int]()
        for row in broken:
            names = tuple(name for name, _ in row.sought)
            if (row.parent, names) not in takers:
                takers[row.parent, names] = self._takers(places, row.parent, names)
            taker = takers[row.parent, names].get(tuple(str(value) for _, value in row.sought))
            writer = writers.get((row.child, row.key))
            if taker is not None:
                found.add(taker)
            elif writer is not None and self._edited[writer].changed & {*row.columns}:
                found.add(writer)
        return found

    def _takers(self, places: Collection[int], parent: str, names: tuple[str, ...]) -> dict[tuple[str, ...], int]:
        """Return who has taken away what, as text: how SQLite compares these columns depends on their types."""
        edits = ((place, self._edited[place]) for place in places)
        theirs = ((place, edit.base) for place, edit in edits if edit.table == parent and edit.base and edit.changed & {*names})
        return {tuple(str(base.get(name)) for name in names): place for place, base in theirs}

    def _note(self, child: str) -> bool:
        """Note what leads nowhere; whether anybody can tell what does so later."""
        try:
            before = self._lonely(child)
        except sqlite3.OperationalError:
            return False
        self._before.update(before)
        return len(before) <= MOST_LONELY

    def _lonely(self, child: str) -> list[Lonely]:
        """Ask SQLite whether there are any, and only then which, as far as they are read: it does not say that of every table."""
        first = f"SELECT 1 FROM pragma_foreign_key_check(?) LIMIT {MOST_LONELY + 1}"
        many = len(self._connection.execute(first, [child]).fetchall())
        if not many:
            return []
        keys = self._connection.execute(f"PRAGMA main.foreign_key_list({quoted(child)})").fetchall()
        parts = [[key for key in keys if key[0] == number] for number in {key[0] for key in keys}]
        found = [row for part in parts for row in self._without_parent(child, part)]
        is_all_told = len(found) == many or many > MOST_LONELY
        return found if is_all_told else [Lonely(child, (), (), "", (("", many),))]

    def _without_parent(self, child: str, parts: list[tuple[str, ...]]) -> list[Lonely]:
        """Return rows of which one foreign key, as SQLite lists its parts, leads nowhere: it compares as the parent would."""
        parent, key, ours = str(parts[0][2]), sorted(self._key_of(child), key=folded), [part[3] for part in parts]
        theirs = [part[4] for part in parts] if parts[0][4] else self._key_of(parent)
        conditions = [f"child.{quoted(name)} IS NOT NULL" for name in ours]
        if self._columns(parent):
            same = [f"parent.{quoted(to)} = +child.{quoted(name)}" for name, to in zip(ours, theirs, strict=True)]
            conditions.append(f"NOT EXISTS (SELECT 1 FROM main.{quoted(parent)} AS parent WHERE {' AND '.join(same)})")
        places = ", ".join(f"child.{quoted(name)}" for name in [*key, *ours])
        most = 2 * MOST_LONELY + 1  # more than there were before
        query = f"SELECT {places} FROM main.{quoted(child)} AS child WHERE {' AND '.join(conditions)} LIMIT {most}"
        rows = [(row[: len(key)], row[len(key) :]) for row in self._connection.execute(query)]
        whose, columns, where = folded(child), tuple(map(folded, ours)), folded(parent)
        return [Lonely(whose, _cells(key, its), columns, where, _cells(theirs or ours, sought)) for its, sought in rows]

    def _key_of(self, table: str) -> list[str]:
        return [row[1] for row in sorted(self._columns(table), key=lambda row: row[5]) if row[5]]

    def _columns(self, table: str) -> list[tuple[str, ...]]:
        return self._connection.execute(f"PRAGMA main.table_info({quoted(table)})").fetchall()


def _folded(row: Row | None) -> Row:
    return {folded(name): value for name, value in (row or {}).items()}


def _cells(names: Iterable[str], values: Iterable[object]) -> Cells:
    return tuple(zip(map(folded, names), values, strict=True))
