"""The files that psycopg2's COPY reads from and writes to."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

Take = Callable[[list[bytes]], None]
OwnWork = Callable[[], AbstractContextManager[None]]
Argument = TypeVar("Argument")
Result = TypeVar("Result")
TAKEN_BYTES = 1 << 18


class Readable(Protocol):
    """What gives lines, until it gives nothing."""

    def read(self, size: int, /) -> bytes: ...


class _Guarded:
    """Keeps the exception that our own side of a COPY raised: psycopg2 would only quote it."""

    def __init__(self, own_work: OwnWork):
        self._own_work = own_work
        self.error: BaseException | None = None

    def _guarded(self, call: Callable[[Argument], Result], argument: Argument) -> Result:
        try:
            with self._own_work():
                return call(argument)
        except BaseException as error:
            self.error = error
            raise


class CopyFrom(_Guarded):
    """What COPY FROM reads."""

    def __init__(self, lines: Readable, own_work: OwnWork):
        super().__init__(own_work)
        self._lines = lines

    def read(self, size: int) -> bytes:
        return self._guarded(self._lines.read, size)

    def end(self) -> None:
        """Nothing is left to do: COPY has read to the end."""


class CopyTo(_Guarded):
    """What COPY TO writes, a line a call; they are handed on many at a time."""

    def __init__(self, take: Take, own_work: OwnWork):
        super().__init__(own_work)
        self._take, self._bytes = take, 0
        self._lines: list[bytes] = []

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
        self._guarded(self._take, lines)
