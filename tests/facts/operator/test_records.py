"""What is noted beside the snapshots may be damaged, and clocks jump: it is told once, and nothing else suffers."""

import json
import os
import shutil
import sys
import time

import pytest

from lib.base.errors import SourceError
from lib.restoring import local_state
from tests.stand_ins.inbox import Inbox
from tests.stand_ins.unreachable import free_port

RUN = b'{"source": "premium_system", "target": 1, "at": %s, "outcome": "%s", "warnings": [], "error": ""}\n'
DAMAGED = {
    "nothing": b"",
    "another shape": b"[1, 2]\n",
    "null": b"null\n",
    "numbers where names are": b'{"webhook": 5, "run": 6}\n',
    "names where numbers are": b'{"webhook": {"x": ["y", "z"]}, "source": "premium_system", "target": "1"}\n',
    "half a line": b'{"webhook": {"premium_system \xe2\x86\x92',
    "a bad byte": b'{"webhook": {"\xff\xfe": ["x", 1]}}\n',
    "no text at all": bytes(range(256)),
    "a time that no calendar has": RUN % (b"1e300", b"failed"),
    "an outcome of the future": RUN % (b"1", b"thought better of"),
    "a run without its number": RUN % (b"1", b"saved"),
    "a deep nest": b"[" * 200_000,
    "a folder": None,
    "a pipe": os.mkfifo,
}
OTHERS = (
    ("backup.py", "--status", "--max-age", "7h"),
    ("backup.py", "--dry-run"),
    ("restore.py", "--list"),
    ("restore.py", "--drill"),
)


def damage(path, content):
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()
        (path / "of somebody").write_text("x")
    elif callable(content):
        content(path)
    else:
        path.write_bytes(content)


@pytest.mark.campaign
@pytest.mark.parametrize("record", ["alerts.json", "runs.jsonl", "premium_system.db.json", "premium_system.db"])
def test_a_damaged_record_counts_as_absent_is_told_once_and_written_anew(saved_bot, record):
    inbox = Inbox()
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    path, content = saved_bot.folder / "snapshots" / record, saved_bot.premium.read_bytes()
    for what, damaged in DAMAGED.items():
        damage(path, damaged)
        looks = (("backup.py", "--status"), *(OTHERS if damaged is None else ()))
        said = [saved_bot.run(*command).expect(0).stderr for command in looks]
        saved_bot.premium.unlink()
        said.append(saved_bot.run("backup.py").expect(3).stderr)
        told = len(inbox.got)
        assert "does not exist" in inbox.texts()[-1], what
        saved_bot.premium.write_bytes(content)
        said.append(saved_bot.run("backup.py").expect(0).stderr)
        warned = "".join(said).count(f"Warning: {path} ")
        is_damaged = record.endswith("db.json") or (record != "premium_system.db" and what != "nothing")
        assert warned == (what == "a folder" or is_damaged), what  # of the snapshot, the log says that every row is sent, and why
        assert saved_bot.run("backup.py").expect(0).stderr == "", what
        assert path.is_file(), what
        assert len(inbox.got) == told + 1, what  # works again
    saved_bot.run("restore.py", "--local", "--dry-run").expect(0)
    assert len(list(path.parent.glob(f"{record}.folder-*/of somebody"))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="not every system has a file that cannot be read")
@pytest.mark.parametrize("record", ["alerts.json", "runs.jsonl"])
def test_a_record_that_cannot_be_read_just_now_stays_as_it_is(saved_bot, record):
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{Inbox().url}/hook")
    path = saved_bot.folder / "snapshots" / record
    path.unlink(missing_ok=True)
    path.symlink_to("/proc/self/mem")  # reading its first byte is an I/O error
    saved_bot.premium.unlink()
    said = saved_bot.run("backup.py").expect(3).stderr
    assert f"Warning: {path} cannot be read (Input/output error), and stays as it is: " in said
    assert path.is_symlink()


def test_a_snapshot_that_restore_cannot_use_is_told_as_what_it_is(tmp_path):
    snapshot = tmp_path / "snapshots" / "shop.db"
    snapshot.parent.mkdir()
    snapshot.touch()
    with pytest.raises(SourceError, match="the snapshot of shop on this machine has no note that fits it, and is not"):
        local_state.newest({1: snapshot}, "shop", [])
    snapshot.unlink()
    snapshot.parent.rmdir()
    snapshot.parent.touch()
    with pytest.raises(SourceError, match="snapshots is not a folder: no snapshot of shop is there"):
        local_state.newest({1: snapshot}, "shop", [])


PIPES = ("alerts.json", "runs.jsonl", "premium_system.db.json", "premium_system.db")


