"""Turn what Postgres, its poolers and the network say into what an operator can do."""

import contextlib
import re
from collections.abc import Iterable, Iterator

import psycopg2

from lib.base import redact
from lib.base.errors import ConnectionRefused, MayPass, Problem, Unreachable
from lib.settings.targets import CERTIFICATE, TargetSettings

DASHBOARD = "the Supabase dashboard (Connect, Session pooler)"
PAUSED = "If the project is paused, resume it in the dashboard."

# psycopg2 gives no SQLSTATE when connecting fails; the first fragment that is found in the message decides.
REFUSED = {
    "password authentication failed": (
        "the password was refused.",
        "reset it in the Supabase dashboard (Database, Settings) and correct it in .env. Do not just try again: "
        "a few wrong passwords ban this machine's address for half an hour.",
    ),
    "Tenant or user not found": (
        "the pooler does not know this user or region.",
        f"copy host and user from {DASHBOARD}. {PAUSED}",
    ),
    "ENOTFOUND": ("the pooler does not know this project.", f"copy host and user from {DASHBOARD}. {PAUSED}"),
    "ECIRCUITBREAKER": (
        "too many wrong passwords: the pooler refuses this user for a while.",
        "correct the password, wait 30 minutes",
    ),
    "ESSLREQUIRED": ("the server wants TLS.", "set SUPABASE_DB_SSLMODE=require, or remove that setting"),
    "server does not support SSL": (
        "the server, or somebody in between, offers no TLS. The password was not sent.",
        "Supabase always has TLS: check SUPABASE_DB_URL, and who is between here and there",
    ),
    "certificate verify failed": (
        "the server's certificate is not signed by the expected authority, or has expired. The password was not sent.",
        "CERTIFICATE",
    ),
    "does not match host name": (
        "the server's certificate is for another host. The password was not sent.",
        f"copy the host from {DASHBOARD}",
    ),
    "root certificate file": ("the certificate that verifies the server cannot be read.", "CERTIFICATE"),
    "no pg_hba.conf entry": (
        "the server does not let this user in from this address, or only with TLS.",
        "look at its pg_hba.conf",
    ),
    "does not exist": (
        "the database or the user does not exist.",
        "SUPABASE_DB_NAME is postgres on Supabase; correct it in .env",
    ),
}
UNREACHABLE = {
    "could not translate host name": ("there is no such host.", f"copy the host from {DASHBOARD}. {PAUSED}"),
    "Network is unreachable": (
        "this machine cannot reach that address.",
        f"the direct host db.….supabase.co needs IPv6: use the host of {DASHBOARD}",
    ),
    "Connection refused": ("nothing listens at that address.", "check the host and the port; is the server running?"),
    "timeout expired": ("the server did not answer in time.", f"check host, port and firewall. {PAUSED}"),
    "No route to host": ("this machine cannot reach that address.", f"check the host and the network. {PAUSED}"),
}
TAKEN = ("all connections are taken.", "wait a minute, or raise the pool size in the dashboard")
CUT = ("the connection was cut.", "run it again; if it stays, look at the network and at the project's health")
MAY_PASS = {
    "max clients": TAKEN,
    "Max client connections": TAKEN,
    "EMAXCONN": TAKEN,
    "ECHECKOUTTIMEOUT": TAKEN,
    "no more connections allowed": TAKEN,
    "remaining connection slots": TAKEN,
    "too many clients": TAKEN,
    "query_wait_timeout": TAKEN,
    "starting up": ("the server is starting up.", "wait a minute and run this again"),
    "shutting down": ("the server is shutting down.", "wait a minute and run this again"),
    "not yet accepting connections": ("the server is starting up.", "wait a minute and run this again"),
    "in recovery mode": ("the server is starting up after a crash.", "wait a minute and run this again"),
    "administrator command": CUT,
    "server_login_retry": ("the pooler cannot reach the server.", "wait a minute and run this again"),
    "cannot connect to server": ("the pooler cannot reach the server.", "wait a minute and run this again"),
    "closed the connection unexpectedly": CUT,
    "onnection reset by peer": CUT,
    "SSL connection has been closed": CUT,
    "EOF detected": CUT,
    "Broken pipe": CUT,
}
CERTIFICATE_REMEDY = (
    f"download the certificate from the dashboard (Database, Settings, SSL) and put it beside .env as {CERTIFICATE}"
)

