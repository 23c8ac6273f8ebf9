"""Whatever a server, a pooler, libpq or the network says, what is told names the cause; what is refused is not tried again."""

import psycopg2
import pytest
from psycopg2 import errorcodes

from lib.base.errors import ConnectionRefused, MayPass, Problem, Unreachable
from lib.postgres.link import explain, not_connected
from lib.postgres.link.connection import Target
from lib.settings import config
from lib.settings.targets import TargetSettings
from tests.stand_ins.refusing_server import refusing_server

# As PgBouncer 1.25, Supavisor, PostgreSQL and libpq word it: who says so, which kind it is, and part of what is told.
REFUSED, PASSES, AWAY = ConnectionRefused, MayPass, Unreachable
SAID = {
    'FATAL:  password authentication failed for user "postgres"': (REFUSED, "the password was refused."),
    "FATAL:  SASL authentication failed": (REFUSED, "the password was refused."),
    "FATAL:  server login failed: wrong password type": (REFUSED, "the password was refused."),
    "FATAL:  no such database: postgre": (REFUSED, "the pooler does not know this database."),
    'FATAL:  database "postgres" is disabled': (REFUSED, "the pooler keeps this database closed."),
    "FATAL:  no such user: bot": (REFUSED, "the pooler does not know this user"),
    "FATAL:  SSL required": (REFUSED, "the server wants TLS."),
    'FATAL:  "trust" authentication failed': (REFUSED, "another proof than a password"),
    "FATAL:  unix socket login rejected": (REFUSED, "another proof than a password"),
    "FATAL:  bouncer config error": (REFUSED, "the pooler's settings are wrong."),
    "FATAL:  unsupported startup parameter: datestyle": (REFUSED, "what every client says at first"),
    "FATAL:  no more connections allowed (max_client_conn)": (PASSES, "all connections are taken."),
    "FATAL:  client connections exceeded (max_user_client_connections)": (PASSES, "all connections are taken."),
    "FATAL:  query_wait_timeout": (PASSES, "all connections are taken."),
    "FATAL:  client_login_timeout (server down)": (PASSES, "the pooler cannot reach the server."),
    "FATAL:  server login has been failing, cached error: connect failed (server_login_retry)": (PASSES, "cannot reach"),
    "FATAL:  server login has been failing, cached error: password authentication failed (server_login_retry)": (
        REFUSED,
        "the password was refused.",
    ),
    "FATAL:  server DNS lookup failed": (PASSES, "the pooler cannot reach the server."),
    "FATAL:  pooler is shutting down": (PASSES, "the server is shutting down."),
    "FATAL:  (EADDRNOTALLOWED) address not in tenant allow_list: {152, 55, 176, 218}": (REFUSED, "network restrictions"),
    "FATAL:  (EBANNED) tenant is banned: unpaid": (REFUSED, "Supabase has banned the project"),
    "FATAL:  (ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked": (
        REFUSED,
        "too many wrong passwords",
    ),
    "FATAL:  (ECIRCUITBREAKER) too many failed attempts to connect to the database, new connections are temporarily blocked": (
        PASSES,
        "the pooler cannot reach the server.",
    ),
    "FATAL:  (ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname required)": (REFUSED, "postgres.PROJECT"),
    "FATAL:  (ENOTFOUND) tenant/user postgres.abc not found": (REFUSED, "does not know this project"),
    "FATAL:  Tenant or user not found": (REFUSED, "does not know this user or region"),
    'FATAL:  (EINVALIDUSERINFO) Authentication error, reason: "Invalid format for user or db_name"': (REFUSED, "this user"),
    "FATAL:  (ESSLREQUIRED) SSL connection is required for user: postgres": (REFUSED, "the server wants TLS."),
    'FATAL:  (EJITUNAUTHORIZED) password authentication failed for user "x"': (REFUSED, "the password was refused."),
    "FATAL:  (EMAXCONNSESSION) max clients reached in session mode": (PASSES, "all connections are taken."),
    "FATAL:  (EMAXPOOLSREACHED) max pools count reached": (PASSES, "all connections are taken."),
    "FATAL:  (ECHECKOUTTIMEOUT) unable to check out connection from the pool": (PASSES, "all connections are taken."),
    "FATAL:  (ECHECKOUTRETRIES) failed to check out a connection after multiple retries": (PASSES, "cannot reach the server."),
    "FATAL:  (EAUTHQUERY) auth_query connection failed": (PASSES, "cannot reach the server."),
    "FATAL:  (EAUTHQUERY) user not found in the database": (REFUSED, "does not know this user"),
    "FATAL:  (EDBHANDLEREXITED) DbHandler exited. Check logs for more information": (PASSES, "cannot reach the server."),
    "FATAL:  (EPOOLTERMINATING) pool terminating: password authentication failed": (PASSES, "shutting down"),
    'FATAL:  role "bot" is not permitted to log in': (REFUSED, "this user may not log in."),
    'FATAL:  permission denied for database "postgres"': (REFUSED, "may not use this database."),
    'FATAL:  Ident authentication failed for user "bot"': (REFUSED, "another proof than a password"),
    "FATAL:  pg_hba.conf rejects connection for host": (REFUSED, "does not let this user in from this address"),
    'FATAL:  too many connections for role "bot"': (PASSES, "all connections are taken."),
    "FATAL:  sorry, too many clients already": (PASSES, "all connections are taken."),
    'could not translate host name "db" to address: Temporary failure in name resolution': (AWAY, "look up any name"),
    'could not translate host name "db" to address: Name or service not known': (AWAY, "there is no such host."),
    'connection to server on socket "/tmp/.s.PGSQL.5432" failed: No such file or directory': (AWAY, "listens at that socket."),
    "received invalid response to SSL negotiation: H": (REFUSED, "no Postgres server"),
    "SSL error: tlsv1 alert protocol version": (REFUSED, "TLS with the server fails."),
    "could not create socket: Too many open files": (REFUSED, "Too many open files"),
    "out of memory": (REFUSED, "out of memory"),
    "FATAL:  out of memory": (PASSES, "the server is out of memory."),
    'FATAL:  role "bot" does not exist': (REFUSED, "there is no such user."),
    'FATAL:  database "shop" does not exist': (REFUSED, "the database does not exist."),
    "": (REFUSED, "nobody says why."),
}  # fmt: skip
NEVER = ("report it", "restore it", "unexpected", "setup_supabase.py --check")


