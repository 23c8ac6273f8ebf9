"""The plan: which source table and columns go to which mirror, and how each value is written.

The source leads. Where a mirror lacks a table or a column, or is stricter than the source, the plan holds the DDL that mends
it, which the run applies in its own transaction.
"""

import string
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypedDict

from lib.base import printable
from lib.tables.mirror_names import mirror_name
from lib.tables.schema import Column, SchemaObject, Table

ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
MIRROR_TYPES = ("bigint", "text", "double precision", "boolean", "bytea")
# A row's fixed part must fit a page of 8,192 bytes, where even a value that is stored elsewhere takes 18.
MOST_COLUMNS = 400
MOST_KEY_COLUMNS = 32


@dataclass(frozen=True)
class Source:
    """Where one source's rows go on one target, and whether this user may make and alter mirrors there.

    A rehearsal holds nobody off while it sends rows: it merges all of them in the end, and commits nothing.
    """

    name: str
    mirror_schema: str
    may_alter: bool = True
    is_rehearsal: bool = False


@dataclass(frozen=True)
class PlannedColumn:
    """A column, and its mirror's; `mirror_name` is empty where there is no mirror. `is_indexed`: part of an index in Postgres."""

    name: str
    mirror_name: str
    mirror_type: str
    not_null: bool
    is_key: bool
    is_indexed: bool = False
    is_rowid: bool = False


@dataclass(frozen=True)
class TablePlan:
    """Where one table's rows go; where `mirror` is empty, all of them are kept whole in misfit_rows."""

    name: str
    mirror: str
    columns: tuple[PlannedColumn, ...]
    is_internal: bool = False

    @property
    def key(self) -> list[PlannedColumn]:
        return [column for column in self.columns if column.is_key]

    @property
    def key_names(self) -> list[str]:
        """Return the mirror's names of the key."""
        return [column.mirror_name for column in self.key]

    @property
    def only_key(self) -> "TablePlan":
        """Return the plan of the key's columns alone."""
        return replace(self, columns=tuple(self.key))

    @property
    def mirror_columns(self) -> list[str]:
        return [column.mirror_name for column in self.columns]

    @property
    def label(self) -> str:
        """The table's name in the bookkeeping: its own, wherever Postgres can keep it."""
        return mirror_name(self.name)

    @property
    def printable(self) -> str:
        """Return the name as one visible line."""
        return printable.name(self.name)

    def as_json(self) -> dict[str, Any]:
        """Return what is stored: no mirror is null there."""
        return asdict(self) | {"mirror": self.mirror or None}


class _Declared(TypedDict):
    type: str
    not_null: bool


class MirrorColumn(_Declared, total=False):
    """A column of a mirror; its `number` is known where Postgres describes it."""

    number: int


@dataclass(frozen=True)
class Mirror:
    """A table of the mirror schema, as Postgres describes it; `is_watched` where the undo log sees all its changes.

    `unique` are {constraint: its columns}; `oid` names the table and the file that it is in.
    `oddity` says what keeps it from being a mirror, where it is not a plain table of ours.
    """

    name: str
    columns: dict[str, MirrorColumn]
    key: tuple[str, ...]
    unique: dict[str, tuple[str, ...]]
    oid: str = ""
    is_watched: bool = True
    oddity: str = ""


@dataclass
class Plan:
    """`ddl` mends the mirrors of the tables with the labels `mended`."""

    tables: list[TablePlan] = field(default_factory=list)
    ddl: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    mended: set[str] = field(default_factory=set)

    def as_json(self) -> list[dict[str, Any]]:
        return [table.as_json() for table in self.tables]


class Definition(TypedDict):
    """All that a restore needs to know besides the rows; `pragmas` are the schema's and journal_mode."""

    pragmas: dict[str, str | int]
    objects: list[SchemaObject]
    tables: list[dict[str, Any]]


def from_json(tables: list[dict[str, Any]]) -> list[TablePlan]:
    """Return what `as_json` has written; raise KeyError, TypeError or AttributeError where it is something else."""
    return [_table_from_json(**table) for table in tables]


def _table_from_json(mirror: str | None, columns: list[dict[str, Any]], **others: Any) -> TablePlan:
    return TablePlan(mirror=mirror or "", columns=tuple(PlannedColumn(**column) for column in columns), **others)


def planned(table: Table, mirror: Mirror | None) -> TablePlan:
    """Match a source table with a mirror that has all its columns; None keeps the table whole."""
    if mirror is None:
        return TablePlan(table.name, "", tuple(map(_kept_whole, table.columns)), table.is_internal)
    return TablePlan(table.name, mirror.name, tuple(_matched(column, mirror) for column in table.columns))


def find(name: str, names: Iterable[str]) -> str:
    """Return the mirror's name for a source's: the same, or the same but for ASCII case, which is what SQLite ignores.

    It is empty where there is none, or more than one.
    """
    if name in names:
        return name
    alike = [other for other in names if folded(other) == folded(name)]
    return alike[0] if len(alike) == 1 else ""


def folded(name: str) -> str:
    """Return the name as SQLite compares it: it ignores the case of ASCII letters only."""
    return name.translate(ASCII_LOWER)


def _kept_whole(column: Column) -> PlannedColumn:
    return PlannedColumn(column.name, "", "text", not_null=False, is_key=False, is_rowid=column.is_rowid)


def _matched(column: Column, mirror: Mirror) -> PlannedColumn:
    name = find(mirror_name(column.name), mirror.columns)
    kind, not_null = mirror.columns[name]["type"], mirror.columns[name]["not_null"]
    is_indexed = name in mirror.key or any(name in unique for unique in mirror.unique.values())
    return PlannedColumn(column.name, name, kind, not_null, name in mirror.key, is_indexed, column.is_rowid)
