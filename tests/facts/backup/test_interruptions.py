"""Killed at any moment, a backup leaves the state before or the state after; a writing bot is neither stopped nor torn."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent import futures

import psycopg2
import pytest

from lib.base import private_file
from lib.base.errors import Interrupted
from lib.sqlite.files import integrity
from lib.trying import embedded_postgres, sample_bot
from tests import compare
from tests.stand_ins.bot import REPOSITORY, environment

pytestmark = pytest.mark.campaign

MOMENTS = 10


def held(bot):
    """What the target holds, by content: the mirrors' rows and the number of the run that left them."""
    mirrors = {}
    for schema, table in bot.query("SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'backup\\_%'"):
        ((digest,),) = bot.query(f'SELECT md5(string_agg(t::text, $$|$$ ORDER BY t::text)) FROM "{schema}"."{table}" AS t')
        mirrors[schema, table] = digest
    return mirrors


def test_a_killed_backup_leaves_one_state_or_the_other(saved_bot):
    started = time.monotonic()
    saved_bot.backup()
    length = time.monotonic() - started
    killed = 0
    for moment in range(MOMENTS):
        before, kept = held(saved_bot), saved_bot.keep_copies()
        sample_bot.live(saved_bot.data, seed=moment)
        running = saved_bot.start("backup.py")
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(length * (moment + 1) / MOMENTS)
        killed += running.poll() is None
        running.kill()
        running.communicate()
        after = held(saved_bot)
        for source, path in (("premium_system", saved_bot.premium), ("user_requests", saved_bot.requests)):
            saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "out"), "--database", source).expect(0)
            is_old = {key: digest for key, digest in after.items() if source in key[0]} == {
                key: digest for key, digest in before.items() if source in key[0]
            }
            expected = kept[source] if is_old else path
            assert compare.differences(expected, saved_bot.folder / "out" / path.name) == []
        saved_bot.backup()
        saved_bot.assert_restorable()
    assert killed >= MOMENTS // 2
    assert not list((saved_bot.folder / "snapshots").glob("*.taking"))
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE outcome = 'running'") == [(0,)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_backup_in_one_line(saved_bot, name):
    with contextlib.closing(sqlite3.connect(saved_bot.premium, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")  # the backup waits for this lock, so the signal finds it at work
        running = saved_bot.start("backup.py")
        while not saved_bot.query("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'hybrid-backup%'"):
            assert running.poll() is None
        running.send_signal(getattr(signal, name))
        stdout, stderr = running.communicate(timeout=20)
    assert running.returncode == 128 + getattr(signal, name)
    assert (stdout, stderr) == ("", f"Stopped by {name}; what was not finished was rolled back.\n")
    saved_bot.run("backup.py").expect(0)


def stopped(running, number=signal.SIGTERM):
    """Send a signal, expect the one line, the exit status and an end within seconds (two are promised; the machine is shared)."""
    started = time.monotonic()
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert running.returncode == 128 + number
    assert (stdout, stderr) == ("", f"Stopped by {number.name}; what was not finished was rolled back.\n")


def wait_until(is_so, running):
    deadline = time.monotonic() + 30
    while not is_so():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def nothing_is_left(bot):
    """Nobody is at work in the database any more; a server needs a moment to notice."""
    at_work = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hybrid-backup%'"
    deadline = time.monotonic() + 20
    while bot.query(at_work):
        assert time.monotonic() < deadline, bot.query(at_work)
    assert bot.query("SELECT * FROM pg_locks WHERE locktype = 'advisory'") == []


def changed(bot):
    sample_bot.live(bot.data, seed=7)


SLOW = """CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
CREATE TRIGGER slow AFTER {event} ON backup_premium_system.{table} FOR EACH STATEMENT EXECUTE FUNCTION public.slow()"""


def test_a_signal_stops_a_statement_that_runs_on_the_server(saved_bot):
    changed(saved_bot)
    ((table,),) = saved_bot.query("SELECT min(tablename) FROM pg_tables WHERE schemaname = 'backup_premium_system'")
    saved_bot.query(SLOW.format(event="INSERT", table=table))
    running = saved_bot.start("backup.py")
    wait_until(lambda: saved_bot.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), running)
    stopped(running)
    nothing_is_left(saved_bot)
    saved_bot.query("DROP FUNCTION public.slow CASCADE")
    saved_bot.backup()
    saved_bot.assert_restorable()


def test_a_signal_stops_a_merge_that_runs_while_the_next_table_is_looked_through(saved_bot):
    saved_bot.sqlite(
        saved_bot.requests,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO user_requests (user_id, chat_id, gift_name, minute) SELECT i, i, 'a gift of many', i FROM n; "
        "UPDATE message_owners SET timestamp = 0",
    )
    saved_bot.query(SLOW.format(event="INSERT", table="user_requests").replace("premium_system", "user_requests"))
    running = saved_bot.start("backup.py", "user_requests")
    wait_until(lambda: saved_bot.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), running)
    stopped(running)
    nothing_is_left(saved_bot)


