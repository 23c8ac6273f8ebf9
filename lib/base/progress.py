"""Show how far a long piece of work is: on a terminal one line that is erased at the end, elsewhere a plain line now and then."""

import contextlib
import os
import select
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from lib.base.redact import clean

DRAW_SECONDS = 0.1
SAY_SECONDS = 10
BAR_CELLS = 20
ERASE = "\r\x1b[2K"


class Watcher(Protocol):
    """What a console tells of who is there."""

    is_watched: bool
    is_quiet: bool


class Lines(Protocol):
    """What gives the lines of a COPY; `rows` are those that were read so far."""

    @property
    def rows(self) -> int: ...

    def read(self, size: int, /) -> bytes: ...


class Rows(Protocol):
    """What takes the lines of a COPY."""

    def take(self, lines: list[bytes], /) -> None: ...


_watchers: list[Watcher] = []


def show_to(watcher: Watcher) -> None:
    """From now on show progress where this console is watched."""
    _watchers[:] = [watcher]


def say_waiting(what: str) -> None:
    """Say what holds up the work, also where nobody watches; on stderr, where it is in no answer's way."""
    if not any(watcher.is_quiet for watcher in _watchers):
        print(clean(what), file=sys.stderr, flush=True)


@contextlib.contextmanager
def of_lines(name: str, total: int, lines: Lines) -> Iterator[Lines]:
    """Wrap what gives the lines of a COPY, and show its rows while they travel; whatever happens, the line is erased.

    `total` is 0 where nobody knows it beforehand.
    """
    with _progress(name, total) as progress:
        yield _Given(lines, progress) if progress else lines


@contextlib.contextmanager
def of_rows(name: str, total: int, rows: Rows) -> Iterator[Rows]:
    """Do the same for what takes them."""
    with _progress(name, total) as progress:
        yield _Taken(rows, progress) if progress else rows


@contextlib.contextmanager
def _progress(name: str, total: int) -> Iterator["_Progress | None"]:
    if not any(watcher.is_watched and not watcher.is_quiet for watcher in _watchers):
        yield None
        return
    progress = _Progress(name, total)
    try:
        yield progress
    finally:
        progress.erase()


class _Given:
    def __init__(self, lines: Lines, progress: "_Progress"):
        self._lines, self._progress = lines, progress

    @property
    def rows(self) -> int:
        return self._lines.rows

    def read(self, size: int) -> bytes:
        chunk = self._lines.read(size)
        self._progress.show(self.rows)
        return chunk


class _Taken:
    def __init__(self, rows: Rows, progress: "_Progress"):
        self._rows, self._progress, self._count = rows, progress, 0

    def take(self, lines: list[bytes]) -> None:
        self._rows.take(lines)
        self._count += len(lines)
        self._progress.show(self._count)


class _Progress:
    """One line, drawn again and again on a terminal, said now and then elsewhere."""

    def __init__(self, name: str, total: int):
        self._name, self._total = clean(name), total
        self._rows, self._started = 0, time.monotonic()
        self._is_terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._next = self._started + (0 if self._is_terminal else SAY_SECONDS)
        self._is_drawn = False

    def erase(self) -> None:
        if self._is_drawn and _is_taken():
            print(ERASE, end="", flush=True)

    def show(self, rows: int) -> None:
        self._rows, now = rows, time.monotonic()
        if now < self._next or not _is_taken():
            return
        if self._is_terminal:
            print(ERASE + self._fitting(shutil.get_terminal_size().columns - 1, now), end="", flush=True)
            self._is_drawn, self._next = True, now + DRAW_SECONDS
        else:
            print("  ".join(["  " + self._name, *self._figures(now)]), flush=True)
            self._next = now + SAY_SECONDS

    def _fitting(self, columns: int, now: float) -> str:
        """Return as much as there is room for: the name and the figures first, then the bar."""
        figures = self._figures(now)
        while figures and len("  ".join([self._name, *figures])) > columns:
            figures.pop()
        name = self._name if figures or len(self._name) <= columns else self._name[: columns - 1] + "…"
        line = "  ".join([name, *figures])
        return f"{line}  {self._bar()}" if self._total and len(line) + 2 + BAR_CELLS <= columns else line

    def _figures(self, now: float) -> list[str]:
        rate = self._rows / max(now - self._started, 0.001)
        if not self._total:  # the changed rows are found while they are sent
            return [f"{self._rows:,} rows", f"{rate:,.0f} rows/s"]
        left = _duration((self._total - self._rows) / rate) if rate else "?"
        return [f"{self._rows:,} of {self._total:,} rows", f"{left} left", f"{rate:,.0f} rows/s"]

    def _bar(self) -> str:
        done = min(BAR_CELLS, round(self._rows / self._total * BAR_CELLS))
        if "NO_COLOR" in os.environ:
            return "━" * done + "─" * (BAR_CELLS - done)
        return f"\x1b[32m{'━' * done}\x1b[90m{'━' * (BAR_CELLS - done)}\x1b[0m"


def _is_taken() -> bool:
    """Whether a line is taken at once: whoever stops the terminal with Ctrl-S, or reads in a pager, holds up no transaction."""
    return os.name != "posix" or bool(select.select([], [sys.stdout], [], 0)[1])


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{seconds:02}"
