"""What comes before a crash is settled by the next run, as it was judged; what is taken back is what had come, no more."""

import contextlib
import json
import re
import secrets
import signal
import sqlite3

import psycopg2
import pytest

from tests.stand_ins.editing import ACCEPTED, S, is_mirrored, notes, outcomes, reasons
from tests.stand_ins.supabase import make_database

ROWS = """CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT, u TEXT);
INSERT INTO v VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z'), (5, 'e', 'x')"""


# What a script does first where Python finds it: when edits are about to be judged, something of ours ends as by a power cut.
CRASH = """
import os, sys
class Crash:
    def find_spec(self, name, *_):
        if name == "lib.backing_up.edits":
            sys.meta_path.remove(self)
            {what}
sys.meta_path.insert(0, Crash())
"""


BEFORE_THE_FILE = (
    "from lib.backing_up.edit_note import EditNote; write = EditNote.write; "
    "EditNote.write = lambda *given, **named: (write(*given, **named), os._exit(9))"
)


def ends_at(bot, what):
    crash = bot.folder / "crash" / "sitecustomize.py"
    crash.parent.mkdir(exist_ok=True)
    crash.write_text(CRASH.format(what=what))
    bot.environment = {"PYTHONPATH": str(crash.parent)}


@pytest.fixture
def crashing(editing):
    """Let the next run end between the file's COMMIT and that of Postgres."""
    ends_at(editing, "from lib.postgres.books import edits; edits.keep = lambda *_: os._exit(9)")
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
    assert reasons(crashing) == [("applied", "")] * 3
    assert notes(crashing) == []
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
    (note,) = notes(crashing)
    before = crashing.premium.read_bytes(), note.read_bytes()
    shown = crashing.run("backup.py", "--edits", "--json").expect(0).json["pending"]
    assert "which is now in the bot's database" in crashing.run("backup.py", "--edits").expect(0).stdout
    assert (crashing.premium.read_bytes(), note.read_bytes()) == before
    assert outcomes(crashing) == []
    crashing.run("backup.py").expect(0)
    assert [(one["outcome"], one["reason"]) for one in shown] == reasons(crashing)
    assert reasons(crashing) == [("applied", "")] * 3


