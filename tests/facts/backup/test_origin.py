"""One source, one bot: what has the same name is not mirrored over another bot's rows, and no folder is shared by mistake."""

import functools
import json
import shutil
import socket

import pytest

from lib.base.errors import Problem
from lib.postgres.books import origin
from lib.settings import config
from lib.sqlite.snapshots import previous
from lib.trying import sample_bot, trial
from tests import compare
from tests.stand_ins.bot import Bot
from tests.stand_ins.deployment import Deployment

OTHER = "is that of another bot: "


@pytest.fixture
def second(saved_bot, tmp_path):
    """Another bot in another folder, with the same names and rows of its own, and the same BACKUP_SCHEMA."""
    second = Bot.make(tmp_path / "second", saved_bot.url, users=130)
    sample_bot.live(second.data, 7)
    return second


def assert_refused(done, second, accept):
    said = done.stderr + done.stdout
    assert f"the backup of premium_system {OTHER}" in said
    assert f"on {socket.gethostname()}, last saved by run " in said
    assert f"This one is {second.premium} on {socket.gethostname()}." in said
    assert accept in said


@pytest.mark.campaign
def test_a_second_bot_is_refused_by_every_script(saved_bot, second):
    kept = saved_bot.keep_copies()
    theirs = second.keep_copies()
    assert_refused(second.run("setup_supabase.py").expect(1), second, "backup.py premium_system --accept-moved")
    assert_refused(second.run("backup.py").expect(1), second, "python3 backup.py premium_system --accept-moved")
    assert_refused(second.run("restore.py", "--yes").expect(1), second, "python3 restore.py --accept-moved")
    said = second.run("restore.py", "--yes", "--table", "refunds").expect(1)
    assert_refused(said, second, "restore.py --table refunds --accept-moved")
    for name, path in theirs.items():
        assert compare.differences(path, second.data / f"{name}.db") == []
    assert saved_bot.changes("--full") == {}
    saved_bot.assert_restorable()
    second.run("restore.py", "--yes", "--to", str(second.folder / "look")).expect(0)
    assert compare.differences(kept["premium_system"], second.folder / "look" / sample_bot.PREMIUM) == []


@pytest.mark.campaign
def test_who_has_taken_the_others_place_says_so_once(saved_bot, second):
    second.backup("--accept-moved", "--accept-shrink")
    assert second.changes() == {}
    second.assert_restorable()
    said = saved_bot.run("backup.py").expect(1).stderr
    assert f"{OTHER}{second.premium} on" in said


def test_a_copied_folder_is_another_bot(saved_bot, tmp_path):
    copied = Bot(shutil.copytree(saved_bot.folder, tmp_path / "copied"), saved_bot.url)
    sample_bot.live(copied.data, 3)
    assert_refused(copied.run("backup.py").expect(1), copied, "--accept-moved")
    assert saved_bot.changes("--full") == {}


@pytest.mark.campaign
def test_a_restore_on_a_new_server_is_no_meeting(saved_bot, tmp_path):
    """There is no database yet: it is restored, and this is the bot from now on."""
    kept = saved_bot.keep_copies()
    new = Bot(tmp_path / "new", saved_bot.url)
    new.folder.mkdir()
    new.write_env()
    new.run("restore.py", "--yes").expect(0)
    assert compare.differences(kept["premium_system"], new.premium) == []
    sample_bot.live(new.data, 5)
    assert new.changes()
    new.assert_restorable()
    assert OTHER in saved_bot.run("backup.py").expect(1).stderr


def test_without_its_snapshots_a_bot_is_known_by_machine_and_path(saved_bot):
    shutil.rmtree(saved_bot.folder / "snapshots")
    sample_bot.live(saved_bot.data, 2)
    saved_bot.backup()
    saved_bot.assert_restorable()


