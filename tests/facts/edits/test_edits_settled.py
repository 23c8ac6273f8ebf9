"""What comes before a crash is settled by the next run, as it was judged; what is taken back is what had come, no more."""

import pytest

from tests.stand_ins.editing import ACCEPTED, S, is_mirrored, outcomes, reasons

ROWS = """CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT, u TEXT);
INSERT INTO v VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z'), (5, 'e', 'x')"""


@pytest.fixture
def crashing(editing):
    """Let the next run end as by a power cut between the file's COMMIT and that of Postgres."""
    crash = editing.folder / "crash" / "sitecustomize.py"
    crash.parent.mkdir()
    crash.write_text(
        "import os, sys\n"
        "class Crash:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'lib.backing_up.edits':\n"
        "            sys.meta_path.remove(self)\n"
        "            from lib.postgres.books import edits\n"
        "            edits.keep = lambda *_: os._exit(9)\n"
        "sys.meta_path.insert(0, Crash())\n"
    )
    editing.environment = {"PYTHONPATH": str(crash.parent)}
    return editing


def test_what_has_come_before_a_crash_does_not_come_again(crashing):
    crashing.query(f"UPDATE {S} SET is_active = NOT is_active WHERE id = 2; UPDATE {S} SET expires_at = 5 WHERE id = 4")
    crashing.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    crashing.run("backup.py").expect(9)
    crashing.environment = {}
    query = "SELECT is_active, expires_at FROM premium_subscriptions WHERE id IN (2, 4)"
    assert len(crashing.sqlite_rows(crashing.premium, "SELECT 1 FROM pending_payments WHERE id = 9001")) == 1
    crashing.sqlite(crashing.premium, "DELETE FROM pending_payments WHERE id = 9001")
    crashing.sqlite(crashing.premium, "UPDATE premium_subscriptions SET is_active = NOT is_active WHERE id = 2")
    now = crashing.sqlite_rows(crashing.premium, query)
    crashing.run("backup.py").expect(0)
    assert crashing.sqlite_rows(crashing.premium, query) == now
    assert crashing.sqlite_rows(crashing.premium, "SELECT 1 FROM pending_payments WHERE id = 9001") == []
    assert sorted(outcome for outcome, _ in reasons(crashing)) == ["applied", "conflict", "conflict"]
    assert not list((crashing.folder / "snapshots").glob("*edits.json"))
    is_mirrored(crashing)


def expires(bot):
    return bot.sqlite_rows(bot.premium, "SELECT expires_at FROM premium_subscriptions WHERE id = 4")[0][0]


def crashed(bot):
    """Let an edit come, and the run end before Postgres knows; return what stood there before."""
    before = expires(bot)
    bot.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
    bot.run("backup.py").expect(9)
    bot.environment = {}
    assert expires(bot) == 5
    return before


def test_what_is_edited_again_after_a_crash_comes_too(crashing):
    crashed(crashing)
    crashing.query(f"UPDATE {S} SET expires_at = 6 WHERE id = 4")
    crashing.run("backup.py").expect(0)
    assert expires(crashing) == 6
    assert reasons(crashing) == [("applied", ""), ("applied", "")]
    is_mirrored(crashing)


def test_what_is_edited_back_after_a_crash_goes_back(crashing):
    before = crashed(crashing)
    crashing.query(f"UPDATE {S} SET expires_at = %s WHERE id = 4", [before])
    crashing.run("backup.py").expect(0)
    assert expires(crashing) == before
    assert reasons(crashing) == [("applied", ""), ("applied", "")]
    is_mirrored(crashing)


@pytest.mark.parametrize("accepted", [ACCEPTED.replace("premium_subscriptions.expires_at,", ""), ""])
def test_what_has_come_before_a_crash_is_in_whatever_is_accepted_now(crashing, accepted):
    crashed(crashing)
    crashing.write_env(BACKUP_ACCEPT_EDITS=accepted)
    done = crashing.backup()
    assert expires(crashing) == 5
    assert reasons(crashing) == [("applied", "")]
    assert [edit["outcome"] for run in done["runs"] for edit in run.get("edits", [])] == ["applied"]
    assert crashing.query("SELECT 1 FROM backup.edits WHERE run IS NULL") == []
    is_mirrored(crashing)


def test_edits_say_after_a_crash_what_a_run_does(crashing):
    crashing.query("INSERT INTO backup_premium_system.pending_payments VALUES (9001, 5, 'p', 10, 1, 2)")
    crashed(crashing)
    crashing.sqlite(crashing.premium, "DELETE FROM pending_payments WHERE id = 9001")
    crashing.query(f"UPDATE {S} SET is_active = NOT is_active WHERE id = 2")
    note = crashing.folder / "snapshots" / "premium_system.edits.json"
    before = crashing.premium.read_bytes(), note.read_bytes()
    shown = crashing.run("backup.py", "--edits", "--json").expect(0).json["pending"]
    assert "which is now in the bot's database" in crashing.run("backup.py", "--edits").expect(0).stdout
    assert (crashing.premium.read_bytes(), note.read_bytes()) == before
    assert outcomes(crashing) == []
    crashing.run("backup.py").expect(0)
    assert [(one["outcome"], one["reason"]) for one in shown] == reasons(crashing)
    assert sorted(outcome for outcome, _ in reasons(crashing)) == ["applied", "applied", "conflict"]


