"""Rows as a CSV file: text is quoted, bytes are in hexadecimal, and of NULL there is nothing."""

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from lib.tables.values import Value, as_text


def new_file(path: Path) -> TextIO:
    """Open a file that must not be there yet, for whoever runs this alone; text has the bytes that it had."""
    own = functools.partial(os.open, mode=0o600)
    return open(path, "x", encoding="utf-8", errors="surrogateescape", newline="", opener=own)


def write(path: Path, names: Sequence[str], rows: Iterable[Iterable[Value]]) -> None:
    """Write rows below the names of their columns; raise OSError, as where the file is there already."""
    with new_file(path) as file:
        file.write(_line(names))
        file.writelines(map(_line, rows))


def _line(values: Iterable[Value]) -> str:
    return f"{','.join(map(_cell, values))}\n"


def _cell(value: Value) -> str:
    if isinstance(value, int | float):
        return repr(value)
    return "" if value is None else '"{}"'.format(as_text(value).replace('"', '""'))
