"""What is changed behind the undo log's back is noticed by the next run, mended, and said; no lost state is listed as restorable."""

import contextlib

import psycopg2
import pytest

from lib.postgres.mirrors import last_run
from lib.trying import sample_bot
from tests import compare

REFUNDS = "backup_premium_system.refunds"
EDIT = f"UPDATE {REFUNDS} SET status = 'unseen' WHERE id = 1"
AS_OWNER = {
    "disabled": f"ALTER TABLE {REFUNDS} DISABLE TRIGGER undo_update; {EDIT}",
    "disabled and enabled for ordinary sessions": f"ALTER TABLE {REFUNDS} DISABLE TRIGGER USER; {EDIT}; ALTER TABLE {REFUNDS} ENABLE TRIGGER USER",
    "dropped": f"DROP TRIGGER undo_update ON {REFUNDS}; {EDIT}",
    "one of the four replaced": f"DROP TRIGGER undo_update ON {REFUNDS}; CREATE TRIGGER undo_update AFTER UPDATE ON {REFUNDS} REFERENCING OLD TABLE AS"
    f" old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION backup.log_undo('premium_system', 'refunds', 'id'); {EDIT}",
    "with another key": f"DROP TRIGGER undo_update ON {REFUNDS}; CREATE TRIGGER undo_update AFTER UPDATE ON {REFUNDS} REFERENCING OLD TABLE AS"
    " old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION backup.log_undo('premium_system', 'refunds', 'owner_id');"
    f" ALTER TABLE {REFUNDS} ENABLE ALWAYS TRIGGER undo_update; {EDIT}",
    "another table": f"CREATE TABLE copy AS SELECT * FROM {REFUNDS} WHERE id > 1; ALTER TABLE copy ADD PRIMARY KEY (id); DROP TABLE {REFUNDS} CASCADE;"
    " ALTER TABLE copy RENAME TO refunds; ALTER TABLE refunds SET SCHEMA backup_premium_system;"
    f" SELECT backup.watch('premium_system', 'backup_premium_system', 'refunds'); SELECT backup.make_private('backup_premium_system')",
    "written anew by a change of type": f"ALTER TABLE {REFUNDS} ALTER status TYPE text USING status || '!'",
    "another column under the same name": f"ALTER TABLE {REFUNDS} DROP COLUMN status; ALTER TABLE {REFUNDS} ADD COLUMN status text DEFAULT 'x'",
    "a column exchanged for another": f"ALTER TABLE {REFUNDS} RENAME status TO was; ALTER TABLE {REFUNDS} ADD COLUMN status text;"
    f" ALTER TABLE {REFUNDS} DROP COLUMN was",
    "the undo log is switched off": f"ALTER TABLE backup.undo_log DISABLE TRIGGER USER; {EDIT}; TRUNCATE backup.undo_log",
    "the undo log is emptied after the edit": f"BEGIN; {EDIT}; COMMIT; TRUNCATE backup.undo_log",
    "the undo log is emptied row by row": f"BEGIN; {EDIT}; COMMIT; DELETE FROM backup.undo_log",
    "the record is deleted by the same transaction": f"{EDIT}; DELETE FROM backup.undo_log WHERE run IS NULL",
    "the record is changed by the same transaction": f"{EDIT}; UPDATE backup.undo_log SET source = 'other' WHERE run IS NULL",
}


def assert_noticed(bot, kept):
    """The next run says it and mends it, with one run more everything is quiet; what is listed can be restored."""
    warnings = "\n".join(bot.backup()["warnings"])
    assert "premium_system: somebody may have changed " in warnings
    assert "refunds had been changed behind the undo log's back" in warnings or "refunds" in warnings
    bot.assert_restorable()
    bot.run("backup.py", "--verify").expect(0)
    bot.run("setup_supabase.py").expect(0)
    assert bot.backup()["warnings"] == []
    assert bot.changes("--full") == {}
    assert_listed_come_back(bot, kept)


def assert_listed_come_back(bot, kept):
    points = bot.run("restore.py", "--list", "--json").expect(0).json["runs"]
    for point in points:
        if point["restorable"] and point["source"] == "premium_system" and point["run"] in kept:
            out = bot.folder / f"out-{point['run']}"
            bot.run("restore.py", "--yes", "--database", "premium_system", "--to", str(out), "--at", str(point["run"])).expect(0)
            assert compare.differences(kept[point["run"]], out / sample_bot.PREMIUM) == []
    return points


@pytest.fixture
def kept(saved_bot):
    """Three runs with what they left."""
    copies = {}
    for seed in range(3):
        sample_bot.live(saved_bot.data, seed)
        runs = {run["source"]: run["run"] for run in saved_bot.backup()["runs"]}
        copies[runs["premium_system"]] = saved_bot.folder / f"kept-{seed}.db"
        copies[runs["premium_system"]].write_bytes(saved_bot.premium.read_bytes())
    return copies


@pytest.mark.campaign
@pytest.mark.parametrize("how", AS_OWNER)
def test_a_switched_off_trigger_is_noticed_and_put_back(saved_bot, kept, how):
    saved_bot.query(AS_OWNER[how])
    assert_noticed(saved_bot, kept)