def test_a_restore_that_could_not_read_whose_the_folder_is_makes_no_other_bot_of_it(saved_bot, tmp_path):
    """To a restore by another user, a folder that it cannot look into is as one that is not there."""
    snapshots = saved_bot.folder / "snapshots"
    shutil.move(snapshots, tmp_path / "snapshots")
    saved_bot.run("restore.py", "--yes").expect(0)
    shutil.rmtree(snapshots, ignore_errors=True)
    shutil.move(tmp_path / "snapshots", snapshots)
    assert saved_bot.backup()["warnings"] == []
    other = saved_bot.clone(tmp_path / "other")
    other.write_env()
    assert_refused(other.run("backup.py", "premium_system").expect(1), other, "--accept-moved")


def test_two_of_one_path_and_machine_are_told_what_may_have_happened():
    ours = origin.Origin("other", "here", "/bot/a.db", False, 7)
    with pytest.raises(Problem) as told:
        origin.refuse_other("a", ours, LAST, "python3 backup.py a --accept-moved")
    assert "another bot" not in told.value.what
    assert "is from this path and this machine's name, /bot/a.db on here, but not from this folder snapshots/" in told.value.what
    assert told.value.remedy.startswith("if there is one bot alone, run  python3 backup.py a --accept-moved\n")


LAST = {"origin": "id", "machine": "here", "path": "/bot/a.db", "run": 7, "at": ""}


@pytest.mark.parametrize(
    ("ours", "is_same"),
    [
        (("id", "here", "/bot/a.db", False, 7), True),
        (("id", "here", "/bot/a.db", False, 5), True),  # its last note was lost
        (("id", "container-2", "/bot/a.db", False, 7), True),  # a container has another name each time
        (("id", "clone", "/bot/a.db", False, 5), False),  # a copy of the machine, and another one has made run 7
        (("id", "here", "/other/a.db", False, 7), False),
        (("new", "here", "/bot/a.db", True, None), True),
        (("new", "there", "/bot/a.db", True, None), False),
        (("other", "here", "/bot/a.db", False, 7), False),
    ],
)
def test_what_makes_it_the_same_bot(ours, is_same):
    assert origin.Origin(*ours).is_that_of(LAST) is is_same
    assert origin.Origin(*ours).is_that_of(dict.fromkeys(LAST)) is True


@pytest.mark.campaign
def test_two_settings_files_in_one_folder_keep_two_snapshots(saved_bot):
    """Two deployments of one folder, each told of the other's changes by nothing but its own run."""
    first, other = saved_bot.folder / ".env", saved_bot.folder / "other.env"
    other.write_text(first.read_text() + "BACKUP_SCHEMA='second'\n")
    other.chmod(0o600)
    saved_bot.run("setup_supabase.py", "--env-file", str(other)).expect(0)
    for seed in range(3):
        sample_bot.live(saved_bot.data, seed)
        for env in (first, other):
            saved_bot.run("backup.py", "--env-file", str(env)).expect(0)
    sent = [
        json.loads(saved_bot.run("backup.py", "--json", "--env-file", str(env)).expect(0).stdout)["runs"][0]["tables"]
        for env in (first, other)
    ]
    assert [table["bytes_sent"] for tables in sent for table in tables if table["table"] == "refunds"] == [0, 0]
    for env in (first, other):
        saved_bot.run("backup.py", "--verify", "--env-file", str(env)).expect(0)
    places = [config.load(str(env)).snapshot_of("premium_system") for env in (first, other)]
    assert places[0] != places[1]
    assert all(previous.look(place).hash for place in places)