def test_what_postgres_knows_is_not_kept_twice(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
    ends_at(editing, "from lib.backing_up.edit_note import EditNote; EditNote.remove = lambda _: os._exit(9)")
    editing.run("backup.py").expect(9)
    editing.environment = {}
    assert (len(notes(editing)), reasons(editing)) == (1, [("applied", "")])
    editing.run("backup.py").expect(0)
    assert (notes(editing), reasons(editing)) == ([], [("applied", "")])
    is_mirrored(editing)


def test_what_has_not_come_before_a_crash_comes_after_it(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4; UPDATE {S} SET is_active = NOT is_active WHERE id = 2")
    ends_at(editing, BEFORE_THE_FILE)
    before = editing.premium.read_bytes()
    editing.run("backup.py").expect(9)
    editing.environment = {}
    assert (len(notes(editing)), editing.premium.read_bytes()) == (1, before)
    editing.sqlite(editing.premium, "UPDATE premium_subscriptions SET is_active = is_active + 5 WHERE id = 2")
    editing.run("backup.py").expect(0)
    assert expires(editing) == 5
    assert sorted(outcome for outcome, _ in reasons(editing)) == ["applied", "conflict"]
    assert notes(editing) == []
    is_mirrored(editing)


def test_a_signal_while_the_file_is_waited_for_costs_no_edit(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
    with contextlib.closing(sqlite3.connect(editing.premium, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM premium_subscriptions").fetchone()
        running = editing.start("backup.py")
        while not notes(editing):
            assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        running.communicate()
    assert expires(editing) != 5
    editing.run("backup.py").expect(0)
    assert (expires(editing), reasons(editing)) == (5, [("applied", "")])


def test_what_was_certainly_written_is_known_by_one_row(crashing):
    """The note says before the file is written that it may be, and there is no time to say that it was."""
    crashing.query(f"UPDATE {S} SET is_active = NOT is_active WHERE id = 2; UPDATE {S} SET expires_at = 7 WHERE id = 6")
    crashed(crashing)
    (note,) = notes(crashing)
    note.write_text(note.read_text().replace('"has_come": true', '"has_come": false'))
    crashing.sqlite(crashing.premium, "UPDATE premium_subscriptions SET is_active = is_active + 5 WHERE id = 2")
    crashing.run("backup.py").expect(0)
    assert reasons(crashing) == [("applied", "")] * 3
    is_mirrored(crashing)


def test_one_row_that_the_bot_has_made_so_itself_is_no_proof(editing):
    editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4; UPDATE {S} SET expires_at = 7 WHERE id = 2")
    editing.query(f"UPDATE {S} SET is_active = NOT is_active WHERE id = 6")
    with contextlib.closing(sqlite3.connect(editing.premium, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM premium_subscriptions").fetchone()
        assert "was locked" in editing.run("backup.py").expect(3).stderr
    assert notes(editing) == []
    ends_at(editing, BEFORE_THE_FILE)
    editing.run("backup.py").expect(9)
    editing.environment = {}
    editing.sqlite(editing.premium, "UPDATE premium_subscriptions SET is_active = NOT is_active WHERE id = 6")
    editing.run("backup.py").expect(0)
    assert editing.sqlite_rows(editing.premium, "SELECT expires_at FROM premium_subscriptions WHERE id IN (2, 4)") == [(7,), (5,)]
    assert sorted(reasons(editing)) == [("applied", "")] * 2 + [("applied", "the bot's database had it already")]


def test_a_crash_is_settled_by_another_name_of_the_same_database(crashing):
    before = crashed(crashing)
    crashing.sqlite(crashing.premium, f"UPDATE premium_subscriptions SET expires_at = {before or 'NULL'} WHERE id = 4")
    crashing.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED, SUPABASE_DB_URL=crashing.url.replace("127.0.0.1", "localhost"))
    crashing.run("backup.py").expect(0)
    assert (expires(crashing), reasons(crashing)) == (before, [("applied", "")])


def test_each_target_settles_its_own(crashing, server):
    environment = crashing.environment
    with make_database(server, f"test_{secrets.token_hex(6)}") as url:
        both = {"BACKUP_ACCEPT_EDITS": ACCEPTED}
        crashing.environment = {}
        crashing.write_env(**both, SUPABASE_DB_URL_2=url)
        crashing.run("setup_supabase.py").expect(0)
        crashing.run("backup.py").expect(0)
        crashing.environment = environment
        crashed(crashing)
        crashing.write_env(**both, SUPABASE_DB_URL=url, SUPABASE_DB_URL_2=crashing.url)
        with contextlib.closing(psycopg2.connect(url)) as other, other, other.cursor() as cursor:
            crashing.run("backup.py").expect(0)
            cursor.execute(f"UPDATE {S} SET expires_at = 7 WHERE id = 4")
        crashing.run("backup.py").expect(0)
    assert (expires(crashing), reasons(crashing), notes(crashing)) == (7, [("applied", "")], [])


DAMAGED = (b"", b"[]", b"{", b'{"place": 1}', b'["backup v 1"]', b'{"judged": [], "up_to": 9, "last": 0, "has_come": true}')


@pytest.mark.parametrize("damage", [*DAMAGED, '"last"', '"up_to"', '"outcome"', '"record"', '"judged"'])
def test_a_damaged_note_says_nothing(crashing, damage):
    crashed(crashing)
    (note,) = notes(crashing)
    if isinstance(damage, str):
        note.write_text(re.sub(damage + r": (?:\[.*\]|[^,]+)", damage + ": null", note.read_text(), count=1))
        json.loads(note.read_text())
    else:
        note.write_bytes(damage)
    crashing.run("backup.py").expect(0)
    assert (expires(crashing), reasons(crashing)) == (5, [("applied", "the bot's database had it already")])
    is_mirrored(crashing)


def test_a_folder_in_the_note_s_place_is_in_nobody_s_way(editing):
    with contextlib.closing(sqlite3.connect(editing.premium, isolation_level=None)) as bot:
        editing.query(f"UPDATE {S} SET expires_at = 5 WHERE id = 4")
        bot.execute("BEGIN IMMEDIATE")
        ends_at(editing, "from lib.backing_up.edit_note import EditNote; EditNote.remove = lambda self: self._path.mkdir()")
        editing.run("backup.py").expect(3)
        bot.execute("ROLLBACK")
    editing.environment = {}
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


def test_what_is_taken_back_again_after_a_crash_is_taken_back_once(small):
    bot = small(ROWS, "v.t")
    bot.query("UPDATE backup_small.v SET t = 'edited' WHERE id = 1")
    run = bot.backup()["runs"][0]["run"]
    ends_at(bot, "from lib.postgres.books import edits; edits.keep = lambda *_: os._exit(9)")
    bot.run("backup.py", "--undo-edits", str(run)).expect(9)
    bot.environment = {}
    assert f"run {run} has sent no edits" in bot.run("backup.py", "--undo-edits", str(run)).expect(1).stderr
    assert rows(bot)[0] == (1, "a", "x")
    bot.run("backup.py").expect(0)
    bot.run("backup.py", "--undo-edits", str(run + 1)).expect(0)
    assert rows(bot)[0] == (1, "edited", "x")
    bot.run("backup.py", "--undo-edits", str(run)).expect(0)
    assert rows(bot)[0] == (1, "a", "x")
    is_mirrored(bot)


def test_nothing_is_judged_where_nothing_is_accepted(small):
    bot = small(ROWS, "v.t")
    bot.query("UPDATE backup_small.v SET t = 'edited' WHERE id = 1")
    bot.write_env(SQLITE_DATABASES=str(bot.data / "small.db"))
    assert "0 edits would be judged now" in bot.run("backup.py", "--edits").expect(0).stdout
    bot.run("backup.py").expect(0)
    assert reasons(bot) == []


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
