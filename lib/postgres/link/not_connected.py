"""What servers, poolers, libpq and the network say where no connection is made, and what an operator can do about it.

psycopg2 gives no SQLSTATE then: the first fragment that is found in the message decides. What is refused is never tried again.
Sources: PgBouncer's calls of disconnect_client, Supavisor's lib/supavisor/errors, Postgres' auth.c and postinit.c, libpq's fe-*.
"""

import psycopg2

from lib.base import causes, redact
from lib.base.errors import ConnectionRefused, MayPass, Problem, Unreachable
from lib.settings.targets import CERTIFICATE, TargetSettings

DASHBOARD = "the Supabase dashboard (Connect, Session pooler)"
PAUSED = "If the project is paused, resume it in the dashboard."
COPY_HOST = f"copy host and user from {DASHBOARD}. {PAUSED}"
WRITER = "_writer"  # see lib/tables/mirror_names.py

PASSWORD = ("the password was refused.", "PASSWORD")
CERTIFICATE_REMEDY = (
    f"download the certificate from the dashboard (Database, Settings, SSL) and put it beside .env as {CERTIFICATE}"
)
WANTS_TLS = ("the server wants TLS.", "set SUPABASE_DB_SSLMODE=require, or remove that setting")
NO_TLS = (
    "TLS with the server fails. The password was not sent.",
    "check host and port, and who is between here and there; a server this old may need a newer TLS",
)
UNKNOWN_USER = ("the pooler does not know this user or region.", COPY_HOST)
OTHER_PROTOCOL = ("what answers there is no Postgres server.", f"check host and port; copy them from {DASHBOARD}")
NOT_LET_IN = ("the server does not let this user in from this address, or only with TLS.", "look at its pg_hba.conf")
OTHER_METHOD = ("the server wants another proof than a password.", "let it ask this user for a password (scram-sha-256)")
POOLER = "look at the pooler's settings and its log"