def test_what_postgres_knows_is_not_kept_twice(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
    note = editing.folder / "snapshots" / "premium_system.edits.json"
    crash = editing.folder / "crash" / "sitecustomize.py"
    crash.parent.mkdir()
    crash.write_text(
        "import os, pathlib\n"
        "unlink = pathlib.Path.unlink\n"
        "def stop(self, *given, **named):\n"
        "    os._exit(9) if self.name.endswith('.edits.json') else unlink(self, *given, **named)\n"
        "pathlib.Path.unlink = stop\n"
    )
    editing.environment = {"PYTHONPATH": str(crash.parent)}
    editing.run("backup.py").expect(9)
    editing.environment = {}
    assert (note.is_file(), reasons(editing)) == (True, [("applied", "")])
    editing.run("backup.py").expect(0)
    assert (note.is_file(), reasons(editing)) == (False, [("applied", "")])
    is_mirrored(editing)


@pytest.mark.parametrize("note", [b"", b"[]", b"{", b'{"place": 1}', b'["backup v 1"]'])
def test_a_damaged_note_says_nothing(editing, note):
    (editing.folder / "snapshots" / "premium_system.edits.json").write_bytes(note)
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
    editing.run("backup.py").expect(0)
    assert (expires(editing), reasons(editing)) == (5, [("applied", "")])


def test_what_is_taken_back_before_a_crash_is_settled_too(crashing):
    environment, crashing.environment = crashing.environment, {}
    before = expires(crashing)
    crashing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
    run = next(run["run"] for run in crashing.backup()["runs"] if run["source"] == "premium_system")
    crashing.environment = environment
    crashing.run("backup.py", "--undo-edits", str(run)).expect(9)
    crashing.environment = {}
    assert expires(crashing) == before
    crashing.run("backup.py").expect(0)
    assert crashing.query("SELECT outcome, undoes FROM backup.edits ORDER BY edit") == [("applied", None), ("applied", 1)]
    is_mirrored(crashing)


def rows(bot):
    return bot.sqlite_rows(bot.data / "small.db", "SELECT * FROM v ORDER BY id")


def test_what_the_bot_has_done_itself_is_not_taken_back(small):
    bot = small(ROWS, "v.t,v.u,v.delete,v.insert")
    bot.query("UPDATE backup_small.v SET t = 'edited', u = 'edited' WHERE id = 1; DELETE FROM backup_small.v WHERE id = 2")
    bot.query("INSERT INTO backup_small.v VALUES (4, 'd', 'd'); UPDATE backup_small.v SET t = 'edited' WHERE id = 3")
    bot.sqlite(
        bot.data / "small.db",
        "UPDATE v SET t = 'edited' WHERE id IN (1, 3); DELETE FROM v WHERE id = 2; INSERT INTO v VALUES (4, 'd', 'd')",
    )
    run = bot.backup()["runs"][0]["run"]
    already = ("applied", "the bot's database had it already")
    assert sorted(reasons(bot)) == [already, already, already, ("merged", "the bot's database had t already")]
    bot.run("backup.py", "--undo-edits", str(run)).expect(0)
    assert rows(bot) == [(1, "edited", "x"), (3, "edited", "z"), (4, "d", "d"), (5, "e", "x")]
    is_mirrored(bot)


def test_what_was_taken_back_can_be_brought_again_and_so_on(small):
    bot = small(ROWS, "v.t")
    bot.query("UPDATE backup_small.v SET t = 'edited' WHERE id = 1")
    first = bot.backup()["runs"][0]["run"]
    for number, value in [(first, "a"), (first + 1, "edited"), (first, "a"), (first + 3, "edited"), (first, "a")]:
        bot.run("backup.py", "--undo-edits", str(number)).expect(0)
        assert rows(bot)[0] == (1, value, "x")
        assert f"run {number} has sent no edits" in bot.run("backup.py", "--undo-edits", str(number)).expect(1).stderr
    is_mirrored(bot)


def test_a_key_of_any_length_is_told_by_its_beginning(small):
    bot = small("CREATE TABLE v (id TEXT PRIMARY KEY, t TEXT) WITHOUT ROWID; INSERT INTO v VALUES ('a', 'a'), ('b', 'b')", "v.t")
    key = "k" * 5000
    bot.query("INSERT INTO backup_small.v VALUES (%s, 'x')", [key])
    said = bot.run("backup.py").expect(0).stderr
    assert "kkk…" in said
    assert len(said) < 1000
    bot.write_env(SQLITE_DATABASES=str(bot.data / "small.db"))
    bot.query("INSERT INTO backup_small.v VALUES (%s, 'x')", [key])
    assert len(bot.run("backup.py").expect(0).stderr) < 1000
