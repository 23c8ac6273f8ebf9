"""Stop on a signal within two seconds, also inside a call that Python's handlers cannot reach: libpq's, SQLite's, the system's.

A handler runs in the main thread, between two of its own steps. So a thread that the signal itself wakes cuts the connection
that is being waited for, which lets the main thread clean up; where that is not enough, it ends the script. Postgres rolls back.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn, Protocol

from lib.base import streams
from lib.base.errors import Interrupted

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
GRACE_SECONDS = 1.5
LOOK_SECONDS = 2.0


class Link(Protocol):
    """A connection that can be told to stop from another thread."""

    def cut(self) -> None: ...

    def end_if_silent(self) -> float: ...


links: set[Link] = set()
_asked: list[int] = []
_held: list[None] = []
_said: list[int] = []
_last_word = threading.Lock()
_last_words: list[Callable[[int], None]] = []
_sockets: list[socket.socket] = []  # the wakeup descriptor must stay open


def on_signals() -> None:
    """From now on a signal raises Interrupted in the main thread."""
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    _sockets.append(wakes)
    for number in SIGNALS:
        signal.signal(number, _ask)
    sys.excepthook = _quiet(sys.excepthook, lambda kind, *_: kind)
    sys.unraisablehook = _quiet(sys.unraisablehook, lambda unraisable: unraisable.exc_type)
    threading.Thread(target=_watch, args=(woken,), daemon=True).start()


def at_once() -> None:
    """Until there is anything to clean up, a signal ends the script on the spot."""

    def end(number: int, _frame: object) -> NoReturn:
        say_goodbye(number)
        os._exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, end)


def forget_signals() -> None:
    """The work is done and its status is known; nothing may disturb the exit."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def leave(number: int) -> NoReturn:
    """End with the exit status of a script that a signal has stopped."""
    say_goodbye(number)
    end(128 + number)


def end(status: int) -> NoReturn:
    """End without the interpreter's own cleaning up: it takes its time, and may wait for threads in the middle of something."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(status)


def _ask(number: int, _frame: object) -> None:
    is_first = not _asked
    _asked.append(number)
    if is_first and not _held:  # a second signal must not break into the cleaning up
        raise Interrupted(number)


def check() -> None:
    """Raise Interrupted where a signal came that could not be heard: SQLite swallows what is raised in its callbacks."""
    if _asked:
        raise Interrupted(_asked[0])


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let a few system calls that belong together be finished before a signal is heard."""
    _held.append(None)
    try:
        yield
    finally:
        _held.pop()
    check()


@contextlib.contextmanager
def last_word(say: Callable[[int], None]) -> Iterator[None]:
    """While this lasts, `say` is done, given the signal, before a script that was stopped ends; what began last comes first."""
    _last_words.append(say)
    try:
        yield
    except Exception:  # after an interruption it is yet to be said
        _last_words.remove(say)
        raise
    _last_words.remove(say)


def _quiet(hook: Callable[..., object], kind_of: Callable[..., object]) -> Callable[..., None]:
    """Print nothing of an interruption that C code has swallowed, as psycopg2 may; `_end` ends the script then."""

    def print_others(*raised: object) -> None:
        if kind_of(*raised) is not Interrupted:
            hook(*raised)

    return print_others


def _watch(woken: socket.socket) -> None:
    pause = LOOK_SECONDS
    while True:
        if select.select([woken], [], [], pause)[0]:
            number = woken.recv(1)[0]
            if number in SIGNALS:
                _end(number)
        pause = min([LOOK_SECONDS, *(link.end_if_silent() for link in list(links))])


def _end(number: int) -> NoReturn:
    for link in list(links):
        link.cut()
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline or _held:
        time.sleep(0.02)
    say_goodbye(number)
    os._exit(128 + number)


def say_goodbye(number: int) -> None:
    """Print the one line, once, and what machines read."""
    with _last_word:
        if not _said:
            name = signal.Signals(number).name
            print(f"Stopped by {name}; what was not finished was rolled back.", file=sys.stderr, flush=True)
            _said.append(number)
            with contextlib.suppress(OSError):
                streams.answer_failed(f"stopped by {name}.", "run it again")
            for say in reversed(_last_words):
                with contextlib.suppress(Exception):
                    say(number)