REFUSED = {
    "password authentication failed": PASSWORD,
    "SASL authentication failed": PASSWORD,
    "wrong password type": PASSWORD,
    "empty password returned": PASSWORD,
    "EWRONGPASSWORD": PASSWORD,
    "EADDRNOTALLOWED": (
        "the project's network restrictions do not let this machine in.",
        "let its address in: dashboard, Database, Settings, Network Restrictions",
    ),
    "EBANNED": ("Supabase has banned the project from its pooler.", "see the dashboard, or ask Supabase's support"),
    "ECIRCUITBREAKER": (
        "too many wrong passwords: the pooler refuses this user for a while.",
        "correct the password, wait 30 minutes",
    ),
    "ENOIDENTIFIER": ("the pooler misses the project in the user's name: postgres.PROJECT.", COPY_HOST),
    "no tenant identifier": ("the pooler misses the project in the user's name: postgres.PROJECT.", COPY_HOST),
    "Tenant or user not found": UNKNOWN_USER,
    "user not found in the database": UNKNOWN_USER,
    "EINVALIDUSERINFO": UNKNOWN_USER,
    "EMULTIPLEUSERS": UNKNOWN_USER,
    "ENOTFOUND": ("the pooler does not know this project.", COPY_HOST),
    "ESSLREQUIRED": WANTS_TLS,
    "SSL required": WANTS_TLS,
    "server does not support SSL": (
        "the server, or somebody in between, offers no TLS. The password was not sent.",
        "Supabase always has TLS: check SUPABASE_DB_URL, and who is between here and there",
    ),
    "certificate verify failed": (
        "the server's certificate is not signed by the expected authority, or has expired. The password was not sent.",
        CERTIFICATE_REMEDY,
    ),
    "does not match host name": (
        "the server's certificate is for another host. The password was not sent.",
        f"copy the host from {DASHBOARD}",
    ),
    "root certificate": ("the certificate that verifies the server cannot be read.", CERTIFICATE_REMEDY),
    "wrong version number": NO_TLS,
    "tlsv1 alert": NO_TLS,
    "sslv3 alert": NO_TLS,
    "unsupported protocol": NO_TLS,
    "channel binding": ("the server cannot prove itself by channel binding.", "leave channel_binding out of the URL"),
    "no pg_hba.conf entry": NOT_LET_IN,
    "pg_hba.conf rejects": NOT_LET_IN,
    "is not permitted to log in": ("this user may not log in.", "use the user postgres of your project, or the writer's role"),
    "permission denied for database": ("this user may not use this database.", "let it in:  GRANT CONNECT ON DATABASE … TO …"),
    "authentication failed": OTHER_METHOD,
    "authentication method": OTHER_METHOD,
    "login rejected": OTHER_METHOD,
    "is disabled": ("the pooler keeps this database closed.", POOLER),
    "no such database": ("the pooler does not know this database.", "correct the name behind the last / of SUPABASE_DB_URL"),
    "no such user": UNKNOWN_USER,
    "unsupported startup parameter": ("the pooler does not take what every client says at first.", POOLER),
    "bouncer config error": ("the pooler's settings are wrong.", POOLER),
    "not currently accepting connections": ("the database lets nobody in.", "ALTER DATABASE … ALLOW_CONNECTIONS true"),
    "received invalid response": OTHER_PROTOCOL,
    "expected authentication request": OTHER_PROTOCOL,
    'FATAL: role "': ("there is no such user.", f"correct the user in .env: {COPY_HOST}"),
    "does not exist": ("the database does not exist.", "correct its name in .env; on Supabase it is postgres"),
}  # fmt: skip
UNREACHABLE = {
    "Temporary failure in name resolution": (
        "this machine cannot look up any name at present.",
        "see whether its network is up:  getent hosts supabase.com",
    ),
    "could not translate host name": ("there is no such host.", f"copy the host from {DASHBOARD}. {PAUSED}"),
    "Network is unreachable": (
        "this machine cannot reach that address.",
        f"the direct host db.….supabase.co needs IPv6: use the host of {DASHBOARD}",
    ),
    "Connection refused": ("nothing listens at that address.", "check the host and the port; is the server running?"),
    "No such file or directory": ("nothing listens at that socket.", "check the folder and the port; is the server running?"),
    "timeout expired": ("the server did not answer in time.", f"check host, port and firewall. {PAUSED}"),
    "timed out": ("the server did not answer in time.", f"check host, port and firewall. {PAUSED}"),
    "No route to host": ("this machine cannot reach that address.", f"check the host and the network. {PAUSED}"),
    "Host is down": ("this machine cannot reach that address.", f"check the host and the network. {PAUSED}"),
    "Network is down": ("this machine's network is down.", "see whether its network is up:  getent hosts supabase.com"),
    "Cannot assign requested address": ("this machine cannot reach that address.", "check host and port, and IPv6 here"),
    "Address family not supported": ("this machine cannot reach that address.", f"it has no IPv6: use the host of {DASHBOARD}"),
}  # fmt: skip
TAKEN = ("all connections are taken.", "wait a minute, or raise the pool size in the dashboard")
CUT = ("the connection was cut.", "run it again; if it stays, look at the network and at the project's health")
BEHIND = ("the pooler cannot reach the server.", "wait a minute and run this again")
STARTING = ("the server is starting up.", "wait a minute and run this again")
STOPPING = ("the server is shutting down.", "wait a minute and run this again")
# Said in the middle of a session, too.
MAY_PASS = {
    "max clients": TAKEN,
    "ax client connections": TAKEN,
    "(EMAX": TAKEN,
    "(ECHECKOUTTIMEOUT": TAKEN,
    "no more connections allowed": TAKEN,
    "client connections exceeded": TAKEN,
    "connection slots": TAKEN,
    "too many clients": TAKEN,
    "too many connections": TAKEN,
    "query_wait_timeout": TAKEN,
    "resources exhaustion": TAKEN,
    "starting up": STARTING,
    "not yet accepting connections": STARTING,
    "in recovery mode": ("the server is starting up after a crash.", "wait a minute and run this again"),
    "shutting down": STOPPING,
    "pool is terminating": STOPPING,
    "(EPOOLTERMINATING": STOPPING,
    "administrator command": CUT,
    "admin forced disconnect": CUT,
    "too many failed attempts to connect to the database": BEHIND,
    "(EAUTHQUERY": BEHIND,
    "(EAUTHSECRETS": BEHIND,
    "(EAUTHTIMEOUT": BEHIND,
    "(ECHECKOUT": BEHIND,
    "(EDBHANDLEREXITED": BEHIND,
    "(EPOOL": BEHIND,
    "(EPROXY": BEHIND,
    "(EWORKERNOTFOUND": BEHIND,
    "(ESUBSCRIBERETRIES": BEHIND,
    "server_login_retry": BEHIND,
    "client_login_timeout": BEHIND,
    "cannot connect to server": BEHIND,
    "server DNS lookup failed": BEHIND,
    "server conn crashed": BEHIND,
    "pause failed": BEHIND,
    "suspend_timeout": BEHIND,
    "FATAL: out of memory": ("the server is out of memory.", "wait a minute and run this again; see the project's health"),
    "could not fork": ("the server has no room for another connection.", "wait a minute and run this again"),
    "closed the connection unexpectedly": CUT,
    "onnection reset by peer": CUT,
    "onnection aborted": CUT,
    "SSL connection has been closed": CUT,
    "EOF detected": CUT,
    "unexpected eof": CUT,
    "Broken pipe": CUT,
}
# Two that a later fragment would take for something else.
FIRST = {
    fragment: MAY_PASS[fragment] for fragment in ("too many failed attempts to connect to the database", "(EPOOLTERMINATING")
}
TABLES = ((MayPass, FIRST), (ConnectionRefused, REFUSED), (MayPass, MAY_PASS), (Unreachable, UNREACHABLE))
NEVER_AGAIN = "Do not just try again: a few wrong passwords ban this machine's address for half an hour."


