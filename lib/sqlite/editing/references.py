"""Whether foreign keys lead anywhere: SQLite checks them, before rows are edited and after."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from lib.sqlite.editing.change import Change
from lib.sqlite.files.names import quoted
from lib.tables.plan import folded

REFERENCES = """SELECT child.name, parent."table" FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS parent
    WHERE child.type = 'table'"""
Cells = tuple[tuple[str, object], ...]


class Lonely(NamedTuple):
    """A row of `child` whose foreign key leads nowhere, by its key, and what it has `sought` in the columns of `parent`.

    Names are folded; all that nobody can tell is empty.
    """

    child: str
    key: Cells
    parent: str
    sought: Cells

    def is_by(self, change: Change) -> bool:
        """Whether it may be this change that has made it so: it has written the row, or taken away what the row looks for."""
        table, base, theirs = folded(change.table.name), _folded(change.base), _folded(change.theirs)
        if theirs and self.key and table == self.child and all(theirs.get(name) == value for name, value in self.key):
            return True
        was_it = base and self.sought and all(str(base.get(name)) == str(value) for name, value in self.sought)
        return bool(table == self.parent and was_it and any(theirs.get(name) != base[name] for name, _ in self.sought))


def _folded(row: dict[str, object] | None) -> dict[str, object]:
    return {folded(name): value for name, value in (row or {}).items()}


class References:
    """The rows whose foreign keys led nowhere before, of some tables and of those that refer to them, or of all tables.

    `related` are all these tables, folded; of those that are `unchecked` nobody can tell: SQLite cannot follow their keys.
    """

    def __init__(self, connection: sqlite3.Connection, tables: Iterable[str], are_all_meant: bool):
        self._connection = connection
        meant, known = {*map(folded, tables)}, connection.execute(REFERENCES).fetchall()
        pairs = {(child, parent) for child, parent in known if are_all_meant or meant & {folded(child), folded(parent)}}
        self._before: Counter[Lonely] = Counter()
        unchecked = {child for child in {child for child, _ in pairs} if not self._note(child)}
        self.related = {folded(name) for pair in pairs for name in pair}
        self.unchecked = {folded(name) for pair in pairs if pair[0] in unchecked for name in pair}
        self._children = sorted({child for child, _ in pairs} - unchecked)

    def broken(self) -> list[Lonely]:
        """Return the rows whose foreign keys lead nowhere, and did not before, or not there."""
        return [row for child in self._children for row in Counter(self._lonely(child)) - self._before]

    def _note(self, child: str) -> bool:
        """Note what leads nowhere; whether anybody can tell what does so later."""
        try:
            self._before.update(self._lonely(child))
        except sqlite3.OperationalError:
            return False
        return True

    def _lonely(self, child: str) -> list[Lonely]:
        """Ask SQLite whether there are any, and only then which: of a table without a rowid it does not say that."""
        many = len(self._connection.execute(f"PRAGMA main.foreign_key_check({quoted(child)})").fetchall())
        if not many:
            return []
        keys = self._connection.execute(f"PRAGMA main.foreign_key_list({quoted(child)})").fetchall()
        parts = [[key for key in keys if key[0] == number] for number in {key[0] for key in keys}]
        found = [row for part in parts for row in self._without_parent(child, part)]
        return found if len(found) == many else [Lonely(child, (), "", (("", many),))]

    def _without_parent(self, child: str, parts: list[tuple[str, ...]]) -> list[Lonely]:
        """Return the rows of which one foreign key, as SQLite lists its parts, leads nowhere: it compares as the parent would."""
        parent, key, ours = str(parts[0][2]), self._key_of(child), [part[3] for part in parts]
        theirs = [part[4] for part in parts] if parts[0][4] else self._key_of(parent)
        conditions = [f"child.{quoted(name)} IS NOT NULL" for name in ours]
        if self._columns(parent):
            same = [f"parent.{quoted(to)} = +child.{quoted(name)}" for name, to in zip(ours, theirs, strict=True)]
            conditions.append(f"NOT EXISTS (SELECT 1 FROM main.{quoted(parent)} AS parent WHERE {' AND '.join(same)})")
        places = ", ".join(f"child.{quoted(name)}" for name in [*key, *ours])
        query = f"SELECT {places} FROM main.{quoted(child)} AS child WHERE {' AND '.join(conditions)}"
        rows = [(row[: len(key)], row[len(key) :]) for row in self._connection.execute(query)]
        return [Lonely(folded(child), _cells(key, its), folded(parent), _cells(theirs or ours, sought)) for its, sought in rows]

    def _key_of(self, table: str) -> list[str]:
        return [row[1] for row in sorted(self._columns(table), key=lambda row: row[5]) if row[5]]

    def _columns(self, table: str) -> list[tuple[str, ...]]:
        return self._connection.execute(f"PRAGMA main.table_info({quoted(table)})").fetchall()


def _cells(names: Iterable[str], values: Iterable[object]) -> Cells:
    return tuple(zip(map(folded, names), values, strict=True))
