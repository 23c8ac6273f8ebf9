"""Whether foreign keys lead anywhere: SQLite checks them, before rows are edited and after."""

import sqlite3
from collections.abc import Iterable

from lib.sqlite.files.names import quoted
from lib.tables.plan import folded

Lonely = set[tuple[object, ...]]


class References:
    """The rows of some tables, and of those that refer to them, whose foreign keys led nowhere before."""

    def __init__(self, connection: sqlite3.Connection, tables: Iterable[str]):
        self._connection = connection
        known = connection.execute(
            'SELECT child.name, parent."table" FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS parent '
            "WHERE child.type = 'table'"
        ).fetchall()
        meant = {*map(folded, tables)}
        self._children = sorted({child for child, parent in known if meant & {folded(child), folded(parent)}})
        self._before = self._lonely()

    @property
    def are_broken(self) -> bool:
        """Whether any leads nowhere that did not before."""
        return not self._lonely() <= self._before

    def _lonely(self) -> Lonely:
        return {row for child in self._children for row in self._lonely_in(child)}

    def _lonely_in(self, child: str) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(f"PRAGMA main.foreign_key_check({quoted(child)})").fetchall()
        except sqlite3.OperationalError:  # a foreign key that SQLite itself cannot follow
            return []
