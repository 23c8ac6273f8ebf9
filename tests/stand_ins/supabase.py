"""What makes a plain PostgreSQL behave like Supabase, as far as the scripts can tell."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2 import sql

from lib.trying import embedded_postgres

SERVER_SETTINGS = {
    "statement_timeout": "2min",
    "extra_float_digits": "0",
    "search_path": '"$user", public, extensions',
    "max_connections": "120",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}

# The files of a server are in memory where there is so much room: a database is made in a tenth of the time.
MEMORY, ROOM = Path("/dev/shm"), 4 << 30

# From PostgreSQL 16 on, a password may be hashed once instead of 4,096 times for each connection, of which a test makes a dozen.
SUPABASE_LIKE = """
SELECT set_config(name, '1', false) FROM pg_settings WHERE name = 'scram_iterations';
ALTER ROLE supabase_admin PASSWORD %(password)s;
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

# A role is the whole server's: the next database's setup would give those of the last test their rights.
WITHOUT_ROLES = """
DO $$
BEGIN
    DROP ROLE IF EXISTS backup_writer, backup_editor, hybrid_backup_viewer;
EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
END $$
"""


@contextlib.contextmanager
def running(binaries: Path | None = None) -> Iterator[embedded_postgres.Server]:
    """Start a server that behaves like Supabase; stop it and remove its files at the end."""
    with contextlib.ExitStack() as stack:
        with _temporary_files_in_memory():
            server = stack.enter_context(embedded_postgres.running(binaries, SERVER_SETTINGS, "supabase_admin"))
        as_admin(server, SUPABASE_LIKE)
        yield server


@contextlib.contextmanager
def _temporary_files_in_memory():
    before = tempfile.tempdir
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        tempfile.tempdir = str(MEMORY)
    try:
        yield
    finally:
        tempfile.tempdir = before


def as_admin(server, script):
    """Run a script as the server's superuser; {password} is the server's."""
    with contextlib.closing(psycopg2.connect(server.url)) as admin:
        admin.autocommit = True
        admin.cursor().execute(script, {"password": server.password})


@contextlib.contextmanager
def make_database(server, name, like=None):
    """Create a database owned by nobody special, and yield the connection string of the customer's user.

    It has what is in the database `like`, another one that was made here, to which nobody may be connected.
    """
    with contextlib.closing(psycopg2.connect(server.url)) as admin:
        admin.autocommit = True
        strategy = "STRATEGY FILE_COPY" if admin.server_version >= 15_00_00 else ""  # the only one before
        create = sql.SQL(f"CREATE DATABASE {{}} TEMPLATE {{}} {strategy}")
        admin.cursor().execute(create.format(sql.Identifier(name), sql.Identifier(like or "template1")))
        admin.cursor().execute(sql.SQL("GRANT CREATE, TEMP ON DATABASE {} TO postgres").format(sql.Identifier(name)))
        if not like:
            with contextlib.closing(psycopg2.connect(_url(server, server.user, name))) as inside:
                inside.autocommit = True
                inside.cursor().execute(DATABASE)
        try:
            yield _url(server, "postgres", name)
        finally:
            as_admin(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            as_admin(server, WITHOUT_ROLES)


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
