"""What the last restore replaced is known by a note, not by a clock; where it is not known, it is asked."""

import json
import os
import sys
from pathlib import Path

import pytest

from lib.base.errors import SourceError
from lib.sqlite.replacing import safety_copies, swap
from tests import compare

FUTURE = "2099-01-01T00-00-00Z"
PAST = "2001-01-01T00-00-00Z"


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "data" / "bot.db"
    place.parent.mkdir()
    place.write_text("first")
    return place


def replaced(place, text, stamp=None):
    """Put a file with this text in place; the clock shows `stamp`."""
    new = place.with_name("new")
    new.write_text(text)
    kept = swap.into_place(new, place)
    return dated(place, kept, stamp) if stamp else kept


def dated(place, kept, stamp):
    """Make it look as if the clock had shown another time."""
    named = kept.with_name(f"{place.name}.before-restore-{stamp}")
    kept.rename(named)
    note = note_of(place)
    note.write_text(note.read_text().replace(kept.name, named.name))
    return named


def note_of(place):
    return place.with_name(f"{place.name}.before-restore.json")


def undone(place):
    swap.into_place(safety_copies.replaced_last(place), place)
    return place.read_text()


def test_after_the_clock_was_set_back_the_last_replaced_file_comes_back(place):
    replaced(place, "second", FUTURE)
    replaced(place, "third", PAST)
    assert [undone(place) for _ in range(4)] == ["second", "third", "second", "third"]


def test_two_restores_in_one_second_are_in_order(place):
    for text in ("second", "third", "fourth"):
        replaced(place, text)
    assert [undone(place) for _ in range(3)] == ["third", "fourth", "third"]


def test_the_note_is_private_and_survives_a_write_of_the_bot(place):
    replaced(place, "second", FUTURE)
    replaced(place, "third", PAST)
    assert note_of(place).stat().st_mode & 0o777 == 0o600
    with open(place, "a") as bot:
        bot.write(", and more")
    assert undone(place) == "second"


NAMES_NOTHING = (None, "", "{", "[]", "[[1]]", "null", '"x"', "3", "[" * 200_000, "pipe", "folder")
NAMES_ANOTHER = ('{"1": 2}', '{"": null}', '{"1": [{}]}')


@pytest.mark.parametrize("note", [*NAMES_NOTHING, *NAMES_ANOTHER], ids=lambda note: str(note)[:9])
def test_copies_of_older_versions_go_by_their_names(place, note):
    replaced(place, "second", PAST)
    replaced(place, "third")
    note_of(place).unlink()
    special = {None: id, "pipe": os.mkfifo, "folder": os.mkdir}
    special[note](note_of(place)) if note in special else note_of(place).write_text(note)
    if note in NAMES_ANOTHER:  # it names a copy that is not there
        with pytest.raises(SourceError):
            safety_copies.replaced_last(place)
    else:
        assert undone(place) == "second"


@pytest.mark.skipif(sys.platform != "linux", reason="not every system has a file that cannot be read")
def test_a_note_that_cannot_be_read_just_now_stays_as_it_is(place):
    replaced(place, "second", PAST)
    note_of(place).unlink()
    note_of(place).symlink_to("/proc/self/mem")  # reading its first byte is an I/O error
    replaced(place, "third")
    assert undone(place) == "second"
    assert note_of(place).is_symlink()


def test_a_copy_from_the_future_is_a_question(place):
    replaced(place, "second", FUTURE)
    replaced(place, "third", PAST)
    note_of(place).unlink()
    with pytest.raises(SourceError) as asked:
        safety_copies.replaced_last(place)
    assert f"bot.db.before-restore-{FUTURE}  5 bytes, last written " in asked.value.what
    assert f"bot.db.before-restore-{PAST}  6 bytes, last written " in asked.value.what
    assert asked.value.remedy.endswith(f"python3 restore.py --undo bot.db.before-restore-{FUTURE}")


def test_the_only_copy_is_no_question(place):
    replaced(place, "second", FUTURE)
    note_of(place).unlink()
    assert undone(place) == "first"


def test_an_older_version_that_came_between_is_a_question(place):
    """It knows no note, and names its copy by a clock that was set back."""
    replaced(place, "second")
    place.rename(place.with_name(f"{place.name}.before-restore-{PAST}"))
    place.write_text("third")
    with pytest.raises(SourceError, match="it is not clear which of these files"):
        safety_copies.replaced_last(place)


