"""A present table and the same one in a rebuilt file, which is attached: which of their columns and rows belong together."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.base import printable
from lib.base.errors import UNTOUCHED, Problem
from lib.sqlite.files import read_schema as schemas
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_as_it_is
from lib.tables.plan import folded
from lib.tables.schema import Table

# Text and blobs, 1 and 1.0, and 0.0 and -0.0 are different; no collation is asked.
CELL = """CASE typeof({c}) WHEN 'real' THEN 'real ' || real_bits({c}) WHEN 'blob' THEN 'blob ' || hex({c})
    WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END"""


@dataclass(frozen=True)
class Pair:
    """The present table and the rebuilt one, with the columns that they share: those to write, those to read."""

    now: Table
    then: Table
    written: list[str]
    read: list[str]
    is_declared_alike: bool

    @property
    def key(self) -> list[tuple[str, str]]:
        """Return the key that the rows had then, as both tables call it."""
        return [(ours, theirs) for ours, theirs in zip(self.written, self.read, strict=True) if theirs in self.then.key]

    @property
    def is_same(self) -> str:
        """Return the condition that `ours`, a present row, and `theirs`, a rebuilt one, have the same key."""
        return " AND ".join(f"ours.{quoted(ours)} = theirs.{quoted(theirs)}" for ours, theirs in self.key)

    @property
    def is_there(self) -> str:
        """Return the condition that a rebuilt row has the key of `ours`."""
        return f"EXISTS (SELECT 1 FROM {self.theirs} WHERE {self.is_same})"

    @property
    def ours(self) -> str:
        return f"main.{quoted(self.now.name)} AS ours"

    @property
    def theirs(self) -> str:
        return f"rebuilt.{quoted(self.then.name)} AS theirs"

    @property
    def insert(self) -> str:
        rows = f"SELECT {listed(self.read)} FROM rebuilt.{quoted(self.then.name)}"
        return f"INTO main.{quoted(self.now.name)} ({listed(self.written)}) {rows}"

    @property
    def warnings(self) -> list[str]:
        lost = [column.name for column in self.then.columns if column.name not in self.read and not column.is_rowid]
        new = [column.name for column in self.now.columns if column.name not in self.written and not column.is_rowid]
        said = [(lost, "not brought back, because the present table does not store it"), (new, "new, and has its default")]
        return [f"{self.now.printable}.{printable.name(name)} is {what}." for names, what in said for name in names]

    def refusal(self, reason: str, rows: str = "") -> Problem:
        """Return why the present table does not take its rows of then; `rows` says which."""
        return Problem(
            f"the present table {self.now.printable} does not take its rows of then ({printable.name(reason)}){rows}.",
            "rebuild them elsewhere, and bring over what you need:  python3 restore.py --to FOLDER",
            UNTOUCHED,
        )


def of(connection: sqlite3.Connection, rebuilt: Path, name: str) -> Pair:
    """Return the pair of a table, however its name is written; raise Problem where there is none."""
    with contextlib.closing(open_as_it_is(rebuilt)) as other:
        then, declared_then = _table(other, name)
        readable = [column for _, column, *_ in other.execute(f"PRAGMA table_xinfo({quoted(name)})")]
    now, declared_now = _table(connection, name)
    if not now or not then:
        what = f"there is no table {printable.name(name)} in the present database."
        raise Problem(what, "restore the whole database instead, or elsewhere:  python3 restore.py --to FOLDER", UNTOUCHED)
    by_name = {folded(column): column for column in readable}
    rowid = next((column.name for column in then.columns if column.is_rowid), None)
    known = [(column.name, rowid if column.is_rowid else by_name.get(folded(column.name))) for column in now.columns]
    shared = [(ours, theirs) for ours, theirs in known if theirs]
    if not shared:
        raise Problem(f"{now.printable} has no column that it had then.", "python3 restore.py --to FOLDER", UNTOUCHED)
    written, read = map(list, zip(*shared, strict=True))
    return Pair(now, then, written, read, declared_now == declared_then)


def _table(connection: sqlite3.Connection, name: str) -> tuple[Table | None, str]:
    """Return the bot's table of that name, however it is written, with its declaration."""
    schema = schemas.read(connection)
    table = next((table for table in schema.own_tables if folded(table.name) == folded(name)), None)
    entries = (entry for entry in schema.objects if table and (entry["type"], entry["name"]) == ("table", table.name))
    return table, next((entry["sql"] or "" for entry in entries), "")


def attach(connection: sqlite3.Connection, rebuilt: Path) -> None:
    """Attach the rebuilt file; raise Problem where SQLite cannot have both."""
    try:
        connection.execute("ATTACH ? AS rebuilt", [str(rebuilt)])
    except sqlite3.OperationalError as error:  # as where the one is UTF-8, and the other UTF-16
        what = f"no single table can be put back into the present database: {error}."
        raise Problem(
            what, "restore the whole database instead, or elsewhere:  python3 restore.py --to FOLDER", UNTOUCHED
        ) from error


@contextlib.contextmanager
def written(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of it in one transaction, or nothing."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def cells(names: Sequence[str], table: str = "") -> str:
    """Return these columns in the form in which they are compared."""
    place = f"{table}." if table else ""
    return ", ".join(CELL.format(c=f"{place}{quoted(name)}") for name in names)


def listed(names: Sequence[str]) -> str:
    """Return quoted names."""
    return ", ".join(map(quoted, names))