def test_a_pipe_in_a_records_place_is_told_and_not_waited_for(saved_bot):
    log = saved_bot.folder / "pipe"
    saved_bot.write_env(BACKUP_LOG=log.name)
    for path in (log, *(saved_bot.folder / "snapshots" / name for name in PIPES)):
        damage(path, os.mkfifo)
    said = saved_bot.run("backup.py").expect(0).stderr
    assert f"Warning: the log {log} cannot be written (nobody reads that pipe): correct BACKUP_LOG in .env" in said
    assert f"Warning: {saved_bot.folder}/snapshots/runs.jsonl is not a file: what it told of earlier runs is lost" in said
    assert "premium_system.db.json is damaged, or of another version, and is written anew: every row of premium_system" in said
    assert saved_bot.run("backup.py").expect(0).stderr.count("Warning: ") == 1
    damage(saved_bot.folder / ".env", os.mkfifo)
    assert f"Error: {saved_bot.folder}/.env is not a file." in saved_bot.run("backup.py").expect(2).stderr


def test_a_bad_line_among_good_ones_costs_that_line_alone(saved_bot):
    record = saved_bot.folder / "snapshots" / "runs.jsonl"
    first, *others = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(first + b'{"source": "\xff"}\n' + b"".join(others))
    assert [text for text in saved_bot.backup()["warnings"] if "has 1 line" in text]
    assert len(record.read_text().splitlines()) == 4
    assert saved_bot.backup()["warnings"] == []


def set_clock(bot, seconds):
    """Let what this machine has recorded so far be so many seconds older, as if its clock had jumped since."""
    record = bot.folder / "snapshots" / "runs.jsonl"
    runs = [json.loads(line) for line in record.read_text().splitlines()]
    record.write_text("".join(json.dumps(run | {"at": run["at"] - seconds}) + "\n" for run in runs))


def failed_before_the_target(bot):
    bot.environment = {"HYBRID_BACKUP_RETRY_SECONDS": "0"}
    bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{free_port()}/postgres")
    bot.run("backup.py").expect(1)
    bot.write_env()


@pytest.mark.parametrize("jump", [-7200, 7200])
def test_the_status_goes_by_the_order_of_what_happened(saved_bot, jump):
    failed_before_the_target(saved_bot)
    set_clock(saved_bot, -jump)
    assert saved_bot.run("backup.py", "--status").stdout.count("❌ nothing has got through since") == 2
    saved_bot.backup()
    set_clock(saved_bot, jump)
    said = saved_bot.run("backup.py", "--status").expect(0).stdout
    assert "nothing has got through since" not in said
    assert said.count("got through since): cannot connect to") == 2


@pytest.mark.parametrize("jump", [-7200, 7200])
def test_so_it_does_without_the_network(saved_bot, jump):
    failed_before_the_target(saved_bot)
    saved_bot.backup()
    set_clock(saved_bot, jump)
    failed_before_the_target(saved_bot)
    down = f"postgresql://postgres:secret-4711@127.0.0.1:{free_port()}/postgres"
    saved_bot.write_env(SUPABASE_DB_URL=down)
    assert saved_bot.run("backup.py", "--status").stdout.count("❌ nothing has got through since") == 2
    saved_bot.write_env()
    saved_bot.backup()
    set_clock(saved_bot, jump)
    saved_bot.write_env(SUPABASE_DB_URL=down)
    assert "nothing has got through since" not in saved_bot.run("backup.py", "--status").stdout


def test_a_success_of_another_machine_is_newer_than_a_failure_here_before_it(saved_bot):
    """Its number says nothing of what this machine has never reached; then two clocks are all there is."""
    failed_before_the_target(saved_bot)
    shutil.move(saved_bot.folder / "snapshots" / "runs.jsonl", saved_bot.folder / "kept.jsonl")
    time.sleep(1)  # the clocks have a tenth of a second
    saved_bot.backup()
    shutil.move(saved_bot.folder / "kept.jsonl", saved_bot.folder / "snapshots" / "runs.jsonl")
    assert "nothing has got through since" not in saved_bot.run("backup.py", "--status").expect(0).stdout


@pytest.mark.parametrize("is_asked", [True, False])
def test_an_age_below_zero_is_unknown(saved_bot, is_asked):
    if is_asked:
        saved_bot.query("UPDATE backup.runs SET finished_at = finished_at + interval '2 hours'")
    else:
        set_clock(saved_bot, -7200)
        saved_bot.write_env(SUPABASE_DB_URL=f"postgresql://postgres:secret-4711@127.0.0.1:{free_port()}/postgres")
    for flags in ((), ("--max-age", "7h")):
        done = saved_bot.run("backup.py", "--status", "--json", *flags).expect(1)
        assert (
            "premium_system, user_requests: age unknown: the last success lies in the future.\nTry: set the clock" in done.stderr
        )
        assert done.json["sources"][0]["last_success"]["age"] is None
        assert done.json["sources"][0]["is_late"] is True