def told(said, user="postgres.abc"):
    settings = TargetSettings("db.example", 5432, "postgres", user, "secret-4711", "require", "")
    return not_connected.problem(psycopg2.OperationalError(said), settings)


@pytest.mark.parametrize("said", SAID)
def test_each_way_not_to_be_connected_is_told_by_its_cause(said):
    kind, part = SAID[said]
    problem = told(said)
    assert type(problem) is kind
    assert part in problem.what
    assert problem.remedy
    assert not [text for text in NEVER if text in problem.text]


def test_what_nobody_has_thought_of_is_not_tried_again():
    problem = told("FATAL:  something else")
    assert type(problem) is ConnectionRefused
    assert "something else" in problem.what
    assert "ulimit" not in told("FATAL:  Cannot allocate memory").remedy  # that is the server's
    assert problem.remedy


@pytest.mark.parametrize(
    ("user", "how"),
    [
        ("postgres", "reset it in the Supabase dashboard"),
        ("postgres.abc", "reset it in the Supabase dashboard"),
        ("backup_writer.abc", "python3 setup_supabase.py --writer-role"),
        ("bot", "ALTER ROLE bot PASSWORD"),
    ],
)
def test_whose_password_was_refused_decides_what_helps(user, how):
    remedy = told("FATAL:  password authentication failed", user).remedy
    assert how in remedy
    assert ("dashboard" in remedy) == user.startswith("postgres")
    assert "Do not just try again" in remedy


def test_the_writer_s_refused_password_is_not_the_dashboard_s(writer):
    writer.write_env(SUPABASE_DB_URL=writer.url.replace(writer.password, "wrong-4711"))
    said = writer.run("backup.py").expect(1).stderr
    assert "as backup_writer: the password was refused." in said
    assert "python3 setup_supabase.py --writer-role" in said
    assert "dashboard" not in said


def test_a_server_that_speaks_another_language_in_another_encoding_is_quoted(saved_bot):
    text = "Passwort-Authentifizierung für Benutzer fehlgeschlagen"
    with refusing_server(text.encode("latin-1")) as (port, visits):
        saved_bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{port}/postgres?sslmode=disable")
        done = saved_bot.run("backup.py").expect(1)
        assert "Passwort-Authentifizierung f" in done.stderr or "see the server's log" in done.stderr  # as psycopg2 passes it on
        assert "unexpected" not in done.stderr
        assert len(visits) == 1


CODES = sorted({code for code in vars(errorcodes).values() if isinstance(code, str) and len(code) == 5 and code.isalnum()})


def test_every_error_of_postgres_is_told_with_something_to_do():
    assert len(CODES) > 200
    for code in CODES:
        what, remedy = explain.told(code, "its message", "db.example")
        assert "its message" in what, code
        assert remedy, code
        assert "report" not in remedy, code
        assert "restore it" not in remedy, code


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("58030", "the server's own disk or system fails."),
        ("XX001", "the server says that its files are damaged."),
        ("53400", "the server has no room for this."),
        ("22000", "127.0.0.1: Postgres says: something (22000)."),
    ],
)
def test_what_a_statement_meets_is_told_by_its_class(saved_bot, code, part):
    settings = config.load(saved_bot.folder / ".env")
    with Target(settings.targets[0], settings.schema) as target, pytest.raises(Problem) as caught:
        target.rows(f"DO $$ BEGIN RAISE EXCEPTION 'something' USING ERRCODE = '{code}'; END $$")
    assert part in caught.value.what
    assert "something" in caught.value.what
    assert caught.value.remedy
