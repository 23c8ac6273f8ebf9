"""Compare two SQLite files, logically and without any code of lib/: the judge of every round trip.

usage: python3 tests/compare.py A.db B.db     prints every difference; exit status 1 where there is one

Compared: sqlite_master's text, every cell by storage class and bytes, hidden rowids, sqlite_sequence and sqlite_stat,
user_version, application_id, encoding, page_size, auto_vacuum and journal mode.
"""

import sqlite3
import struct
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

PRAGMAS = ("encoding", "user_version", "application_id", "page_size", "auto_vacuum", "journal_mode")
SHOWN = 5
# Functions of the bots in tests/cases/hostile.py without which SQLite does not read their schemas.
BOTS_OWN = ("lower", "match")


def differences(left: Path, right: Path) -> list[str]:
    """Return what differs, as sentences; an empty list means logically identical."""
    a, b = contents(left), contents(right)
    found = [f"{what} only in {left}" for what in a.keys() - b.keys()] + [
        f"{what} only in {right}" for what in b.keys() - a.keys()
    ]
    for what in sorted(a.keys() & b.keys()):
        if a[what] != b[what]:
            found.append(f"{what} differs: {_difference(a[what], b[what])}")
    return found


def contents(path: Path) -> dict[str, object]:
    """Return everything that counts in a file: pragmas and objects by name, rows of each table as a multiset."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        know_the_bots_own(database)
        found = {f"pragma {name}": database.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
        objects = database.execute(
            "SELECT type, CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB), rootpage FROM sqlite_master"
        ).fetchall()
        for kind, name, table, text, rootpage in objects:
            found[f"{kind.decode()} {name!r}"] = (table, text)
            if kind == b"table" and rootpage:
                found[f"rows of {name!r}"] = rows(database, name)
        return found


def know_the_bots_own(database: sqlite3.Connection) -> None:
    for name in BOTS_OWN:
        database.create_function(name, 2, lambda *_: None, deterministic=True)
    database.create_collation("bots_own", lambda left, right: (left > right) - (left < right))


def rows(database: sqlite3.Connection, table: bytes) -> Counter:
    """Return the rows as a multiset; each cell is its storage class and its exact bytes."""
    codec = {b"UTF-8": "utf-8", b"UTF-16le": "utf-16-le", b"UTF-16be": "utf-16-be"}[
        database.execute("PRAGMA encoding").fetchone()[0]
    ]
    name = table.decode(codec, "surrogateescape" if codec == "utf-8" else "strict")
    quoted = '"' + name.replace('"', '""') + '"'
    found = [(row[1].decode("utf-8", "surrogateescape"), row[6]) for row in database.execute(f"PRAGMA table_xinfo({quoted})")]
    columns = [column for column, _ in found]
    # A virtual column (2) is computed when it is read, by functions that may be the bot's.
    cells = ['"' + column.replace('"', '""') + '"' for column, hidden in found if hidden != 2]
    rowid = next((word for word in ("rowid", "_rowid_", "oid") if word not in map(str.lower, columns)), None)
    if rowid:
        try:
            database.execute(f"SELECT {rowid} FROM {quoted} LIMIT 0")
            cells.append(rowid)
        except sqlite3.OperationalError:
            pass  # WITHOUT ROWID
    # A result may have 2,000 columns, and each cell takes two: wide tables are read in parts, side by side.
    parts = [cells[start : start + 900] for start in range(0, len(cells), 900)]
    found = [[tuple(map(_exact, row)) for row in database.execute(_select(part, quoted))] for part in parts]
    return Counter(zip(*found, strict=True))


def _select(cells: list[str], table: str) -> str:
    # sqlite3_column_text would repair broken text; a blob is given as it is.
    wanted = (f"typeof({cell}), iif(typeof({cell}) = 'text', CAST({cell} AS BLOB), {cell})" for cell in cells)
    return f"SELECT {', '.join(wanted)} FROM {table}"


def _exact(value: object) -> object:
    return struct.pack(">d", value) if isinstance(value, float) else value


def _difference(a: object, b: object) -> str:
    if isinstance(a, Counter) and isinstance(b, Counter):
        return f"{sum(a.values())} and {sum(b.values())} rows; only left {list(a - b)[:SHOWN]}; only right {list(b - a)[:SHOWN]}"
    return f"{a!r} and {b!r}"


if __name__ == "__main__":
    found = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(found) or "identical")
    sys.exit(bool(found))
