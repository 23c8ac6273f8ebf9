"""What a script prints to: a reader who goes away, or a disk that is full, stops what is printed, and nothing else."""

import io
import json
import os
import select
import sys
from typing import Any, TextIO

answered: list[None] = []  # whether the one object of --json was printed


def prepare() -> None:
    """Replace the three streams by such that nothing fails which only wants to print, or to ask."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # started with `>&-`: never closed, or the next file would get its number, and what is printed
            stream = open(os.open(os.devnull, os.O_RDWR), mode, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream if mode == "r" else _forgiving(stream))


def answer(told: dict[str, Any]) -> None:
    """Print the one object of `--json`."""
    answered.append(None)
    print(json.dumps(told), flush=True)


def answer_failed(what: str, remedy: str) -> None:
    """Print the object of a script that ends before it has printed one; nobody may have read the flags yet."""
    if "--json" in sys.argv and not answered:
        answer({"outcome": "failed", "error": what, "try": remedy})


def _forgiving(stream: TextIO) -> TextIO:
    # A terminal that is not UTF-8 must not stop a restore either.
    raw = io.BufferedWriter(_Forgiving(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=True)


class _Forgiving(io.FileIO):
    """A file that takes whatever is written: what the system does not take from it is dropped."""

    def write(self, text: bytes) -> int:  # type: ignore[override]  # any buffer
        try:
            while (written := super().write(text)) is None:  # whoever started us does not want to wait; we do
                select.select([], [self], [])
            return written
        except OSError:
            return len(text)
