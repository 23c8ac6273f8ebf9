"""SQLite follows links, and so does a restore: the link stays, what it leads to is replaced."""

import contextlib
import os
import sqlite3

import pytest

from tests import compare

OURS = ("--yes", "--database", "premium_system")


def to_file(bot, real):
    bot.premium.symlink_to(real)


def relative(bot, real):
    bot.premium.symlink_to(os.path.relpath(real, bot.data))


def chain(bot, real):
    (bot.folder / "middle.db").symlink_to(real)
    bot.premium.symlink_to("../middle.db")


def folder(bot, real):
    """The whole folder is the link, and the name in it is its own."""
    real.rename(real.with_name(bot.premium.name))
    bot.requests.rename(real.with_name(bot.requests.name))
    bot.data.rmdir()
    bot.data.symlink_to(real.parent)


LINKS = [to_file, relative, chain, folder]


@pytest.fixture(params=LINKS)
def linked(request, saved_bot):
    """The database is in another folder, under another name, with another mode, and its last rows are in a -wal."""
    volume = saved_bot.folder / "volume"
    volume.mkdir()
    real = saved_bot.premium.rename(volume / "store.sqlite")
    real.chmod(0o640)
    request.param(saved_bot, real)
    saved_bot.real = saved_bot.premium.resolve()
    return saved_bot


def links(bot):
    return {path: os.readlink(path) for path in (bot.premium, bot.data, bot.folder / "middle.db") if path.is_symlink()}


def test_what_the_link_leads_to_is_replaced_and_kept_beside(linked):
    before, saved = links(linked), linked.keep_copies()["premium_system"]
    linked.sqlite(linked.premium, "DELETE FROM refunds")
    deleted = linked.keep_copies()["premium_system"].rename(linked.folder / "deleted.db")
    linked.keep_copies()
    said = linked.run("restore.py", *OURS).expect(0).stdout
    assert f" is a link to {linked.real}\n" in said
    assert f"✅ {linked.real}: " in said
    assert links(linked) == before
    assert linked.real.stat().st_mode & 0o777 == 0o640
    (kept,) = linked.real.parent.glob("*.before-restore-*")
    assert kept.name.startswith(f"{linked.real.name}.before-restore-")
    assert f"the old file is {kept}" in said
    assert compare.differences(deleted, kept) == []
    assert linked.sqlite_rows(linked.premium, "SELECT count(*) > 0 FROM refunds") == [(1,)]
    assert str(kept) in linked.run("restore.py", "--list").expect(0).stdout
    linked.run("restore.py", "--undo", *OURS).expect(0)
    assert compare.differences(deleted, linked.premium) == []
    assert links(linked) == before
    assert saved.exists()


def test_a_table_a_dry_run_and_a_snapshot_follow_it(linked):
    before = links(linked)
    linked.sqlite(linked.premium, "DELETE FROM refunds")
    expected = linked.run("restore.py", "--dry-run", "--database", "premium_system").expect(0).stdout
    assert "premium_system.refunds: 0 rows now" in expected
    assert list(linked.real.parent.glob("*restor*")) == []
    linked.run("restore.py", "--table", "refunds", *OURS).expect(0)
    assert linked.sqlite_rows(linked.real, "SELECT count(*) > 0 FROM refunds") == [(1,)]
    linked.sqlite(linked.premium, "DELETE FROM refunds")
    linked.run("restore.py", "--local", *OURS).expect(0)
    assert linked.sqlite_rows(linked.real, "SELECT count(*) > 0 FROM refunds") == [(1,)]
    assert links(linked) == before
    assert len(list(linked.real.parent.glob(f"{linked.real.name}.before-restore-*"))) == 2


def test_a_journal_beside_the_real_file_is_folded(linked):
    with contextlib.closing(sqlite3.connect(linked.premium, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE refunds SET status = 'in the wal'")
        parts = {name: open(f"{linked.real}{name}", "rb").read() for name in ("", "-wal")}  # noqa: SIM115
    for name, part in parts.items():
        with open(f"{linked.real}{name}", "wb") as file:
            file.write(part)
    linked.run("restore.py", *OURS).expect(0)
    (kept,) = linked.real.parent.glob("*.before-restore-*")
    assert linked.sqlite_rows(kept, "SELECT DISTINCT status FROM refunds") == [("in the wal",)]


@pytest.mark.parametrize("link", [to_file, relative, chain])
def test_a_link_that_leads_nowhere_gets_its_file(saved_bot, link):
    expected = saved_bot.keep_copies()["premium_system"]
    real = saved_bot.folder / "volume" / "store.sqlite"
    saved_bot.premium.unlink()
    link(saved_bot, real)
    before = links(saved_bot)
    saved_bot.run("restore.py", *OURS).expect(0)
    assert links(saved_bot) == before
    assert not real.is_symlink()
    assert compare.differences(expected, real) == []


def test_another_folder_may_hold_links_too(saved_bot):
    real = saved_bot.folder / "elsewhere.db"
    (saved_bot.folder / "out").mkdir()
    (saved_bot.folder / "out" / "premium_system.db").symlink_to(real)
    saved_bot.run("restore.py", "--to", str(saved_bot.folder / "out"), *OURS).expect(0)
    assert compare.differences(saved_bot.premium, real) == []


def test_a_link_that_leads_back_to_itself_is_named(saved_bot):
    saved_bot.premium.unlink()
    saved_bot.premium.symlink_to(saved_bot.premium.name)
    assert "is a link that leads back to itself." in saved_bot.run("restore.py", *OURS).expect(2).stderr


def test_two_databases_that_are_one_file_are_not_restored_over_each_other(saved_bot):
    saved_bot.requests.unlink()
    saved_bot.requests.symlink_to(saved_bot.premium)
    before = saved_bot.premium.read_bytes()
    said = saved_bot.run("restore.py", "--yes").expect(2).stderr
    assert f"premium_system and user_requests are one file: {saved_bot.premium}." in said
    assert saved_bot.premium.read_bytes() == before
