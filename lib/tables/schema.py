"""The schema of a SQLite file: its objects word for word, its tables with their columns and keys, its pragmas."""

from dataclasses import dataclass
from typing import TypedDict

from lib.base import printable


@dataclass(frozen=True)
class Column:
    """A column that is stored, also where it was computed, or the hidden rowid of a table that has no other name for it."""

    name: str
    declared_type: str
    not_null: bool = False
    is_rowid: bool = False


@dataclass(frozen=True)
class Table:
    """A table with rows of its own; `key` names its primary key or rowid, `unique` other columns that are unique together."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...] = ()

    @property
    def is_internal(self) -> bool:
        """SQLite's own tables: counters and statistics."""
        return self.name.lower().startswith("sqlite_")

    @property
    def printable(self) -> str:
        """Return the name as one visible line."""
        return printable.name(self.name)


class SchemaObject(TypedDict):
    """A row of sqlite_master: `type` is table, index, view or trigger; `sql` is None for the index of a constraint."""

    type: str
    name: str
    table: str
    is_virtual: bool
    sql: str | None


@dataclass(frozen=True)
class Schema:
    """`objects` are in the order in which they were made; `pragmas` are {name: value}."""

    objects: list[SchemaObject]
    tables: list[Table]
    pragmas: dict[str, str | int]

    @property
    def own_tables(self) -> list[Table]:
        """Return the tables that the bot made."""
        return [table for table in self.tables if not table.is_internal]
