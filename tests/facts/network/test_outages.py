"""A network that fails: every wait ends, what may pass is tried again, and a COMMIT in doubt is found out by the next run."""

import itertools
import os
import socket
import sys
import time
from concurrent import futures

import pytest
from psycopg2 import sql

from lib.base import stopping
from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import names, statement
from lib.settings import config, limits
from lib.trying import sample_bot
from tests import compare
from tests.stand_ins.refusing_server import refusing_server

pytestmark = pytest.mark.campaign

QUICK = {"HYBRID_BACKUP_CONNECT_SECONDS": "2", "HYBRID_BACKUP_STATEMENT_SECONDS": "2", "HYBRID_BACKUP_RETRY_SECONDS": "4"}
NEVER_AGAIN = {"HYBRID_BACKUP_RETRY_SECONDS": "0"}


def last_runs(bot, most=2):
    return [tuple(row) for row in bot.query(f"SELECT outcome, error FROM backup.runs ORDER BY run DESC LIMIT {most}")]


def changed(bot, seed=11):
    sample_bot.live(bot.data, seed)


def quiet_length(bot, line):
    """Back up and return how many bytes an ordinary run with changes carries, each way."""
    bot.backup("premium_system")  # through the relay it is another target: the first run sends every row
    changed(bot, seed=3)
    line.reset()
    bot.backup("premium_system")
    return dict(line.carried)


def test_a_server_that_accepts_and_never_answers(saved_bot):
    saved_bot.environment = QUICK
    with socket.create_server(("127.0.0.1", 0)) as silent:
        saved_bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{silent.getsockname()[1]}/postgres")
        for script in ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py"):
            done = saved_bot.run(script).expect(1)
            assert "the server did not answer in time." in done.stderr + done.stdout


def test_a_server_that_falls_silent_in_the_middle_is_given_up(saved_bot, line):
    length = quiet_length(saved_bot, line)["down"]
    line.reset()
    with Target(config.load(saved_bot.folder / ".env").targets[0], "backup"):
        login = line.carried["down"]
    saved_bot.environment = QUICK
    changed(saved_bot)
    for share in (0.1, 0.5, 0.9):
        line.reset(silent_after={"down": login + int((length - login) * share)})
        done = saved_bot.run("backup.py", "premium_system").expect(1)
        assert "did not answer in time" in done.stderr
        assert "has not answered for 2 seconds. Trying again" in (saved_bot.folder / "supabase_backup.log").read_text()
    line.reset()
    saved_bot.backup()
    saved_bot.assert_restorable()


WAITING = {"HYBRID_BACKUP_CONNECT_SECONDS": "2", "HYBRID_BACKUP_STATEMENT_SECONDS": "1", "HYBRID_BACKUP_RETRY_SECONDS": "0"}
HANDSHAKE = 4
TYPED = {
    "a backup": ["backup.py"],
    "every row": ["backup.py", "--full"],
    "a refusal": ["backup.py", "premium_system"],
    "a dry run": ["backup.py", "--dry-run"],
    "a comparison": ["backup.py", "--verify"],
    "the status": ["backup.py", "--status"],
    "a drill": ["restore.py", "--drill"],
    "a restore": ["restore.py", "--yes"],
    "a table": ["restore.py", "--table", "refunds", "--yes"],
    "setup": ["setup_supabase.py"],
}


@pytest.mark.parametrize("what", TYPED)
def test_a_server_that_falls_silent_at_any_question_is_given_up(saved_bot, line, what):
    """Each question is the last one in turn; whatever waits for its answer, it ends, and what was there is intact."""
    if what == "a refusal":
        saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds; DELETE FROM payment_history")
    _with_another_date_style(saved_bot)
    saved_bot.environment = WAITING
    # Setup asks a hundred questions; what a backup and a restore ask one by one, others ask as well.
    step = {"setup": 3, "every row": 2, "a dry run": 2, "a comparison": 2, "a drill": 2}.get(what, 1)
    for question in itertools.count(1 if what == "a backup" else HANDSHAKE + 1, step):
        if what in ("a backup", "a dry run"):
            changed(saved_bot, seed=question)
        line.reset(silent_from=question)
        done = saved_bot.run(*TYPED[what])
        assert "unexpected" not in done.stderr + done.stdout
        if line.questions < question:
            break
    assert question > HANDSHAKE + 2
    line.reset()
    saved_bot.environment = {}
    saved_bot.run("backup.py", "--accept-shrink").expect(0)
    saved_bot.assert_restorable()