@pytest.mark.campaign
def test_a_lost_state_is_marked_and_the_other_tables_of_it_come_back(saved_bot, kept):
    saved_bot.query(AS_OWNER["disabled"])
    warnings = "\n".join(saved_bot.backup()["warnings"])
    assert "premium_system: refunds had been changed behind the undo log's back" in warnings
    said = saved_bot.run("restore.py", "--list").expect(0).stdout
    assert said.count(", without refunds") == len([line for line in said.splitlines() if "premium_system" in line]) - 1
    run = min(kept)
    saved_bot.run("restore.py", "--table", "payment_history", "--at", str(run), "--yes", "--accept-moved")
    failed = saved_bot.run(
        "restore.py", "--yes", "--database", "premium_system", "--to", str(saved_bot.folder / "out"), "--at", str(run)
    )
    if failed.status:
        assert "premium_system.refunds: the rebuilt table differs from what run" in failed.expect(1).stderr
    else:  # the row that was edited had been changed since: then it comes back after all
        assert compare.differences(kept[run], saved_bot.folder / "out" / sample_bot.PREMIUM) == []


@pytest.mark.campaign
def test_what_did_not_change_is_not_lost(saved_bot, kept):
    """The triggers were off, and nobody did anything."""
    saved_bot.query(f"ALTER TABLE {REFUNDS} DISABLE TRIGGER USER")
    (warning,) = saved_bot.backup()["warnings"]
    assert "somebody may have changed refunds without the undo log seeing it" in warning
    assert all(point["restorable"] for point in assert_listed_come_back(saved_bot, kept))


@pytest.mark.campaign
def test_a_mirror_that_was_only_written_anew_is_compared_and_nothing_is_lost(saved_bot, kept):
    saved_bot.query(f"VACUUM FULL {REFUNDS}")
    (warning,) = saved_bot.backup()["warnings"]
    assert "or was written anew (ALTER TABLE, VACUUM FULL)" in warning
    assert saved_bot.backup()["warnings"] == []
    assert all(point["restorable"] for point in assert_listed_come_back(saved_bot, kept))


@pytest.mark.campaign
@pytest.mark.parametrize("edit", [EDIT, f"DELETE FROM {REFUNDS} WHERE id < 3", "TRUNCATE backup.misfit_rows"])
def test_a_session_that_plays_a_replica_is_seen_all_the_same(saved_bot, server, kept, edit):
    with contextlib.closing(psycopg2.connect(saved_bot.url.replace("//postgres:", f"//{server.user}:"))) as admin:
        admin.autocommit = True
        admin.cursor().execute(f"SET session_replication_role = replica; {edit}")
    warnings = "\n".join(saved_bot.backup()["warnings"])
    assert "somebody changed the mirror by hand" in warnings
    assert all(point["restorable"] for point in assert_listed_come_back(saved_bot, kept))
    saved_bot.assert_restorable()


@pytest.mark.campaign
def test_what_no_cheap_look_can_see_is_found_within_a_day(saved_bot, kept, monkeypatch):
    """Switched off and on again as it was: the next run cannot know, the comparison of every row does."""
    saved_bot.query(
        f"ALTER TABLE {REFUNDS} DISABLE TRIGGER undo_update; {EDIT}; ALTER TABLE {REFUNDS} ENABLE ALWAYS TRIGGER undo_update"
    )
    assert saved_bot.backup()["warnings"] == []
    a_day_later(saved_bot)
    warnings = "\n".join(saved_bot.backup()["warnings"])
    assert "premium_system: refunds had been changed behind the undo log's back" in warnings
    assert "every row is sent, because the mirror of refunds does not hold what the snapshot holds" in saved_bot.log
    saved_bot.run("backup.py", "--verify").expect(0)
    assert_listed_come_back(saved_bot, kept)
    assert saved_bot.backup()["warnings"] == []


def a_day_later(bot):
    """What is noted about the last comparison is a day old."""
    for note in (bot.folder / "snapshots").glob("*.db.json"):
        text = note.read_text()
        at = text.split('"compared_at": ')[1].split("}")[0].split(",")[0]
        note.write_text(text.replace(at, str(float(at) - last_run.COMPARE_SECONDS)))


@pytest.mark.campaign
def test_every_row_is_compared_once_a_day_and_the_status_says_when(saved_bot, kept):
    query = "SELECT run, compared_all FROM backup.runs WHERE source = 'premium_system' ORDER BY run DESC LIMIT 1"
    assert not saved_bot.query(query)[0][1]
    a_day_later(saved_bot)
    sent = saved_bot.backup()["runs"][0]
    ((run, compared),) = saved_bot.query(query)
    assert compared is True
    assert sent["tables"][0]["bytes_sent"] == 0  # compared by digest: nothing need be sent
    assert f"every row last compared: by run {run}, " in saved_bot.run("backup.py", "--status").expect(0).stdout
    saved_bot.backup()
    assert not saved_bot.query(query)[0][1]


@pytest.mark.campaign
def test_a_writer_says_what_only_the_owner_can_mend(saved_bot, kept):
    said = saved_bot.run("setup_supabase.py", "--writer-role").expect(0).stdout
    role, password = said.split("they are not shown again:\n")[1].split("\n")[0].strip().split(":")
    saved_bot.write_env(SUPABASE_DB_URL=saved_bot.url.replace(f"postgres:{saved_bot.password}", f"{role}:{password}"))
    saved_bot.query(AS_OWNER["disabled"])
    for _ in range(2):
        assert "Run setup_supabase.py once as the user postgres." in "\n".join(saved_bot.backup()["warnings"])
    saved_bot.write_env()
    saved_bot.run("setup_supabase.py").expect(0)
    assert saved_bot.backup()["warnings"] == []
