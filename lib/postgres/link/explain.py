"""Turn what Postgres says of a statement into what an operator can do."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator

import psycopg2

from lib.base import causes
from lib.base.errors import MayPass, OtherCounts, Problem
from lib.postgres.link.not_connected import CUT, MAY_PASS

# Supabase's and PgBouncer's poolers report in the middle of a session, too, what may pass.
MAY_PASS_CODES = {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"}
CONNECTION = "08"
MEETS_OTHERS = {"40001", "40P01", "55006", "55P03"}
# In a COPY, psycopg2 reports a lost connection as an error of no kind.
LOST_IN_COPY = ("no message from the libpq", *MAY_PASS)
READ_ONLY = "25006"
# Our own: see refuse_other_counts in sql/setup/950_told.sql.
OTHER_COUNTS = "HB001"
STATEMENTS = {
    READ_ONLY: (
        "the database is read only: on Supabase's free plan that means that its 500 MB are used up.",
        "free space or upgrade the plan; where it is far from full, somebody has set it, for the role or the database:"
        "  ALTER ROLE … RESET default_transaction_read_only",
    ),
    "3F000": ("the target has not been set up.", "python3 setup_supabase.py"),
    **dict.fromkeys(
        ("42P01", "42883", "42703", "42704", "42P02"),
        ("the target has not been set up, or only in part.", "python3 setup_supabase.py"),
    ),
    "42501": ("the user has no right to do this.", "python3 setup_supabase.py --check"),
    "53200": (
        "the server is out of memory, or of room for locks: every table takes a few of them while its database is backed up.",
        "raise max_locks_per_transaction and restart the server"
        " (supabase postgres-config update --config max_locks_per_transaction=256)",
    ),
    "53100": ("the target's disk is full.", "free space or upgrade the plan"),
    **dict.fromkeys(("40001", "40P01", "55006"), ("somebody else was at work on the same rows.", "run it again")),
    "55P03": ("somebody else holds a lock on the mirror for too long.", "see who: SELECT * FROM pg_stat_activity"),
    "57014": ("the statement took too long and was cancelled.", "run it again; if it stays, look at the target's load"),
    "57P04": ("somebody has removed the database.", "see the project in the dashboard; then  python3 setup_supabase.py"),
    "XX001": ("the server says that its files are damaged.", "see the project's health in the dashboard, and ask its support"),
    "XX002": (
        "the server says that an index of its is damaged.",
        "let it be made anew:  REINDEX INDEX …",
    ),
}
# By the first two characters of a code that is not among them.
CLASSES = {
    "0A": ("the server cannot do this.", "use PostgreSQL 13 or newer"),
    "23": ("a constraint that somebody has put on the mirror refuses this.", "remove it: views and constraints go elsewhere"),
    "28": ("the server does not let this user in any more.", "copy user and password from the dashboard into .env"),
    "3D": ("the database does not exist.", "correct the name behind the last / of SUPABASE_DB_URL"),
    "53": ("the server has no room for this.", "see the project's health in the dashboard; free space or upgrade the plan"),
    "54": ("this is more than a Postgres server can take.", "see what the server's log says"),
    "55": ("somebody else holds what is needed.", "see who: SELECT * FROM pg_stat_activity"),
    "57": ("somebody has ended this.", "run it again; if it stays, see the server's log"),
    "58": ("the server's own disk or system fails.", "see the project's health in the dashboard, and ask its support"),
    "F0": ("the server's own settings are wrong.", "see the server's log"),
    "XX": ("the server, or a pooler, has failed inside.", "run it again; if it stays, see the server's log"),
}


# How a function of PL/pgSQL is named in an error's context.
FUNCTION = re.compile(r"PL/pgSQL function (\S+?)\(.*\) line \d+ at ")
OTHERS = (
    "let {} pass this user, or switch off what calls it: a trigger on a mirror, or an event trigger, which sees a run's "
    "temporary tables (SELECT evtname, evtfoid::regproc FROM pg_event_trigger)"
)


@contextlib.contextmanager
def statement_problem(host: str, schema: str) -> Iterator[None]:
    """Re-raise an error of Postgres as a Problem that names the host."""
    try:
        yield
    except psycopg2.Error as error:
        raise _of_statement(error, host, schema) from error


def _of_statement(error: psycopg2.Error, host: str, schema: str) -> Problem:
    code = error.pgcode
    if not isinstance(code, str):
        return _without_code(error, host)
    said = error.diag.message_primary or ""
    if code in MAY_PASS_CODES or code.startswith(CONNECTION) or _is_about(said, MAY_PASS):
        return MayPass(f"{host}: the connection was lost ({said}).", CUT[1])
    if code == OTHER_COUNTS:
        return OtherCounts(said, json.loads(error.diag.message_detail or "[]"))
    if code in MEETS_OTHERS:
        return MayPass(*told(code, said, host))
    if others := _others_function(error.diag.context or "", schema):
        return Problem(f"{host}: {others}, a function of somebody else's, says: {said} ({code}).", OTHERS.format(others))
    return Problem(*told(code, said, host))


def told(code: str, said: str, host: str) -> tuple[str, str]:
    """Return what is told of an SQLSTATE with its message: what has happened, and what to do."""
    if code in STATEMENTS:
        what, remedy = STATEMENTS[code]
        return f"{host}: {what} ({said})", remedy
    what, remedy = CLASSES.get(code[:2], ("", "python3 setup_supabase.py --check"))
    return " ".join(filter(None, (f"{host}:", what, f"Postgres says: {said} ({code})."))), remedy


def _without_code(error: psycopg2.Error, host: str) -> Problem:
    """Return what is told of an error that the driver alone has seen."""
    said, ours = " ".join(str(error).split()), causes.remedy(error, "/")
    is_lost = isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)) or _is_about(said, LOST_IN_COPY)
    if is_lost and ours != causes.MEMORY:  # libpq has none left: nothing is lost
        return MayPass(f"{host}: the connection was lost ({said}).", CUT[1])
    return Problem(f"{host}: {said}.", ours or "run it again; if it stays, see the server's log")


def _others_function(context: str, schema: str) -> str:
    """Return the function that an error comes from, innermost first in its context, unless it is one of ours."""
    match = FUNCTION.search(context)
    name = match[1] if match else ""
    return "" if name.replace('"', "").startswith(f"{schema}.") else name


def _is_about(said: str, fragments: Iterable[str]) -> bool:
    return any(fragment in said for fragment in fragments)
