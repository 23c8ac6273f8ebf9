"""The connection to a target: explicit transactions, few round trips, nothing that a pooler would leak or refuse."""

import contextlib
import math
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg2
from psycopg2 import sql

from lib import __version__
from lib.base import stopping
from lib.base.errors import Locked, MayPass, Problem, Unreachable
from lib.base.words import age
from lib.postgres.link import literal
from lib.postgres.link.copy_files import CopyFrom, CopyTo, Take
from lib.postgres.link.explain import connection_problem, statement_problem
from lib.postgres.link.retry import Patience
from lib.postgres.link.statements import statement
from lib.settings import limits
from lib.settings.targets import TargetSettings

# A silent network is noticed after 30 + 3 × 10 seconds without an answer. Data that nobody takes may wait longer: a server whose
# disk is slow, or a pooler, stops reading for minutes.
KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 300_000,
}
COPY_BYTES = 1 << 16
OUTAGES = (MayPass, Unreachable)
literal.register()
Result = TypeVar("Result")


class Target:
    """A Postgres database, seen through one deployment's schema."""

    def __init__(self, settings: TargetSettings, schema: str):
        self.settings, self.schema = settings, schema
        self.round_trips = 0
        self._wire_bytes = (0, 0)
        self._heard_at: float | None = None
        self._is_silent = self._has_copied = False
        self._patience = Patience()
        self.connection = self._patience.try_again(lambda: _connect(settings))
        stopping.links.add(self)

    @property
    def host(self) -> str:
        return self.settings.host

    @property
    def identity(self) -> str:
        """Return which schema of which database this is; behind a pooler the user's name has the project."""
        _, _, project = self.settings.user.partition(".")
        return f"{self.schema} in {self.settings.name} at {self.host}:{self.settings.port}{project and f', {project}'}"

    def close(self) -> None:
        stopping.links.discard(self)
        self.connection.close()

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def with_reconnects(self, attempt: Callable[[], Result]) -> Result:
        """Call `attempt`; where the connection is cut, connect anew and call it again, as long as there is patience."""

        def connected() -> Result:
            if self.connection.closed:
                self.connection, self._is_silent = _connect(self.settings), False
            return attempt()

        try:
            return connected()
        except OUTAGES as problem:
            self._patience.wait(problem)
        # The server may yet have to notice that the attempt which was cut off, and holds the lock, is no more.
        done = self._patience.try_again(connected, (*OUTAGES, Locked))
        self._patience.renew()
        return done

    def cut(self) -> None:
        """Shut the connection if it is waiting for the server, which then rolls back; called from another thread.

        psycopg2's cancel() would hold Python's lock for as long as the server takes to answer.
        """
        if self._heard_at:
            self._shut_down()

    def end_if_silent(self) -> None:
        """Shut a connection on which nothing has come for too long; called from another thread."""
        heard_at = self._heard_at
        if heard_at and time.monotonic() - heard_at > limits.SILENCE_SECONDS:
            self._is_silent = True
            self._shut_down()

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(self.connection.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _call(self) -> Iterator[psycopg2.extensions.cursor]:
        """Everything that waits for the server waits in here."""
        self.round_trips += 1
        self._heard_at = time.monotonic()
        try:
            with statement_problem(self.host, self.schema), self.connection.cursor() as cursor:
                yield cursor
        except MayPass as problem:
            self.connection.close()  # in a COPY, psycopg2 does not see that it is lost
            if self._is_silent:
                problem.what = f"{self.host} has not answered for {age(round(limits.SILENCE_SECONDS))}."
            raise
        finally:
            self._heard_at = None

    @contextlib.contextmanager
    def _own_work(self) -> Iterator[None]:
        """In the middle of a COPY the server waits for us, not we for it."""
        self._heard_at = None
        yield
        self._heard_at = time.monotonic()

    def rows(self, query: sql.Composable | str, values: Any = None) -> list[tuple]:
        """Run a statement, one round trip, and return its rows."""
        is_alone = self.connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        query = sql.SQL(query) if isinstance(query, str) else query
        if self._has_copied and not is_alone:
            query, self._has_copied = _limit() + query, False
        return self._rows(statement("own_settings") + query if is_alone else query, values)

    def _rows(self, query: sql.Composable, values: Any = None) -> list[tuple]:
        with self._call() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def row(self, query: sql.Composable | str, values: Any = None) -> tuple:
        return self.rows(query, values)[0]

    def statement(self, name: str, values: Any = None, **parts: sql.Composable) -> list[tuple]:
        """Run sql/statements/NAME.sql; {schema} is the deployment's."""
        return self.rows(statement(name, schema=sql.Identifier(self.schema), **parts), values)

    def copy_in(self, query: sql.Composable, lines: Any) -> None:
        self._copy(query, CopyFrom(lines, self._own_work))

    def copy_out(self, query: sql.Composable, take: Take) -> None:
        """Hand on the lines of COPY's text format, many at a time."""
        self._copy(query, CopyTo(take, self._own_work))

    def _copy(self, query: sql.Composable, file: CopyFrom | CopyTo) -> None:
        self._has_copied = True
        try:
            with self._call() as cursor:
                cursor.copy_expert(statement("limit_statement", statement_timeout=sql.Literal("0")) + query, file, COPY_BYTES)
                file.end()
        except Problem:
            if file.error:
                raise file.error from None
            raise

    @contextlib.contextmanager
    def transaction(self, isolation: str = "READ COMMITTED") -> Iterator[None]:
        """Open a transaction with its settings, and commit it; any exception rolls it back."""
        self._begin(isolation)
        try:
            yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise

    @contextlib.contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Open a transaction that is rolled back in any case."""
        self._begin("READ COMMITTED")
        try:
            yield
        finally:
            self._roll_back()

    def _begin(self, isolation: str) -> None:
        parts = {"isolation": sql.SQL(isolation), "limit": _limit(), "own_settings": statement("own_settings")}
        self._has_copied = False
        self._rows(statement("begin", **parts))

    def _commit(self) -> None:
        try:
            self.rows("COMMIT")
        except MayPass as problem:
            problem.untouched = "It was cut in the middle of COMMIT: the run is in Supabase as a whole, or not at all."
            raise

    def _roll_back(self) -> None:
        if not self.connection.closed:
            with contextlib.suppress(psycopg2.Error):
                self.connection.cursor().execute("ROLLBACK")

    def wire_bytes(self) -> tuple[int, int]:
        """Return the bytes sent and received on the socket so far, TLS included; (0, 0) where the system does not tell."""
        if not self.connection.closed:
            with contextlib.suppress(OSError):  # libpq may have closed the socket
                self._wire_bytes = _wire_bytes(self.connection.fileno())
        return self._wire_bytes


def _limit() -> sql.Composed:
    return statement("limit_statement", statement_timeout=sql.Literal(f"{limits.STATEMENT_SECONDS:.0f}s"))


def _connect(settings: TargetSettings) -> psycopg2.extensions.connection:
    # PGOPTIONS and the like would change what we ask for; PgBouncer even refuses some of it.
    for name in [name for name in os.environ if name.startswith("PG") and name != "PGSYSCONFDIR"]:
        del os.environ[name]
    tls = {"sslrootcert": settings.sslrootcert, "channel_binding": settings.channel_binding}
    try:
        connection = psycopg2.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.name,
            user=settings.user,
            password=settings.password,
            sslmode=settings.sslmode,
            connect_timeout=math.ceil(limits.CONNECT_SECONDS),
            application_name=f"hybrid-backup {__version__}",
            client_encoding="UTF8",
            gssencmode="disable",
            **KEEPALIVE,
            **{name: value for name, value in tls.items() if value},
        )
    except psycopg2.OperationalError as error:
        raise connection_problem(error, settings) from None
    connection.autocommit = True
    return connection


def _wire_bytes(descriptor: int) -> tuple[int, int]:
    """Source: struct tcp_info of linux/tcp.h: tcpi_bytes_acked at 120, tcpi_bytes_received at 128, tcpi_bytes_sent at 200."""
    if sys.platform != "linux":
        return 0, 0
    with socket.socket(fileno=os.dup(descriptor)) as peer:
        if peer.family == socket.AF_UNIX:
            return 0, 0
        info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < 208:
        return 0, 0
    return struct.unpack_from("Q", info, 200)[0], struct.unpack_from("Q", info, 128)[0]