@pytest.mark.parametrize("meddle", ["replace", "write into", "replace and put back"])
def test_what_was_hashed_is_what_is_compared(tmp_path, database, monkeypatch, meddle):
    """Somebody touches the previous snapshot after it was hashed and before it is compared: no change is lost."""
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    deployment.set_up()
    deployment.back_up()
    deployment.script("UPDATE t SET v = 'changed' WHERE id = 1")
    newer = shutil.copy(deployment.path, tmp_path / "newer.db")
    from lib.postgres.books import runs

    lock, done = runs.take, []

    def meddled(*arguments):
        if not done:
            kept = deployment.kept
            done.append(shutil.copy(kept, tmp_path / "was.db"))
            if meddle == "write into":
                kept.write_bytes((tmp_path / "newer.db").read_bytes())
            else:
                shutil.copy(newer, tmp_path / "new.db")
                (tmp_path / "new.db").replace(kept)
            if meddle == "replace and put back":
                monkeypatch.setattr("lib.postgres.mirrors.merge.FEW_ROWS", 0)  # else nobody is asked while the file is read
                monkeypatch.setattr("lib.postgres.mirrors.last_run.confirm", put_back)
        return lock(*arguments)

    def put_back(*_arguments):
        shutil.copy(tmp_path / "was.db", tmp_path / "back.db")
        (tmp_path / "back.db").replace(deployment.kept)

    monkeypatch.setattr(runs, "take", meddled)
    deployment.back_up()
    assert deployment.rows("SELECT v FROM backup_source.t WHERE id = 1") == [("changed",)]
    monkeypatch.undo()
    assert deployment.back_up(full=True) == {}
    assert compare.differences(deployment.path, deployment.restored()) == []


@pytest.mark.campaign
def test_two_deployments_that_share_a_folder_at_once_lose_nothing(saved_bot):
    """They run at the same time, again and again, while the files change."""
    first, other = saved_bot.folder / ".env", saved_bot.folder / "other.env"
    other.write_text(first.read_text() + "BACKUP_SCHEMA='second'\n")
    other.chmod(0o600)
    saved_bot.run("setup_supabase.py", "--env-file", str(other)).expect(0)
    for seed in range(6):
        sample_bot.live(saved_bot.data, seed)
        at_once = [saved_bot.start("backup.py", "--env-file", str(env)) for env in (first, other)]
        said = [running.communicate(timeout=120) for running in at_once]
        assert [running.returncode for running in at_once] == [0, 0], said
    for env in (first, other):
        saved_bot.run("backup.py", "--env-file", str(env)).expect(0)
        saved_bot.run("backup.py", "--verify", "--env-file", str(env)).expect(0)


REWRITTEN = (("message_owners", "timestamp"), ("command_requests", "timestamp"), ("user_requests", "gift_name"))


def rewrite(bot):
    """Every row of every table becomes another one, under the key that it had."""
    for table, column in REWRITTEN:
        bot.sqlite(bot.requests, f"UPDATE {table} SET {column} = {column} || 1")


def test_the_brake_sees_that_every_row_is_another(saved_bot):
    """As many rows as before, and none of them the same: another bot's file was put in the place of this one's."""
    rewrite(saved_bot)
    said = saved_bot.run("backup.py", "user_requests").expect(1).stderr
    assert "user_requests has other rows than it had: " in said
    assert "Try: if not, see what a restore would bring back:  python3 restore.py --database user_requests --dry-run" in said
    saved_bot.backup("--accept-shrink", "user_requests")


def test_a_table_that_is_rewritten_is_no_alarm(saved_bot):
    saved_bot.sqlite(saved_bot.requests, "UPDATE message_owners SET timestamp = timestamp + 1")
    saved_bot.backup()


@pytest.mark.campaign
def test_after_a_restore_of_an_older_state_every_row_may_be_another(saved_bot):
    rewrite(saved_bot)
    saved_bot.backup("--accept-shrink")
    saved_bot.run("restore.py", "--yes", "--at", "2").expect(0)
    saved_bot.backup()


@pytest.mark.parametrize("wrong", [None, 7, "x", [], {"t": [1]}, {"t": "x"}, float("nan")])
def test_a_damaged_note_costs_one_whole_run_and_nothing_else(tmp_path, database, wrong):
    """Every entry of the note in turn is missing, or of another kind."""
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    deployment.set_up()
    deployment.back_up()
    for name in sorted(previous.NOTED):
        place = previous.note_of(deployment.kept)
        note = json.loads(place.read_text())
        note.pop(name) if wrong is None else note.update({name: wrong})
        place.write_text(json.dumps(note))
        deployment.script("UPDATE t SET v = v || 'x'")
        deployment.back_up()
    assert deployment.back_up(full=True) == {}
    assert compare.differences(deployment.path, deployment.restored()) == []