def _with_another_date_style(bot):
    """A driver that is not told otherwise would change it with a statement of its own, which nobody watches."""
    ((name,),) = bot.query("SELECT current_database()")
    bot.query(f"ALTER ROLE postgres IN DATABASE {name} SET datestyle = 'SQL, DMY'")


def test_a_rehearsal_is_given_up_at_its_last_question_too(saved_bot, line):
    """It is a ROLLBACK."""
    saved_bot.environment = WAITING
    line.reset()
    saved_bot.run("backup.py", "--dry-run").expect(0)
    line.reset(silent_from=line.questions)
    saved_bot.run("backup.py", "--dry-run").expect(0)


def test_a_restore_from_a_server_that_falls_silent_changes_nothing(saved_bot, line):
    saved_bot.environment = QUICK
    before = saved_bot.keep_copies()
    line.reset(silent_after={"down": 30_000})
    done = saved_bot.run("restore.py", "--yes").expect(1)
    assert "Error: 127.0.0.1 has not answered for 2 seconds." in done.stderr
    for path in saved_bot.databases:
        assert compare.differences(before[path.stem], path) == []
    assert not list(saved_bot.data.glob("*.restoring*"))


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_connection_that_is_cut_in_the_middle_is_tried_again(saved_bot, line, way, share):
    length = quiet_length(saved_bot, line)
    changed(saved_bot)
    line.reset(cut_after={way: int(length[way] * share)})
    saved_bot.backup("premium_system")
    assert line.connections == 2
    (last, error), (_, before) = last_runs(saved_bot)
    assert (last, error) == ("saved", None)
    assert before in ("killed or cut off before it ended", None)
    assert "Trying again in" in (saved_bot.folder / "supabase_backup.log").read_text()


def test_an_outage_while_connecting_is_waited_for(saved_bot, line):
    line.reset()
    line.is_down = True
    running = saved_bot.start("backup.py")
    while "Trying again" not in log_of(saved_bot):
        assert running.poll() is None
        time.sleep(0.02)
    line.is_down = False
    assert running.communicate(timeout=60) == ("", "")
    assert running.returncode == 0


def test_the_patience_ends(saved_bot, line):
    saved_bot.environment = QUICK
    line.reset()
    line.is_down = True
    done = saved_bot.run("backup.py").expect(1)
    assert "the connection was cut." in done.stderr
    assert 1 <= log_of(saved_bot).count("Trying again") <= 6


