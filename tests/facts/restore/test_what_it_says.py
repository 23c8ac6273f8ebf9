"""What a restore says is true: what was compared with what, how it is undone, and in a dry run what would become of the files."""

import contextlib
import re
import shlex
import sqlite3

from lib.restoring import steps
from lib.restoring.rebuild import Rebuilt
from tests import compare


def undone(bot, said):
    """Type each command that was said to undo it, word for word, from the bot's folder."""
    commands = re.findall(r"to undo:  python3 (.*)", said)
    for command in commands:
        script, *flags = shlex.split(command)
        bot.run(script, *flags, "--yes").expect(0)
    return len(commands)


def test_what_is_typed_to_undo_undoes_what_was_done_and_nothing_else(saved_bot):
    out, places = saved_bot.folder / "some where", [saved_bot.premium, saved_bot.requests]
    saved_bot.run("restore.py", "--yes", "--to", str(out)).expect(0)
    live = [path.read_bytes() for path in places]
    for path in (out / place.name for place in places):
        path.write_bytes(b"what was there before")
    said = saved_bot.run("restore.py", "--yes", "--to", str(out)).expect(0).stdout
    assert undone(saved_bot, said) == 2
    assert [(out / place.name).read_bytes() for place in places] == [b"what was there before"] * 2
    assert [path.read_bytes() for path in places] == live
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    before = saved_bot.keep_copies()["premium_system"]
    assert undone(saved_bot, saved_bot.run("restore.py", "--yes", "--table", "refunds").expect(0).stdout) == 1
    assert compare.differences(before, saved_bot.premium) == []


def test_a_folder_in_the_database_s_place_gives_nothing_to_the_file_and_is_no_old_file(saved_bot):
    """Docker makes one, for everybody, where it finds no file to mount."""
    kept = saved_bot.keep_copies()["premium_system"]
    saved_bot.premium.unlink()
    saved_bot.premium.mkdir()
    saved_bot.premium.chmod(0o777)
    said = saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0).stdout
    (folder,) = saved_bot.data.glob("*.before-restore-*Z")
    assert f"   a folder was in its place, and is {folder} now\n" in said
    assert "to undo" not in said
    assert saved_bot.premium.stat().st_mode & 0o777 == 0o600
    assert compare.differences(kept, saved_bot.premium) == []
    assert "no restore has replaced a file here." in saved_bot.run("restore.py", "--undo", "--yes").expect(1).stderr
    assert str(folder) not in saved_bot.run("restore.py", "--list").expect(0).stdout


def test_where_nothing_was_done_no_folder_was_made(saved_bot):
    out = saved_bot.folder / "new" / "out"
    for flags in (["--dry-run"], ["--dry-run", "--local"], ["--dry-run", "--table", "refunds"]):
        assert "Nothing was done." in saved_bot.run("restore.py", "--to", str(out), *flags).expect(0).stdout
        assert not out.parent.exists(), flags
    saved_bot.run("restore.py", "--to", str(out), "--at", "9999", "--yes").expect(2)
    assert not out.parent.exists()
    saved_bot.run("restore.py", "--to", str(out), "--yes").expect(0)
    assert len(list(out.glob("*.db"))) == 2


def test_the_success_line_says_what_was_compared_with_what(saved_bot):
    ours = ("--yes", "--database", "premium_system")
    said = saved_bot.run("restore.py", *ours).expect(0).stdout
    assert re.search(r"premium_system\.db: [\d,]+ rows of run 1, every row compared with what it saved\n", said)
    said = saved_bot.run("restore.py", *ours, "--table", "refunds").expect(0).stdout
    assert re.search(r"[\d,]+ rows of refunds from run 1, every row compared; the other tables as they were\n", said)
    said = saved_bot.run("restore.py", *ours, "--local").expect(0).stdout
    assert "every row" not in said
    assert re.search(r"rows of run 1, byte for byte as in this machine's snapshot; Supabase was not asked\n", said)


def test_a_dry_run_in_an_emergency_shows_what_would_come_back(saved_bot):
    """One file is corrupt, the other one has lost rows."""
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM message_owners WHERE rowid = 1")
    saved_bot.premium.write_bytes(saved_bot.premium.read_bytes()[:40_000])
    before = saved_bot.premium.read_bytes()
    for flags in ((), ("--local",)):
        done = saved_bot.run("restore.py", "--dry-run", *flags).expect(0)
        assert (
            "Warning: the present file of premium_system cannot be compared, and counts as if it were not there: " in done.stderr
        )
        assert "database disk image is malformed" in done.stderr
        assert re.search(r"premium_system\.refunds: 0 rows now, (\d+) then: \1 added, 0 changed, 0 removed", done.stdout)
        assert re.search(r"user_requests\.message_owners: .* 1 added, 0 changed, 0 removed", done.stdout)
        told = saved_bot.run("restore.py", "--dry-run", "--json", *flags).expect(0).json
        assert {table["source"] for table in told["tables"]} == {"premium_system", "user_requests"}
        assert "the present file of premium_system cannot be compared" in told["warnings"][0]
    assert saved_bot.premium.read_bytes() == before
    assert list(saved_bot.data.glob("*restor*")) == []


def test_a_file_that_cannot_be_compared_does_not_hide_the_other(saved_bot):
    saved_bot.premium.unlink()
    saved_bot.sqlite(saved_bot.premium, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE refunds (id INTEGER PRIMARY KEY)")
    done = saved_bot.run("restore.py", "--dry-run").expect(1)
    assert "the present file and the rebuilt one cannot be compared" in done.stderr
    assert "user_requests.message_owners: " in done.stdout


def test_a_dry_run_into_another_folder_compares_with_what_is_there(saved_bot):
    out = saved_bot.folder / "out"
    saved_bot.run("restore.py", "--yes", "--to", str(out)).expect(0)
    saved_bot.sqlite(out / saved_bot.premium.name, "DELETE FROM refunds WHERE id = 1")
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    said = saved_bot.run("restore.py", "--dry-run", "--to", str(out)).expect(0).stdout
    assert re.search(r"premium_system\.refunds: .* 1 added, 0 changed, 0 removed", said)


def test_an_order_that_only_the_bot_knows_keeps_nothing_from_being_compared(tmp_path):
    """A key in an order that the bot itself has registered, and no rowid to go by."""
    for name in ("present.db", "rebuilt.db"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as database:
            database.create_collation("of_the_bot", lambda one, other: (one > other) - (one < other))
            database.executescript("CREATE TABLE own (k TEXT COLLATE of_the_bot PRIMARY KEY) WITHOUT ROWID")
            database.execute("INSERT INTO own VALUES ('a')")
            database.commit()
    built = Rebuilt("own", 1, 1, tmp_path / "present.db", tmp_path / "rebuilt.db", [])
    ((difference,), reason) = steps.differences(built, built.place)
    assert (difference.rows_now, difference.rows_then, difference.added, difference.removed) == (1, 1, 0, 0)
    assert not reason
