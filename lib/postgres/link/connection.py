"""A target: explicit transactions, few round trips, nothing that a pooler would leak or refuse."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from psycopg2 import sql
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS
from psycopg2.extensions import connection as Connection

from lib.base.errors import Locked, MayPass, Problem, Unreachable
from lib.postgres.link import literal
from lib.postgres.link.copy_files import CopyFrom, CopyTo, Readable, Take
from lib.postgres.link.line import Line
from lib.postgres.link.retry import Patience
from lib.postgres.link.statements import statement
from lib.settings import limits
from lib.settings.targets import TargetSettings

COPY_BYTES = 1 << 16
# At hand also where no file can be opened any more.
COMMIT, ROLL_BACK = statement("commit"), statement("roll_back")
NOTHING = sql.SQL("")
OUTAGES = (MayPass, Unreachable)
literal.register()
Result = TypeVar("Result")
Row = tuple[Any, ...]
Values = Mapping[str, object] | Sequence[object] | None


class Target:
    """A Postgres database, seen through one deployment's schema."""

    def __init__(self, settings: TargetSettings, schema: str):
        self.settings, self.schema = settings, schema
        self._has_copied, self._counted_trips = False, 0
        self._patience = Patience()
        self._line = self._patience.try_again(lambda: Line(settings, schema))

    @property
    def connection(self) -> Connection:
        return self._line.connection

    @property
    def host(self) -> str:
        return self.settings.host

    @property
    def identity(self) -> str:
        """Return which schema of which database this is; behind a pooler the user's name has the project."""
        _, _, project = self.settings.user.partition(".")
        return f"{self.schema} in {self.settings.name} at {self.host}:{self.settings.port}{project and f', {project}'}"

    def new_round_trips(self) -> int:
        """Return how many round trips there were since they were counted last; those of the login are none."""
        counted, self._counted_trips = self._counted_trips, self._line.round_trips
        return self._counted_trips - counted

    @property
    def is_cut(self) -> bool:
        """Whether the connection is no more."""
        return self._line.is_cut

    def wire_bytes(self) -> tuple[int, int]:
        """Return the bytes sent and received so far."""
        return self._line.wire_bytes()

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def with_reconnects(self, attempt: Callable[[], Result]) -> Result:
        """Call `attempt`; where the connection is cut, connect anew and call it again, as long as there is patience."""

        def connected() -> Result:
            self._line.connect_if_closed()
            return attempt()

        try:
            return connected()
        except OUTAGES as problem:
            outage = problem
            self._patience.wait(outage)
        try:
            done = self._patience.try_again(connected, (*OUTAGES, Locked))
        except Locked as problem:  # the server has yet to notice that the attempt which was cut off is no more
            raise outage from problem
        self._patience.renew()
        return done

    def rows(self, query: sql.Composable | str, values: Values = None) -> list[Row]:
        """Run a statement, one round trip, and return its rows; a rollback after an error goes alone."""
        is_alone = not self._is_in_transaction
        query = sql.SQL(query) if isinstance(query, str) else query
        if self._has_copied and self.connection.info.transaction_status == TRANSACTION_STATUS_INTRANS:
            query, self._has_copied = _limit() + query, False
        return self._rows(statement("own_settings") + query if is_alone else query, values)

    @property
    def told_aside(self) -> list[str]:
        """Return what the server has told besides the last answer (see tell in sql/setup/950_told.sql)."""
        marked = (notice.partition("told: ") for notice in self.connection.notices)
        return [text.splitlines()[0] for _, mark, text in marked if mark]

    def _rows(self, query: sql.Composable, values: Values = None) -> list[Row]:
        self.connection.notices = []
        with self._line.call() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def row(self, query: sql.Composable | str, values: Values = None) -> Row:
        """Run a statement, and return its first row."""
        return self.rows(query, values)[0]

    def statement(self, name: str, values: Values = None, **parts: sql.Composable) -> list[Row]:
        """Run sql/statements/NAME.sql; {schema} is the deployment's, {lacks} what a run lacks to be a restore point."""
        schema = sql.Identifier(self.schema)
        return self.rows(statement(name, schema=schema, lacks=statement("lacks", schema=schema), **parts), values)

    def ask(self, name: str, values: Values = None) -> Any:
        """Return what a function of ours answers, where the statement is its call alone: that relies on no setting."""
        return self._rows(statement(name, schema=sql.Identifier(self.schema)), values)[0][0]

    def copy_in(self, query: sql.Composable, lines: Readable) -> None:
        """Send the lines that COPY reads; two round trips, because it says first that it is ready for them."""
        self._line.round_trips += 1
        self._copy(query, CopyFrom(lines, self._line.own_work))

    def copy_out(self, query: sql.Composable, take: Take) -> None:
        """Hand on the lines of COPY's text format, many at a time."""
        self._copy(query, CopyTo(take, self._line.own_work))

    def _copy(self, query: sql.Composable, file: CopyFrom | CopyTo) -> None:
        self._has_copied = True
        unlimited = statement("limit_statement", statement_timeout=sql.Literal("0"))
        try:
            with self._line.patient(), self._line.call() as cursor:
                cursor.copy_expert(unlimited + query, file, COPY_BYTES)  # type: ignore[arg-type]  # it reads, and no readline
                file.end()
        except Problem:
            if file.error:
                raise file.error from None
            raise

    @contextlib.contextmanager
    def transaction(self, isolation: str = "READ COMMITTED") -> Iterator[None]:
        """Open a transaction with its settings, and commit it; any exception rolls it back."""
        with self.ended():
            self.begin(isolation)
            yield

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """Commit the transaction that was begun here, unless that has been done; any exception rolls it back."""
        try:
            yield
            if self._is_in_transaction:
                self._commit()
        except BaseException:
            self._roll_back()
            raise

    @contextlib.contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Open a transaction that is rolled back in any case."""
        try:
            self.begin()
            yield
        finally:
            self._roll_back()

    def begin(
        self,
        isolation: str = "READ COMMITTED",
        before: sql.Composable = NOTHING,
        query: sql.Composable = NOTHING,
        values: Values = None,
    ) -> list[Row]:
        """Begin a transaction with its settings, and with what is to come before it and first in it; return the rows of that.

        All of it is one message.
        """
        parts = {"isolation": sql.SQL(isolation), "limit": _limit(), "own_settings": statement("own_settings")}
        self._has_copied = False
        return self._rows(before + statement("begin", **parts) + query, values)

    @property
    def _is_in_transaction(self) -> bool:
        return self.connection.info.transaction_status != TRANSACTION_STATUS_IDLE

    def _commit(self) -> None:
        with self.committing():
            self.rows(COMMIT)

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Say of a cut that it may be one in the middle of COMMIT."""
        try:
            yield
        except MayPass as problem:
            place = self.settings.place
            problem.untouched = f"It was cut in the middle of COMMIT: the run is {place} as a whole, or not at all."
            raise

    def _roll_back(self) -> None:
        if not self.connection.closed and self._is_in_transaction:
            with contextlib.suppress(Problem):  # what is lost is rolled back, too
                self._rows(ROLL_BACK)


def _limit() -> sql.Composed:
    return statement("limit_statement", statement_timeout=sql.Literal(f"{limits.STATEMENT_SECONDS:.0f}s"))
