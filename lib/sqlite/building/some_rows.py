"""Leave only some rows of a table in a rebuilt file."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from lib.sqlite.building import triggers
from lib.sqlite.files import stand_ins
from lib.sqlite.files.functions import codec_of, register
from lib.sqlite.files.names import quoted

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
