"""A real PgBouncer in front of a database."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.stand_ins.bot import URL
from tests.stand_ins.unreachable import free_port

SETTINGS = """
[databases]
{database} = host=127.0.0.1 port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
auth_type = {auth}
auth_file = {folder}/users
pool_mode = {mode}
unix_socket_dir =
default_pool_size = {size}
max_client_conn = 200
"""
IS_HERE = shutil.which("pgbouncer") is not None


@dataclass
class Pooler:
    """`url` leads through it."""

    folder: Path
    port: int
    url: str
    process: subprocess.Popen | None = None

    def start(self) -> None:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(["pgbouncer", *user, self.folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "pgbouncer did not start"
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError("pgbouncer does not listen")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(folder: Path, url: str, mode: str, size: int = 2, database: str = "*", auth: str = "plain"):
    target = URL.fullmatch(url)
    folder.mkdir()
    for path in (folder, *folder.parents[:4]):
        path.chmod(path.stat().st_mode | 0o055)  # PgBouncer refuses root, and its user must reach the settings
    (folder / "users").write_text(f'"postgres" "{target["password"]}"\n')
    port = free_port()
    places = {"port": target["port"], "listen_port": port, "folder": folder}
    settings = SETTINGS.format(**places, mode=mode, size=size, database=database, auth=auth)
    (folder / "pgbouncer.ini").write_text(settings)
    pooler = Pooler(folder, port, url.replace(f":{target['port']}/", f":{port}/"))
    pooler.start()
    try:
        yield pooler
    finally:
        pooler.kill()