def problem(error: psycopg2.Error | UnicodeDecodeError, settings: TargetSettings) -> Problem:
    """Return what is told of a connection that was not made: refused, unreachable, or what may pass."""
    # A server that says it in another language may not say it in UTF-8.
    text = error.object.decode("utf-8", "replace") if isinstance(error, UnicodeDecodeError) else str(error)
    said = " ".join(text.split())
    cannot = f"cannot connect to {settings.host}:{settings.port} as {settings.user}"
    for kind, table in TABLES:
        for fragment, (what, remedy) in table.items():
            if fragment in said:
                return kind(f"{cannot}: {what}", _of_password(settings.user) if remedy == "PASSWORD" else remedy)
    if not said:  # as where no file can be opened any more, or psycopg2 cannot read what a server says
        where = "see the server's log, and how many files may be open:  ulimit -n"
        return ConnectionRefused(f"{cannot}: nobody says why.", where)
    ours = "" if "FATAL: " in said else causes.remedy(error, "/")  # what a server says is nothing of this machine's
    return ConnectionRefused(f"{cannot}: {redact.clean(said)}", ours or f"check the URL. {PAUSED}")


def _of_password(user: str) -> str:
    """Return what to do about a refused password: the dashboard resets that of `postgres` alone."""
    role = user.partition(".")[0]
    if role == "postgres":
        how = "reset it in the Supabase dashboard (Database, Settings)"
    elif role.endswith(WRITER):
        how = "give the writer's role another one, with the user postgres in .env:  python3 setup_supabase.py --writer-role  "
    else:
        how = f"give {role} another one, as the user postgres:  ALTER ROLE {role} PASSWORD …  "
    return f"{how} and correct it in .env. {NEVER_AGAIN}"