def test_nothing_is_printed_of_an_interruption_that_c_code_has_swallowed():
    """Where a signal's handler breaks into a call from C to Python, C prints what was raised, and goes on."""
    script = """
import sys
from lib.base import stopping
from lib.base.errors import Interrupted
class Ends:
    def __del__(self):
        raise error
stopping.on_signals()
for error in (Interrupted(15), ValueError("printed")):
    sys.excepthook(type(error), error, None)
    Ends()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("ValueError: printed")) == (0, "", 2)
    assert "Interrupted" not in done.stderr


def test_a_signal_stops_the_waiting_for_a_lock_on_a_mirror(saved_bot):
    changed(saved_bot)
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as holder:
        holder.cursor().execute("LOCK TABLE backup_premium_system.refunds")
        running = saved_bot.start("backup.py")
        wait_until(lambda: saved_bot.query("SELECT 1 FROM pg_locks WHERE NOT granted"), running)
        stopped(running, signal.SIGINT)
        nothing_is_left(saved_bot)
    saved_bot.backup()


def test_a_signal_stops_a_copy_on_a_slow_line(saved_bot, line):
    changed(saved_bot)
    line.reset(bytes_per_second={"up": 50_000})
    running = saved_bot.start("backup.py", "--full")
    wait_until(lambda: line.carried["up"] > 40_000, running)
    stopped(running)
    nothing_is_left(saved_bot)
    line.reset()
    saved_bot.backup()


def test_a_signal_stops_a_restore_that_reads(saved_bot, line):
    line.reset(bytes_per_second={"down": 50_000})
    before = saved_bot.keep_copies()
    running = saved_bot.start("restore.py", "--yes", "--quiet")
    wait_until(lambda: line.carried["down"] > 60_000, running)
    stopped(running)
    nothing_is_left(saved_bot)
    line.reset()
    for path in saved_bot.databases:
        assert compare.differences(before[path.stem], path) == []
    saved_bot.run("restore.py", "--yes").expect(0)
    assert not list(saved_bot.data.glob("*.restoring*"))


def test_a_signal_stops_the_waiting_for_a_server_that_fell_silent(saved_bot, line):
    changed(saved_bot)
    line.reset(silent_after={"down": 2_000})
    running = saved_bot.start("backup.py")
    wait_until(lambda: line.carried["down"] >= 2_000, running)
    stopped(running)
    line.reset()
    nothing_is_left(saved_bot)
    saved_bot.backup()


def test_a_signal_that_the_driver_does_not_hear_is_told_to_machines_too(saved_bot, line):
    line.reset(silent_after={"down": 0})
    running = saved_bot.start("backup.py", "--json")
    wait_until(lambda: line.carried["up"] > 0, running)
    running.send_signal(signal.SIGTERM)
    stdout, _ = running.communicate(timeout=20)
    assert running.returncode == 128 + signal.SIGTERM
    assert json.loads(stdout) == {"outcome": "failed", "error": "stopped by SIGTERM.", "try": "run it again"}


@pytest.mark.parametrize("script", ["backup.py", "restore.py", "setup_supabase.py", "test_backup.py"])
def test_a_signal_stops_the_waiting_for_a_silent_server(saved_bot, line, script):
    line.reset(silent_after={"down": 0})
    running = saved_bot.start(script, "--quiet")
    wait_until(lambda: line.carried["up"] > 0, running)
    stopped(running)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_bot_that_writes_all_the_time_gets_a_consistent_backup(saved_bot, mode):
    """Every commit moves one star between two tables, so that any consistent state has the same sum."""
    saved_bot.sqlite(
        saved_bot.premium,
        f"PRAGMA journal_mode = {mode}; CREATE TABLE purse_a (id INTEGER PRIMARY KEY, stars INTEGER);"
        "CREATE TABLE purse_b (id INTEGER PRIMARY KEY, stars INTEGER);"
        "INSERT INTO purse_a VALUES (1, 1000000); INSERT INTO purse_b VALUES (1, 0)",
    )
    stop, commits = threading.Event(), []

    def write():
        while not stop.is_set():
            with contextlib.closing(sqlite3.connect(saved_bot.premium, timeout=30)) as database, database:
                database.execute("UPDATE purse_a SET stars = stars - 1")
                database.execute("UPDATE purse_b SET stars = stars + 1")
            commits.append(time.monotonic())
            stop.wait(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            before = len(commits)
            saved_bot.backup("premium_system")
            assert len(commits) > before
            out = saved_bot.folder / "out"
            saved_bot.run("restore.py", "--yes", "--to", str(out), "--database", "premium_system").expect(0)
            sums = saved_bot.sqlite_rows(
                out / sample_bot.PREMIUM, "SELECT (SELECT stars FROM purse_a) + (SELECT stars FROM purse_b)"
            )
            assert sums == [(1_000_000,)]
    finally:
        stop.set()
        writer.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
def test_an_embedded_server_dies_with_its_parent_and_its_folder_is_swept(tmp_path):
    script = f"""import sys; sys.path.insert(0, {str(REPOSITORY)!r})
