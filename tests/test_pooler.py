"""Everything works through a pooler, in session and in transaction mode, with fewer connections than a pool has clients."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from lib.sqlite import sample
from tests.bot import URL, Bot

SETTINGS = """
[databases]
* = host=127.0.0.1 port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
unix_socket_dir =
default_pool_size = 2
"""

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer") is None, reason="pgbouncer is not installed (Debian: apt-get install pgbouncer)"
)


@pytest.fixture(params=["transaction", "session"])
def pooled_bot(request, tmp_path, database):
    """A bot whose .env leads to PgBouncer in front of its database."""
    target = URL.fullmatch(database)
    folder = tmp_path / "pooler"
    folder.mkdir()
    for path in (folder, *folder.parents[:4]):
        path.chmod(path.stat().st_mode | 0o055)  # PgBouncer refuses root, and its user must reach the settings
    (folder / "users").write_text(f'"postgres" "{target["password"]}"\n')
    port = free_port()
    (folder / "pgbouncer.ini").write_text(
        SETTINGS.format(port=target["port"], listen_port=port, folder=folder, mode=request.param)
    )
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    pooler = subprocess.Popen(["pgbouncer", *user, folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL)
    wait_for(port, pooler)
    yield Bot.make(tmp_path / "bot", database.replace(f":{target['port']}/", f":{port}/"), users=120)
    pooler.terminate()
    pooler.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port, process):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "pgbouncer did not start"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("pgbouncer does not listen")


def test_setup_backup_restore_and_trial(pooled_bot):
    pooled_bot.run("setup_supabase.py").expect(0)
    for seed in range(3):
        sample.live(pooled_bot.data, seed)
        assert pooled_bot.changes()
    assert pooled_bot.changes() == {}
    pooled_bot.assert_restorable()
    pooled_bot.run("restore.py", "--drill").expect(0)
    pooled_bot.run("test_backup.py").expect(0)


def test_nothing_of_a_run_stays_with_the_next_client(pooled_bot):
    pooled_bot.run("setup_supabase.py").expect(0)
    left = (
        "SELECT current_setting('search_path'), current_setting('extra_float_digits'), current_setting('hybrid_backup.run', true)"
    )
    for _ in range(4):
        ((search_path, digits, run),) = pooled_bot.query(left)
        assert (search_path, digits, run or "") == ('"$user", public, extensions', "0", "")
    assert pooled_bot.query("SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == [(0,)]
    assert pooled_bot.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
