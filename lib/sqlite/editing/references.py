"""Whether foreign keys lead anywhere: SQLite checks them, before rows are edited and after."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from lib.sqlite.editing.change import Change
from lib.sqlite.files.names import quoted
from lib.tables.plan import folded
from lib.tables.values import are_same

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
    """A change with folded names, and what the row was before; of a row that was added or deleted, every column has changed."""

    table: str
    key: Cells
    changed: frozenset[str]
    base: Row

    @classmethod
    def by(cls, change: Change) -> "Edited":
        base = _folded(change.base)
        changed = _folded(dict.fromkeys(change.columns or {**(change.base or {}), **(change.theirs or {})}))
        key = tuple(sorted(_folded(change.key).items(), key=lambda cell: cell[0]))
        return cls(folded(change.table.name), key, frozenset(changed), base)

    def only(self, came: Collection[str]) -> "Edited":
        """Return the same where of an update only these columns have come."""
        return self._replace(changed=self.changed & {*map(folded, came)}) if came else self


class References:
    """The rows whose foreign keys led nowhere before `changes`, of their tables and of those that refer to them, or of all.

    Of the tables that are `unchecked`, folded, nobody can tell: SQLite cannot follow their keys.
    """

    def __init__(self, connection: sqlite3.Connection, changes: Sequence[Change], are_all_meant: bool):
        self._connection, self._edited = connection, [Edited.by(change) for change in changes]
        meant, known = {edited.table for edited in self._edited}, connection.execute(REFERENCES).fetchall()
        pairs = {(child, parent) for child, parent in known if are_all_meant or meant & {folded(child), folded(parent)}}
        self._before: Counter[Lonely] = Counter()
        unchecked = {child for child in {child for child, _ in pairs} if not self._note(child)}
        self.unchecked = {folded(name) for pair in pairs if pair[0] in unchecked for name in pair}
        self._children = sorted({child for child, _ in pairs} - unchecked)

    def may_be_broken_by(self, place: int) -> bool:
        """Whether this change is of a row that refers to another, or to which others refer, in columns that do."""
        edited = self._edited[place]
        return any(
            (edited.table == folded(child) and not edited.changed.isdisjoint(map(folded, ours)))
            or (edited.table == folded(parent) and not edited.changed.isdisjoint(map(folded, theirs)))
            for child in self._children
            for parent, ours, theirs in self._keys_of(child)
        )

    def broken(self) -> list[Lonely]:
        """Return rows whose foreign keys lead nowhere, and did not before, or not there: at least one where there are any."""
        return [row for child in self._children for row in Counter(self._lonely(child)) - self._before]

    def culprits(self, came: Mapping[int, Collection[str]], broken: Sequence[Lonely]) -> set[int]:
        """Return which of the changes that came have done it: who took away what a row looks for, else who has written it.

        `came` are by place the columns that an update has brought.
        """
        edits = {place: self._edited[place].only(columns) for place, columns in came.items()}
        writers = {(edit.table, edit.key): place for place, edit in edits.items()}
        takers: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], dict[int, Cells]]] = {}
        found = set[int]()
        for row in broken:
            names = tuple(name for name, _ in row.sought)
            if (row.parent, names) not in takers:
                takers[row.parent, names] = _takers(edits, row.parent, names)
            taken = takers[row.parent, names].get(_as_text(row.sought), {})
            writer = writers.get((row.child, row.key))
            if taken:
                found.update([place for place, cells in taken.items() if are_same(dict(cells), dict(row.sought))] or taken)
            elif writer is not None and edits[writer].changed & {*row.columns}:
                found.add(writer)
        return found

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
        found = [row for key in self._keys_of(child) for row in self._without_parent(child, *key)]
        is_all_told = len(found) == many or many > MOST_LONELY
        return found if is_all_told else [Lonely(child, (), (), "", (("", many),))]

    def _keys_of(self, child: str) -> list[tuple[str, list[str], list[str]]]:
        """Return a table's foreign keys: the parent, and the columns of both; of one that is not there they are not known."""
        told = self._connection.execute(f"PRAGMA main.foreign_key_list({quoted(child)})").fetchall()
        keys = [[part for part in told if part[0] == number] for number in sorted({part[0] for part in told})]
        return [
            (parts[0][2], [part[3] for part in parts], [part[4] for part in parts] if parts[0][4] else self._key_of(parts[0][2]))
            for parts in keys
        ]

    def _without_parent(self, child: str, parent: str, ours: list[str], theirs: list[str]) -> list[Lonely]:
        """Return rows of which a foreign key leads nowhere: it compares as the parent would."""
        key = sorted(self._key_of(child), key=folded)
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


def _takers(edits: Mapping[int, Edited], parent: str, names: tuple[str, ...]) -> dict[tuple[str, ...], dict[int, Cells]]:
    """Return who has taken away what, as text: how SQLite compares these columns depends on their types and collations."""
    found: dict[tuple[str, ...], dict[int, Cells]] = {}
    for place, edit in edits.items():
        if edit.table == parent and edit.base and edit.changed & {*names}:
            cells = tuple((name, edit.base.get(name)) for name in names)
            found.setdefault(_as_text(cells), {})[place] = cells
    return found


def _as_text(cells: Cells) -> tuple[str, ...]:
    return tuple(str(value).casefold() for _, value in cells)


def _folded(row: Row | None) -> Row:
    return {folded(name): value for name, value in (row or {}).items()}


def _cells(names: Iterable[str], values: Iterable[object]) -> Cells:
    return tuple(zip(map(folded, names), values, strict=True))
