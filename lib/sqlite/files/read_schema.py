"""Read the schema of a SQLite file: its objects word for word, its tables with their columns and keys, its pragmas."""

import itertools
import sqlite3

from lib.base import printable
from lib.sqlite.files.functions import as_text
from lib.sqlite.files.names import quoted
from lib.tables.schema import Column, Schema, SchemaObject, Table

# What a file carries besides rows and objects, in the order in which a new file must be given it.
PRAGMAS = ("page_size", "encoding", "auto_vacuum", "user_version", "application_id")
# What table_xinfo says of generated columns: one is computed when it is read, the other when a row is written.
VIRTUAL, STORED = 2, 3
ROWID_NAMES = ("rowid", "_rowid_", "oid")


class Unsayable(sqlite3.DatabaseError):
    """A name that is no text: Python's sqlite3 cannot say it in SQL. It is no damage, SQLite allows it."""


def read(connection: sqlite3.Connection) -> Schema:
    """Read the whole schema; text that is not UTF-8 is kept with surrogate escapes.

    Raise Unsayable for the name of a table or a column that cannot be used: those of other objects need not be.
    """
    connection.text_factory = as_text
    objects: list[SchemaObject] = [
        {"type": kind, "name": name, "table": table, "is_virtual": kind == "table" and not rootpage, "sql": sql}
        for kind, name, table, rootpage, sql in connection.execute(
            "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY rowid"
        )
    ]
    names = [entry["name"] for entry in objects if entry["type"] == "table" and not entry["is_virtual"]]
    _refuse_unsayable("table", names)
    tables = [_table(connection, name) for name in names]
    for table in tables:
        _refuse_unsayable(f"column of {table.printable}", [column.name for column in table.columns])
    return Schema(objects, tables, {pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in PRAGMAS})


def _refuse_unsayable(what: str, names: list[str]) -> None:
    for name in names:
        if printable.is_no_text(name):
            raise Unsayable(f"a {what} has a name that is not UTF-8: {printable.name(name)}")


def _table(connection: sqlite3.Connection, name: str) -> Table:
    described = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
    columns = [Column(column, kind, bool(not_null)) for _, column, kind, not_null, _, _, hidden in described if hidden != VIRTUAL]
    by_position = sorted((position, column) for _, column, _, _, _, position, _ in described if position)
    key = tuple(column for _, column in by_position)
    rowid = _hidden_rowid(connection, name, bool(key), [column for _, column, *_ in described])
    if rowid:
        columns.append(Column(rowid, "INTEGER", True, True))
    return Table(name, tuple(columns), key or ((rowid,) if rowid else ()), _unique(connection, name))


def _hidden_rowid(connection: sqlite3.Connection, table: str, has_key: bool, columns: list[str]) -> str:
    """Return the name by which the table's rowid can be read; it is empty where that is a column, missing, or out of reach.

    An INTEGER PRIMARY KEY is the rowid itself: such a key has no index.
    """
    is_column = has_key and not _key_index(connection, table)
    if is_column or is_without_rowid(connection, table):
        return ""
    taken = {column.lower() for column in columns}
    return next((name for name in ROWID_NAMES if name not in taken), "")


def is_without_rowid(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a table is its key's index: that one is not in sqlite_master."""
    index = _key_index(connection, table)
    return bool(index) and not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [index]).fetchone()


def is_rowid(connection: sqlite3.Connection, table: str, columns: list[str]) -> bool:
    """Whether these columns are a table's INTEGER PRIMARY KEY, which is the rowid itself."""
    key = connection.execute("SELECT name FROM pragma_table_info(?, 'main') WHERE pk ORDER BY pk", [table]).fetchall()
    return [name for (name,) in key] == columns and not _key_index(connection, table)


def _key_index(connection: sqlite3.Connection, table: str) -> str:
    # Of the others, a name may be no text.
    found = connection.execute("SELECT name FROM pragma_index_list(?, 'main') WHERE origin = 'pk'", [table]).fetchone()
    return str(found[0]) if found else ""


def _unique(connection: sqlite3.Connection, table: str) -> tuple[tuple[str, ...], ...]:
    """Return the columns of every unique constraint and index that covers all rows and no expression."""
    indexed = connection.execute(
        """SELECT list.seq, info.name FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info
        WHERE list."unique" AND NOT list.partial ORDER BY list.seq DESC, info.seqno""",
        [table],
    )
    columns = [tuple(name for _, name in part) for _, part in itertools.groupby(indexed, key=lambda row: row[0])]
    return tuple(names for names in columns if None not in names)


def sorted_objects(connection: sqlite3.Connection) -> list[tuple[bytes | None, ...]]:
    """Return every object as (type, name, table, SQL), byte for byte, in an order that does not depend on when it was created."""
    cells = ", ".join(f"CAST({cell} AS BLOB)" for cell in ("type", "name", "tbl_name", "sql"))
    return sorted(connection.execute(f"SELECT {cells} FROM sqlite_master").fetchall(), key=repr)
