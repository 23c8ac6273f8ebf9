"""The files that psycopg2's COPY reads from and writes to."""

import contextlib
from collections.abc import Callable
from typing import Any

Take = Callable[[list[bytes]], None]
TAKEN_BYTES = 1 << 18


class _Guarded:
    """Keeps the exception that our own side of a COPY raised: psycopg2 would only quote it."""

    def __init__(self, own_work: Callable[[], contextlib.AbstractContextManager]):
        self._own_work, self.error = own_work, None

    def _kept(self, call: Callable, argument: Any) -> Any:
        try:
            with self._own_work():
                return call(argument)
        except BaseException as error:
            self.error = error
            raise


class CopyFrom(_Guarded):
    """What COPY FROM reads."""

    def __init__(self, lines: Any, own_work: Callable[[], contextlib.AbstractContextManager]):
        super().__init__(own_work)
        self._lines = lines

    def read(self, size: int) -> bytes:
        return self._kept(self._lines.read, size)

    def end(self) -> None:
        """Nothing is left to do: COPY has read to the end."""


class CopyTo(_Guarded):
    """What COPY TO writes, a line a call; they are handed on many at a time."""

    def __init__(self, take: Take, own_work: Callable[[], contextlib.AbstractContextManager]):
        super().__init__(own_work)
        self._take, self._lines, self._bytes = take, [], 0

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= TAKEN_BYTES:
            self._hand_on()

    def end(self) -> None:
        if self._lines:
            self._hand_on()

    def _hand_on(self) -> None:
        lines, self._lines, self._bytes = self._lines, [], 0
        self._kept(self._take, lines)