# Supabase's and PgBouncer's poolers report in the middle of a session, too, what may pass.
MAY_PASS_CODES = {"57P01", "57P02", "57P03", "53300", "08000", "08003", "08006", "08P01"}
# In a COPY, psycopg2 reports a lost connection as an error of no kind.
LOST_IN_COPY = ("no message from the libpq", *MAY_PASS)
READ_ONLY = "25006"
STATEMENTS = {
    READ_ONLY: (
        "the database is read only: on Supabase's free plan that means that its 500 MB are used up.",
        "free space or upgrade the plan; where it is far from full, somebody has set it, for the role or the database:"
        "  ALTER ROLE … RESET default_transaction_read_only",
    ),
    "3F000": ("the target has not been set up.", "python3 setup_supabase.py"),
    "42P01": ("the target has not been set up, or only in part.", "python3 setup_supabase.py"),
    "42883": ("the target has not been set up, or only in part.", "python3 setup_supabase.py"),
    "42501": ("the user has no right to do this.", "python3 setup_supabase.py --check"),
    "53200": (
        "the server is out of memory, or of room for locks: every table takes a few of them while its database is backed up.",
        "raise max_locks_per_transaction and restart the server"
        " (supabase postgres-config update --config max_locks_per_transaction=256)",
    ),
    "53100": ("the target's disk is full.", "free space or upgrade the plan"),
    "55P03": ("somebody else holds a lock on the mirror for too long.", "see who: SELECT * FROM pg_stat_activity"),
    "57014": ("the statement took too long and was cancelled.", "run it again; if it stays, look at the target's load"),
}


# How a function of PL/pgSQL is named in an error's context.
FUNCTION = re.compile(r"PL/pgSQL function (\S+?)\(.*\) line \d+ at ")
OTHERS = (
    "let {} pass this user, or switch off what calls it: a trigger on a mirror, or an event trigger, which sees a run's "
    "temporary tables (SELECT evtname, evtfoid::regproc FROM pg_event_trigger)"
)


def connection_problem(error: psycopg2.OperationalError, settings: TargetSettings) -> Problem:
    """Return what is told of a connection that was not made: refused, unreachable, or what may pass."""
    said = " ".join(str(error).split())
    cannot = f"cannot connect to {settings.host}:{settings.port} as {settings.user}"
    for kind, table in ((ConnectionRefused, REFUSED), (MayPass, MAY_PASS), (Unreachable, UNREACHABLE)):
        for fragment, (what, remedy) in table.items():
            if fragment in said:
                return kind(f"{cannot}: {what}", CERTIFICATE_REMEDY if remedy == "CERTIFICATE" else remedy)
    return ConnectionRefused(f"{cannot}: {redact.clean(said)}", "python3 setup_supabase.py --check")


@contextlib.contextmanager
def statement_problem(host: str, schema: str) -> Iterator[None]:
    """Re-raise an error of Postgres as a Problem that names the host."""
    try:
        yield
    except psycopg2.Error as error:
        raise _of_statement(error, host, schema) from error


def _of_statement(error: psycopg2.Error, host: str, schema: str) -> Problem:
    if not isinstance(error.pgcode, str):
        said = " ".join(str(error).split())
        is_lost = isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)) or _is_about(said, LOST_IN_COPY)
        return MayPass(f"{host}: the connection was lost ({said}).", CUT[1]) if is_lost else Problem(f"{host}: {said}.")
    said = error.diag.message_primary or ""
    if error.pgcode in MAY_PASS_CODES or _is_about(said, MAY_PASS):
        return MayPass(f"{host}: the connection was lost ({said}).", CUT[1])
    if others := _others_function(error.diag.context or "", schema):
        return Problem(f"{host}: {others}, a function of somebody else's, says: {said} ({error.pgcode}).", OTHERS.format(others))
    what, remedy = STATEMENTS.get(error.pgcode, (f"Postgres says: {said} ({error.pgcode}).", "python3 setup_supabase.py --check"))
    detail = f" ({said})" if error.pgcode in STATEMENTS else ""
    return Problem(f"{host}: {what}{detail}", remedy)


def _others_function(context: str, schema: str) -> str:
    """Return the function that an error comes from, innermost first in its context, unless it is one of ours."""
    match = FUNCTION.search(context)
    name = match[1] if match else ""
    return "" if name.replace('"', "").startswith(f"{schema}.") else name


def _is_about(said: str, fragments: Iterable[str]) -> bool:
    return any(fragment in said for fragment in fragments)
