"""Some rows of a table: only these are left in a rebuilt file, and put back into the present table, each in its own place."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lib.base.errors import UNTOUCHED, Problem
from lib.sqlite.building import table_pair, triggers, untyped_table
from lib.sqlite.building.table_pair import Pair
from lib.sqlite.files import stand_ins
from lib.sqlite.files.functions import as_text, codec_of, register
from lib.sqlite.files.names import quoted
from lib.tables.values import Row, are_same

Change = tuple[Row | None, Row]

# A text may be none, and its bytes are those of the database's encoding.
CELL = "typeof({c}), CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END"


def leave(
    path: Path, table: str, columns: Sequence[str], is_wanted: Callable[[Sequence[object]], bool], missing: list[str]
) -> int:
    """Delete the rows whose values in `columns` are not wanted, and return how many are left; no trigger runs."""
    with triggers.taken_out(path), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        register(connection)
        codec = codec_of(connection)

        def judge(*cells: object) -> bool:
            pairs = zip(cells[::2], cells[1::2], strict=True)
            return is_wanted([str(cell, codec, "surrogateescape") if kind == "text" else cell for kind, cell in pairs])  # type: ignore[call-overload]

        connection.create_function("is_wanted", -1, judge)
        cells = ", ".join(CELL.format(c=quoted(name)) for name in columns)
        stand_ins.tried(
            connection, lambda: connection.execute(f"DELETE FROM {quoted(table)} WHERE NOT is_wanted({cells})"), missing
        )
        count: int
        (count,) = connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()
    return count


def matched(connection: sqlite3.Connection, pair: Pair) -> Pair:
    """Return the pair without a hidden rowid; raise Problem where nobody can tell which row is which.

    A table that is declared otherwise may compare, convert or name its rows otherwise.
    """
    hidden = {column.name for column in pair.then.columns if column.is_rowid}
    shared = [(ours, theirs) for ours, theirs in zip(pair.written, pair.read, strict=True) if theirs not in hidden]
    written, read = map(list, zip(*shared, strict=True))
    pair = replace(pair, written=written, read=read)
    reason = "is declared otherwise than then" if not pair.is_declared_alike else "has no key" if not pair.key else ""
    if not reason and _has_null(connection, pair):
        reason = "has NULL in a key, which may be there several times"
    if reason:
        what = f"some rows cannot be put back by themselves: the present table {pair.now.printable} {reason}."
        raise Problem(what, "put back the whole table, without --where, or look in another folder, with --to", UNTOUCHED)
    return pair


def _has_null(connection: sqlite3.Connection, pair: Pair) -> bool:
    is_null = " OR ".join(f"{quoted(theirs)} IS NULL" for _, theirs in pair.key)
    return bool(connection.execute(f"SELECT 1 FROM {pair.theirs} WHERE {is_null} LIMIT 1").fetchone())


def changes(connection: sqlite3.Connection, pair: Pair) -> list[Change]:
    """Return the rows to put back that are not there, or are otherwise: as they are now, if they are, and as they were."""
    now = ", ".join(f"ours.{quoted(name)}" for name in pair.written)
    then = ", ".join(f"theirs.{quoted(name)}" for name in pair.read)
    query = f"""SELECT EXISTS (SELECT 1 FROM {pair.ours} WHERE {pair.is_same}), {now}, {then}
        FROM {pair.theirs} LEFT JOIN {pair.ours} ON {pair.is_same}"""
    connection.text_factory = as_text
    found = connection.execute(query).fetchall()
    connection.text_factory = str
    width = len(pair.written) + 1
    pairs = ((dict(zip(pair.written, cells, strict=True)) for cells in (row[1:width], row[width:])) for row in found)
    rows = [(now if row[0] else None, then) for row, (now, then) in zip(found, pairs, strict=True)]
    return [(now, then) for now, then in rows if now is None or not are_same(now, then)]


def replaced(connection: sqlite3.Connection, pair: Pair) -> int:
    """Change the rows that are there, which keep their rowid, and add the others; raise Problem where the table refuses one."""
    computed = untyped_table.computed(connection, pair.now.name)
    shared = [(ours, theirs) for ours, theirs in zip(pair.written, pair.read, strict=True) if ours not in computed]
    written, read = table_pair.listed([name for name, _ in shared]), ", ".join(f"theirs.{quoted(name)}" for _, name in shared)
    otherwise = f"({table_pair.cells(pair.written, 'ours')}) IS NOT ({table_pair.cells(pair.read, 'theirs')})"
    values = f"SELECT {read} FROM {pair.theirs} WHERE {pair.is_same}"
    differs = f"EXISTS ({values} AND {otherwise})"
    missing = f"SELECT {read} FROM {pair.theirs} WHERE NOT EXISTS (SELECT 1 FROM {pair.ours} WHERE {pair.is_same})"
    try:
        with table_pair.written(connection):
            connection.execute(f"UPDATE OR ABORT {pair.ours} SET ({written}) = ({values}) WHERE {differs}")
            connection.execute(f"INSERT OR ABORT INTO main.{quoted(pair.now.name)} ({written}) {missing}")
    except sqlite3.IntegrityError as error:
        raise pair.refusal(str(error)) from error
    rows: int
    (rows,) = connection.execute(f"SELECT count(*) FROM {pair.theirs}").fetchone()
    return rows