def test_an_older_version_whose_clock_was_right_is_none(place):
    replaced(place, "second", PAST)
    note_of(place).write_text("{}")
    place.rename(safety_copies.free_path(place))
    place.write_text("third")
    assert undone(place) == "second"


def test_the_replaced_file_that_was_removed_is_not_mistaken_for_an_older_one(place):
    replaced(place, "second", PAST)
    replaced(place, "third").unlink()
    with pytest.raises(SourceError, match="it is not clear"):
        safety_copies.replaced_last(place)


def test_a_restore_that_replaced_nothing_has_nothing_to_undo(place):
    replaced(place, "second", PAST)
    place.unlink()
    replaced(place, "third")
    with pytest.raises(SourceError, match="it is not clear"):
        safety_copies.replaced_last(place)


def test_after_the_folder_was_moved_to_another_disk_the_names_and_the_note_agree(place, tmp_path):
    replaced(place, "second", PAST)
    replaced(place, "third")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "taken").write_text("so that no inode is the same")
    for path in place.parent.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert undone(moved / "bot.db") == "second"


def test_a_name_that_somebody_has_given_is_a_question(place):
    replaced(place, "second", PAST)
    replaced(place, "third")
    note_of(place).unlink()
    os.link(place, place.with_name("bot.db.before-restore-this-one"))
    place.write_text("third")  # the link is the file itself: a restore that was killed
    assert safety_copies.replaced_last(place).read_text() == "second"
    Path(f"{place}.before-restore-this-one").unlink()
    Path(f"{place}.before-restore-this-one").write_text("named by hand")
    with pytest.raises(SourceError, match="it is not clear"):
        safety_copies.replaced_last(place)


@pytest.mark.campaign
def test_the_operator_is_asked_and_chooses(saved_bot):
    """The clock was ahead when the first restore was made, and an older version has left no note."""
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    emptied = saved_bot.keep_copies()["premium_system"]
    ours = ("--yes", "--database", "premium_system")
    saved_bot.run("restore.py", *ours).expect(0)
    (first,) = saved_bot.data.glob("*.before-restore-*")
    ahead = first.rename(first.with_name(f"premium_system.db.before-restore-{FUTURE}"))
    saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET status = 'between'")
    between = saved_bot.keep_copies()["premium_system"].rename(saved_bot.folder / "between.db")
    saved_bot.run("restore.py", *ours).expect(0)
    before = saved_bot.premium.read_bytes()
    saved_bot.data.joinpath("premium_system.db.before-restore.json").unlink()
    asked = saved_bot.run("restore.py", "--undo", *ours).expect(1)
    assert saved_bot.premium.read_bytes() == before
    (second,) = (path for path in saved_bot.data.glob("*.before-restore-*") if path != ahead)
    assert ahead.name in asked.stderr
    assert second.name in asked.stderr
    assert f"Try: choose the one to put back:  python3 restore.py --database premium_system --undo {ahead.name}" in asked.stderr
    saved_bot.run("restore.py", "--undo", second.name, "--yes").expect(0)
    assert compare.differences(between, saved_bot.premium) == []
    assert emptied is not None
    wrong = saved_bot.run("restore.py", "--undo", "premium_system.db.before-restore-1", "--yes").expect(1)
    assert "no restore has kept a file premium_system.db.before-restore-1 here." in wrong.stderr
    found = saved_bot.run("restore.py", "--undo", str(ahead), "--yes", "--json").expect(0).json["restored"]
    assert [restored["source"] for restored in found] == ["premium_system"]
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT count(*) FROM refunds") == [(0,)]


def test_the_note_is_what_a_restore_writes(saved_bot):
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    (kept,) = saved_bot.data.glob("*.before-restore-*")
    noted = json.loads((saved_bot.data / "premium_system.db.before-restore.json").read_text())
    assert noted == {str(saved_bot.premium.stat().st_ino): kept.name}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give a file away")
def test_the_note_and_the_files_belong_to_the_bots_user(saved_bot):
    os.chown(saved_bot.premium, 65534, 65534)
    saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0)
    owners = {path.name: path.stat().st_uid for path in saved_bot.data.glob("premium_system.db*")}
    assert len(owners) == 3
    assert set(owners.values()) == {65534}
