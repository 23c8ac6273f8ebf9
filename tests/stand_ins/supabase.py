"""What makes a plain PostgreSQL behave like Supabase, as far as the scripts can tell."""

import contextlib
import signal
import subprocess

import psycopg2
from psycopg2 import sql

from lib.trying import embedded_postgres

SERVER_SETTINGS = {
    "statement_timeout": "2min",
    "extra_float_digits": "0",
    "search_path": '"$user", public, extensions',
    "max_connections": "120",
    "fsync": "off",
    "shared_buffers": "64MB",
}

SUPABASE_LIKE = """
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD %(password)s;
GRANT anon, authenticated, service_role TO authenticator;
CREATE ROLE postgres LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD %(password)s;
GRANT anon, authenticated, service_role TO postgres;
"""

DATABASE = """
CREATE SCHEMA extensions;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role, postgres;
GRANT ALL ON SCHEMA public TO postgres;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
"""


def as_admin(server, script):
    """Run a script as the server's superuser; {password} is the server's."""
    with contextlib.closing(psycopg2.connect(server.url)) as admin:
        admin.autocommit = True
        admin.cursor().execute(script, {"password": server.password})


@contextlib.contextmanager
def make_database(server, name):
    """Create a database owned by nobody special, and yield the connection string of the customer's user."""
    with contextlib.closing(psycopg2.connect(server.url)) as admin:
        admin.autocommit = True
        admin.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        admin.cursor().execute(sql.SQL("GRANT CREATE, TEMP ON DATABASE {} TO postgres").format(sql.Identifier(name)))
        with contextlib.closing(psycopg2.connect(_url(server, server.user, name))) as inside:
            inside.autocommit = True
            inside.cursor().execute(DATABASE)
        try:
            yield _url(server, "postgres", name)
        finally:
            as_admin(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _url(server, user, database):
    return f"postgresql://{user}:{server.password}@127.0.0.1:{server.port}/{database}"


def crash(server):
    """Stop the server as `pg_ctl restart -m immediate` does, without a checkpoint, and start it again at the same port."""
    server.process.send_signal(signal.SIGQUIT)
    server.process.wait(30)
    user = embedded_postgres._run_as(embedded_postgres._unprivileged_user())
    with open(server.folder / "log", "ab") as log:
        again = {"stdout": log, "stderr": log, "cwd": server.folder, "preexec_fn": embedded_postgres._die_with_parent, **user}
        server.process = subprocess.Popen(server.process.args, **again)
    embedded_postgres._wait_until_ready(server)
