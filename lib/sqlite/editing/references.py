"""Whether foreign keys lead anywhere: SQLite checks them, before rows are edited and after."""

import sqlite3
from collections import Counter
from collections.abc import Iterable

from lib.sqlite.files.names import quoted
from lib.tables.plan import folded

REFERENCES = """SELECT child.name, parent."table" FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS parent
    WHERE child.type = 'table'"""


class References:
    """The rows whose foreign keys led nowhere before, of some tables and of those that refer to them, or of all tables.

    Of the tables that are `unchecked`, folded, SQLite cannot follow the foreign keys.
    """

    def __init__(self, connection: sqlite3.Connection, tables: Iterable[str], are_all_meant: bool):
        self._connection = connection
        meant, known = {*map(folded, tables)}, connection.execute(REFERENCES).fetchall()
        related = {(child, parent) for child, parent in known if are_all_meant or meant & {folded(child), folded(parent)}}
        self._children = sorted({child for child, _ in related})
        self._before: Counter[tuple[object, ...]] = Counter()
        unchecked = {child for child in self._children if not self._note(child)}
        self.unchecked = {folded(name) for pair in related if pair[0] in unchecked for name in pair}
        self._children = [child for child in self._children if child not in unchecked]

    @property
    def are_broken(self) -> bool:
        """Whether any leads nowhere that did not before."""
        return any(Counter(self._lonely(child)) - self._before for child in self._children)

    def _note(self, child: str) -> bool:
        """Note what leads nowhere; whether SQLite can follow the table's foreign keys at all."""
        try:
            self._before.update(self._lonely(child))
            return True
        except sqlite3.OperationalError:
            return False

    def _lonely(self, child: str) -> list[tuple[object, ...]]:
        return self._connection.execute(f"PRAGMA main.foreign_key_check({quoted(child)})").fetchall()