def test_a_second_source_does_not_wait_again(saved_bot, line):
    length = quiet_length(saved_bot, line)
    saved_bot.environment = QUICK
    changed(saved_bot)
    line.reset(cut_after={"up": length["up"] // 2})
    line.stays_down = True
    done = saved_bot.run("backup.py").expect(1)
    assert done.stderr.count("Error: ") == 2
    assert log_of(saved_bot).count("Trying again") <= 6


def log_of(bot):
    path = bot.folder / "supabase_backup.log"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    "said", ["password authentication failed for user", "(ECIRCUITBREAKER) too many", "Tenant or user not found"]
)
def test_a_refusal_is_never_tried_again(saved_bot, said):
    with refusing_server(said.encode()) as (port, visits):
        saved_bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{port}/postgres?sslmode=disable")
        saved_bot.run("backup.py").expect(1)
        assert len(visits) == 1


@pytest.mark.parametrize(
    "said",
    [
        "(EMAXCONNSESSION) max clients reached in session mode",
        "(EMAXCONN) max clients",
        "Max client connections reached",
        "remaining connection slots are reserved",
        "(ECHECKOUTTIMEOUT) unable to check out connection",
        "the database system is starting up",
        "the database system is not yet accepting connections",
        "terminating connection due to administrator command",
    ],
)
def test_what_may_pass_is_tried_again(saved_bot, said):
    saved_bot.environment = QUICK
    with refusing_server(said.encode()) as (port, visits):
        saved_bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{port}/postgres?sslmode=disable")
        saved_bot.run("backup.py").expect(1)
        assert len(visits) > 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_in_doubt_is_found_out_by_the_next_run(saved_bot, line, moment):
    """The line is cut before COMMIT reaches the server, or before its answer comes back."""
    saved_bot.environment = NEVER_AGAIN
    changed(saved_bot)
    line.reset()
    line.cut_at_commit, was_saved = moment, moment == "after"
    done = saved_bot.run("backup.py", "premium_system").expect(1)
    assert "It was cut in the middle of COMMIT: the run is in Supabase as a whole, or not at all." in done.stderr
    wait_for_the_end(saved_bot)
    assert last_runs(saved_bot, 1)[0][0] == ("saved" if was_saved else "running")
    line.reset()
    assert (saved_bot.changes("premium_system") == {}) == was_saved
    assert last_runs(saved_bot)[1][0] == ("saved" if was_saved else "failed")
    changed(saved_bot, seed=12)
    saved_bot.backup()
    saved_bot.assert_restorable()
    saved_bot.run("backup.py", "--verify").expect(0)


def wait_for_the_end(bot):
    """Wait until the server has noticed that its client is gone."""
    deadline = time.monotonic() + 20
    while bot.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hybrid%'"):
        assert time.monotonic() < deadline


class Trickle:
    """The lines of a COPY over a slow link, which takes longer than a statement may."""

    def __init__(self, lines):
        self.lines = iter(lines)

    def read(self, _size):
        time.sleep(0.5)
        return next(self.lines, b"")


@pytest.fixture
def target(saved_bot, monkeypatch):
    settings = config.load(saved_bot.folder / ".env")
    monkeypatch.setattr(limits, "STATEMENT_SECONDS", 1)
    with Target(settings.targets[0], settings.schema) as target:
        yield target


def test_a_copy_is_not_bounded_by_its_length_and_what_follows_it_is(target):
    with target.transaction():
        target.rows("CREATE TEMPORARY TABLE sent (n int) ON COMMIT DROP")
        target.copy_in(
            statement("copy_in", place=sql.Identifier("sent"), columns=names(["n"])), Trickle([b"1\n", b"2\n", b"3\n"])
        )
        assert target.rows("SELECT sum(n) FROM sent") == [(6,)]
        with pytest.raises(Problem, match="the statement took too long"):
            target.rows("SELECT pg_sleep(60)")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a limit for data that nobody takes")
def test_a_server_may_stop_reading_a_copy_for_minutes_and_nothing_else(target):
    def limit():
        with socket.socket(fileno=os.dup(target.connection.fileno())) as peer:
            return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    def lines():
        while_copied.append(limit())
        yield b"1\n"

    while_copied = []
    with target.transaction():
        target.rows("CREATE TEMPORARY TABLE sent (n int) ON COMMIT DROP")
        assert limit() == 60_000
        target.copy_in(statement("copy_in", place=sql.Identifier("sent"), columns=names(["n"])), Trickle(lines()))
        assert (while_copied, limit()) == ([300_000], 60_000)


def test_a_copy_that_fails_on_our_side_waits_for_the_answer_to_that_no_longer_than_for_any(saved_bot, line, monkeypatch):
    """The server is told, and is asked for its answer; by then it has fallen silent."""

    class Failing:
        def read(self, _size):
            line.silent_from = line.questions  # from now on nothing passes
            raise OSError("the disk has gone")

    def copy():
        with Target(settings.targets[0], settings.schema) as target, target.transaction():
            target.rows("CREATE TEMPORARY TABLE sent (n int) ON COMMIT DROP")
            target.copy_in(statement("copy_in", place=sql.Identifier("sent"), columns=names(["n"])), Failing())

    settings = config.load(saved_bot.folder / ".env")
    monkeypatch.setattr(limits, "SILENCE_SECONDS", 0.5)
    with futures.ThreadPoolExecutor(1) as pool:
        copying = pool.submit(copy)
        while not copying.done():
            for link in list(stopping.links):
                link.end_if_silent()
            futures.wait([copying], 0.1)
        assert str(copying.exception()) == "the disk has gone"


def test_a_restore_over_a_slow_link_is_not_bounded_by_its_length(target):
    """More than the buffers in between hold: the server has to wait for whoever reads."""
    taken = []
    with target.transaction():
        many = sql.SQL("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT")
        target.copy_out(many, lambda lines: (time.sleep(0.05), taken.extend(lines)))
        assert target.rows("SHOW statement_timeout") == [("1s",)]
    assert len(taken) == 20000