def places(said, above=()):
    """Yield where each part of a JSON stands."""
    for name, part in said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ():
        yield (*above, name)
        yield from places(part, (*above, name))


@pytest.mark.parametrize("wrong", [None, 7, ["\ud800"], {"x\0": 1}, "gone"], ids=str)
def test_a_note_that_is_damaged_within_costs_one_whole_run_and_nothing_else(tmp_path, database, wrong):
    """Every part of what is noted of the mirrors in turn is another kind, or gone."""
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE NOT NULL); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    deployment.set_up()
    deployment.back_up()
    place = previous.note_of(deployment.kept)
    for *above, last in list(places(json.loads(place.read_text())["mirrors"])):
        note = json.loads(place.read_text())
        part = functools.reduce(lambda said, name: said[name], above, note["mirrors"])
        part.pop(last) if wrong == "gone" else part.__setitem__(last, wrong)
        place.write_text(json.dumps(note))
        deployment.script("UPDATE t SET v = v || 'x' WHERE id = 1")
        deployment.back_up()
    assert deployment.back_up(full=True) == {}
    assert compare.differences(deployment.path, deployment.restored()) == []


FILL = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT"
TWO = f"CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (id INTEGER PRIMARY KEY, v); INSERT INTO a {FILL} i, i FROM n; INSERT INTO b {FILL} i, i FROM n;"
KEYLESS = f"CREATE TABLE a (u TEXT, v); CREATE TABLE b (u TEXT, v); INSERT INTO a {FILL} 'u' || i, i FROM n; INSERT INTO b {FILL} 'u' || i, i FROM n;"


@pytest.mark.parametrize(
    ("script", "change", "by_hand"),
    [
        (TWO, "ALTER TABLE a ADD COLUMN g INTEGER NOT NULL DEFAULT 0; ALTER TABLE b ADD COLUMN g INTEGER NOT NULL DEFAULT 0", ""),
        (KEYLESS, "DELETE FROM a WHERE rowid = 1; DELETE FROM b WHERE rowid = 1; VACUUM", ""),
        (TWO, "", "UPDATE backup_source.a SET v = -7; UPDATE backup_source.b SET v = -7"),
        (
            TWO,
            "",
            "INSERT INTO backup_source.a SELECT id + 1000, v FROM backup_source.a; INSERT INTO backup_source.b SELECT id + 1000, v FROM backup_source.b",
        ),
    ],
    ids=["a migration of every table", "compacted tables without a key", "every row edited by hand", "rows added by hand"],
)
def test_what_is_no_other_database_is_no_alarm(tmp_path, database, script, change, by_hand):
    deployment = Deployment(tmp_path / "bot", database)
    object.__setattr__(deployment.settings, "max_shrink", 50)
    deployment.script(script)
    deployment.set_up()
    deployment.back_up(accept_shrink=False)
    deployment.script(change)
    if by_hand:
        deployment.rows(by_hand)
    deployment.back_up(accept_shrink=False)
    assert deployment.back_up(full=True) == {}


@pytest.mark.parametrize(
    ("was", "now", "is_said"),
    [
        ("server", "clone", True),
        ("0123456789ab", "ba9876543210", False),
        ("server", "server", False),
        ("server", "0123456789ab", True),
    ],
)
def test_a_copied_machine_is_said_and_the_original_is_refused(saved_bot, monkeypatch, was, now, is_said):
    """The folder, its id and its path are the same: a container that was made anew, or a copy of the whole machine."""
    saved_bot.query(f"UPDATE backup.sources SET origin_machine = '{was}'")
    settings = config.load(str(saved_bot.folder / ".env"))
    monkeypatch.setattr(socket, "gethostname", lambda: now)
    from backup import back_up_all

    report = back_up_all(settings, settings.sources, trial.OPTIONS, trial.silent())
    assert [run.outcome for run in report.runs] == ["saved", "saved"]
    assert (f"was made on {was}, this one on {now}." in "".join(report.warnings)) is is_said
