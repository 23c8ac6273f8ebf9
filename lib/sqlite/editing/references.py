"""Whether foreign keys lead anywhere: SQLite checks them, before rows are edited and after."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping

from lib.sqlite.files.names import quoted
from lib.tables.plan import folded

REFERENCES = """SELECT child.name, parent."table" FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS parent
    WHERE child.type = 'table'"""


class References:
    """The rows whose foreign keys led nowhere before, of some tables and of those that refer to them, or of all tables.

    `related` are all these tables, folded; of those that are `unchecked` nobody can tell: SQLite cannot follow their foreign
    keys, or does not say of which row without a rowid it speaks.
    """

    def __init__(self, connection: sqlite3.Connection, tables: Iterable[str], are_all_meant: bool):
        self._connection = connection
        meant, known = {*map(folded, tables)}, connection.execute(REFERENCES).fetchall()
        pairs = {(child, parent) for child, parent in known if are_all_meant or meant & {folded(child), folded(parent)}}
        self._before: Counter[tuple[object, ...]] = Counter()
        unchecked = {child for child in {child for child, _ in pairs} if not self._note(child)}
        self.related = {folded(name) for pair in pairs for name in pair}
        self.unchecked = {folded(name) for pair in pairs if pair[0] in unchecked for name in pair}
        self._children = sorted({child for child, _ in pairs} - unchecked)
        self._were_lonely = {folded(str(child)) for child, *_ in self._before}

    @property
    def are_broken(self) -> bool:
        """Whether any leads nowhere that did not before."""
        return any(Counter(self._lonely(child)) - self._before for child in self._children)

    def is_lonely(self, table: str, written: Mapping[str, object]) -> bool:
        """Whether what is written to a row leads nowhere, where the table had such rows before: it may be one of them."""
        if folded(table) not in self._were_lonely:
            return False
        keys = self._connection.execute(f"PRAGMA main.foreign_key_list({quoted(table)})").fetchall()
        columns = {folded(name): value for name, value in written.items()}
        return any(self._leads_nowhere([key for key in keys if key[0] == number], columns) for number in {key[0] for key in keys})

    def _leads_nowhere(self, parts: list[tuple[str, ...]], columns: Mapping[str, object]) -> bool:
        ours = [folded(part[3]) for part in parts]
        if not {*ours} & columns.keys():
            return False
        values = [columns.get(name) for name in ours]
        if not {*ours} <= columns.keys():
            return True  # one part alone was written: nobody looks for the others
        parent = str(parts[0][2])
        theirs = [part[4] for part in parts] if parts[0][4] else self._key_of(parent)
        found = " AND ".join(f"{quoted(name)} = ?" for name in theirs)
        query = f"SELECT 1 FROM main.{quoted(parent)} WHERE {found}"
        return None not in values and not self._connection.execute(query, values).fetchone()

    def _key_of(self, table: str) -> list[str]:
        return [row[1] for row in self._connection.execute(f"PRAGMA main.table_info({quoted(table)})") if row[5]]

    def _note(self, child: str) -> bool:
        """Note what leads nowhere; whether anybody can tell what does so later."""
        try:
            lonely = self._lonely(child)
        except sqlite3.OperationalError:
            return False
        self._before.update(lonely)
        return all(rowid is not None for _, rowid, *_ in lonely)

    def _lonely(self, child: str) -> list[tuple[object, ...]]:
        return self._connection.execute(f"PRAGMA main.foreign_key_check({quoted(child)})").fetchall()