from lib.trying import embedded_postgres
with embedded_postgres.running() as server:
    print(server.process.pid, server.folder, flush=True); sys.stdin.read()"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    number, folder = parent.stdout.readline().split()
    assert os.path.isdir(folder)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while is_running(int(number)) and time.monotonic() < deadline:
        os.sched_yield()
    assert not is_running(int(number))
    with embedded_postgres.running():
        assert not os.path.exists(folder)


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_check_keeps_its_connection_wherever_a_signal_breaks_in(saved_bot, monkeypatch):
    """A signal may come when the thread is just being started; to close what the thread works on would crash Python."""
    seen, is_over, submit = [], threading.Event(), futures.ThreadPoolExecutor.submit
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3e7 AND NOT is_over())"

    def long(connection, _check):
        connection.create_function("is_over", 0, is_over.is_set)
        with contextlib.suppress(sqlite3.OperationalError):
            seen.append("begun")
            connection.execute(f"{numbers} SELECT max(i) FROM n")
        seen.append(connection.execute("SELECT 'open'").fetchone()[0])

    def interrupted(*work):
        submit(*work)
        while not seen:
            pass
        raise Interrupted(15)

    monkeypatch.setattr(integrity, "_check", long)
    monkeypatch.setattr(futures.ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(Interrupted), contextlib.closing(integrity.Checking(saved_bot.premium, "full")):
        pass
    monkeypatch.undo()
    is_over.set()
    integrity.BESIDE.submit(int).result()
    assert seen == ["begun", "open"]


def test_a_small_file_half_written_by_a_killed_script_is_swept_by_the_next_writer(tmp_path):
    script = """import os, sys; from pathlib import Path; from lib.base import private_file
os.replace = lambda *_: os.kill(os.getpid(), 9)
private_file.write(Path(sys.argv[1]) / "alerts.json", "{")"""
    subprocess.run([sys.executable, "-c", script, tmp_path], cwd=REPOSITORY, env=environment())
    assert [path.name for path in tmp_path.glob("*.new/*.json")] == ["alerts.json"]
    private_file.write(tmp_path / "runs.jsonl", "{}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]
