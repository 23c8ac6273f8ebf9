"""The line to a server: who waits for whom on it, how it is cut from another thread, and what has travelled.

Everything that waits for the server waits in `call`; what has not answered for too long, or is no longer wanted when a signal
comes, is shut by the thread that watches (lib/base/stopping.py), and the server rolls back.
"""

import contextlib
import math
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import make_dsn

from lib import __version__
from lib.base import stopping
from lib.base.errors import MayPass
from lib.base.words import age
from lib.postgres.link import not_connected
from lib.postgres.link.explain import statement_problem
from lib.settings import limits
from lib.settings.targets import TargetSettings

# A silent network is noticed after 30 + 3 × 10 seconds without an answer, data that nobody takes after 60.
KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# In a COPY such data may wait longer: a server whose disk is slow, or a pooler, stops reading for minutes.
COPY_TIMEOUT = 300_000


class Line:
    """A connection that can be cut, and made anew; `round_trips` are those of all its connections."""

    def __init__(self, settings: TargetSettings, schema: str):
        self._settings, self._schema = settings, schema
        self.round_trips = 0
        self._wire_bytes = (0, 0)
        self._heard_at: float | None = None
        self._is_silent = False
        self.connection = _connect(settings)
        stopping.links.add(self)

    def close(self) -> None:
        stopping.links.discard(self)
        self.connection.close()

    def connect_if_closed(self) -> None:
        if self.connection.closed:
            self.connection, self._is_silent = _connect(self._settings), False

    @property
    def is_cut(self) -> bool:
        """Whether the connection was ended while nobody used it: what comes unasked is its end, as a rule."""
        if not self.connection.closed:
            waiting = select.poll()
            waiting.register(self.connection.fileno(), select.POLLIN)
            return bool(waiting.poll(0))
        return True

    def cut(self) -> None:
        """Shut the connection if it is waiting for the server, which then rolls back; called from another thread.

        psycopg2's cancel() would hold Python's lock for as long as the server takes to answer.
        """
        if self._heard_at:
            self.shut_down()

    def end_if_silent(self) -> float:
        """Shut a connection on which nothing has come for too long, and return when to look again; called from another thread."""
        heard_at = self._heard_at
        if heard_at and time.monotonic() - heard_at > limits.SILENCE_SECONDS:
            self._is_silent = True
            self.shut_down()
        return limits.SILENCE_SECONDS / 4

    def shut_down(self) -> None:
        """Shut the socket under the connection, whoever works on it."""
        with contextlib.suppress(OSError, psycopg2.Error), _socket(self.connection) as peer:
            peer.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def call(self) -> Iterator[Cursor]:
        """Wait for the server, one round trip; raise Problem for what it says, MayPass where the connection is lost."""
        self.round_trips += 1
        self._heard_at = time.monotonic()
        try:
            with statement_problem(self._settings.host, self._schema), self.connection.cursor() as cursor:
                yield cursor
        except MayPass as problem:
            self.connection.close()  # in a COPY, psycopg2 does not see that it is lost
            if self._is_silent:
                problem.what = f"{self._settings.host} has not answered for {age(round(limits.SILENCE_SECONDS))}."
            raise
        finally:
            self._heard_at = None

    @contextlib.contextmanager
    def own_work(self) -> Iterator[None]:
        """In the middle of a COPY the server waits for us, not we for it; where we fail, we wait for its answer to that."""
        self._heard_at = None
        try:
            yield
        finally:
            self._heard_at = time.monotonic()

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """Let the server stop reading for minutes."""
        self._wait_for_reader(COPY_TIMEOUT)
        try:
            yield
        finally:
            self._wait_for_reader(KEEPALIVE["tcp_user_timeout"])

    def _wait_for_reader(self, milliseconds: int) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError, psycopg2.Error), _socket(self.connection) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def wire_bytes(self) -> tuple[int, int]:
        """Return the bytes sent and received on the socket so far, TLS included; (0, 0) where the system does not tell."""
        if not self.connection.closed:
            with contextlib.suppress(OSError):  # libpq may have closed the socket
                self._wire_bytes = _wire_bytes(self.connection)
        return self._wire_bytes


def _connect(settings: TargetSettings) -> Connection:
    # PGOPTIONS and the like would change what we ask for; PgBouncer even refuses some of it.
    for name in [name for name in os.environ if name.startswith("PG") and name != "PGSYSCONFDIR"]:
        del os.environ[name]
    # Where the server has another one, psycopg2 would set it with a statement of its own, for whose answer it waits for ever.
    os.environ["PGDATESTYLE"] = "ISO"
    try:
        connection = psycopg2.connect(make_dsn(None, **_parameters(settings)))
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise not_connected.problem(error, settings) from None
    connection.autocommit = True
    return connection


def _parameters(settings: TargetSettings) -> dict[str, str | int]:
    tls = {"sslmode": settings.sslmode, "sslrootcert": settings.sslrootcert, "channel_binding": settings.channel_binding}
    return {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.name,
        "user": settings.user,
        "password": settings.password,
        "connect_timeout": math.ceil(limits.CONNECT_SECONDS),
        "application_name": f"hybrid-backup {__version__}",
        "client_encoding": "UTF8",
        "gssencmode": "disable",
        **KEEPALIVE,
        **{name: value for name, value in tls.items() if value},
    }


def _socket(connection: Connection) -> socket.socket:
    """Return a socket of ours on libpq's, to look at it or to set it; closing it closes nothing else."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def _wire_bytes(connection: Connection) -> tuple[int, int]:
    """Source: struct tcp_info of linux/tcp.h: tcpi_bytes_acked at 120, tcpi_bytes_received at 128, tcpi_bytes_sent at 200."""
    if sys.platform != "linux":
        return 0, 0
    with _socket(connection) as peer:
        if peer.family == socket.AF_UNIX:
            return 0, 0
        info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < 208:
        return 0, 0
    return struct.unpack_from("Q", info, 200)[0], struct.unpack_from("Q", info, 128)[0]
