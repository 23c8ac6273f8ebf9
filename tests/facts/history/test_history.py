"""Any earlier run comes back, one table comes back, a restore can be undone, and the brake stops a sudden loss."""

import contextlib
import random
import shutil
import sqlite3

import psycopg2
import pytest

from lib.trying import sample_bot
from tests import compare
from tests.cases import random_cases
from tests.cases.histories import random_history
from tests.stand_ins.deployment import Deployment


def as_of(bot, run):
    """Restore every database as of a run, and return the folder."""
    out = bot.folder / f"as-of-{run}"
    bot.run("restore.py", "--yes", "--to", str(out), "--at", str(run)).expect(0)
    return out


def live_and_keep(bot, seeds):
    """Let the bot live and back up, once for every seed; return the copies of its files by run."""
    kept = {}
    for seed in seeds:
        sample_bot.live(bot.data, seed)
        runs = {run["source"]: run["run"] for run in bot.backup()["runs"]}
        folder = bot.folder / f"kept-{seed}"
        shutil.copytree(bot.data, folder)
        kept[max(runs.values())] = folder
    return kept


@pytest.mark.campaign
def test_every_earlier_run_comes_back(saved_bot):
    kept = live_and_keep(saved_bot, range(5))
    for run, folder in kept.items():
        for path in folder.glob("*.db"):
            assert compare.differences(path, as_of(saved_bot, run) / path.name) == [], run


def test_run_numbers_rise_over_all_sources(saved_bot):
    """--at 3 is every source as run 3 left it: premium_system by run 3, user_requests still by run 2."""
    before = saved_bot.keep_copies()
    sample_bot.live(saved_bot.data, 1)
    assert [run["run"] for run in saved_bot.backup()["runs"]] == [3, 4]
    out = as_of(saved_bot, 3)
    assert compare.differences(saved_bot.premium, out / sample_bot.PREMIUM) == []
    assert compare.differences(before["user_requests"], out / sample_bot.REQUESTS) == []


@pytest.mark.campaign
def test_a_history_of_schema_and_rows_comes_back_run_by_run(tmp_path, database):
    """Thirty runs of random changes to rows and schema, each restored and compared."""
    chance = random.Random(7)
    deployment = Deployment(tmp_path / "source", database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, n); CREATE TABLE u (k TEXT PRIMARY KEY, v)")
    deployment.set_up()
    for run in range(1, 31):
        with contextlib.closing(sqlite3.connect(deployment.path, isolation_level=None)) as database:
            random_history(database, chance, run)
        deployment.back_up()
        shutil.copy(deployment.path, tmp_path / f"run-{run}.db")
    for run in range(30, 0, -1):
        assert compare.differences(tmp_path / f"run-{run}.db", deployment.restored(run)) == [], run


def test_an_empty_table_comes_back_after_its_mirror_was_made_anew(tmp_path, database):
    deployment = Deployment(tmp_path / "source", database)
    deployment.script("CREATE TABLE t (a TEXT PRIMARY KEY, b); CREATE TABLE u (id INTEGER PRIMARY KEY)")
    deployment.set_up()
    deployment.back_up()
    shutil.copy(deployment.path, tmp_path / "first.db")
    deployment.script("DROP TABLE t; CREATE TABLE t (c INTEGER PRIMARY KEY, d); INSERT INTO t VALUES (1, 2)")
    first = deployment.run
    deployment.assert_round_trip()
    assert compare.differences(tmp_path / "first.db", deployment.restored(first)) == []


def test_what_people_change_by_hand_is_reported_kept_and_undone(saved_bot):
    kept = saved_bot.keep_copies()
    saved_bot.query("UPDATE backup_premium_system.payment_history SET stars_amount = 7 WHERE id IN (1, 2)")
    saved_bot.query("DELETE FROM backup_premium_system.refunds WHERE id = 3")
    saved_bot.query("UPDATE backup_premium_system.refunded_groups SET id = 9999 WHERE id = 1")
    history = saved_bot.query(
        "SELECT table_name, operation, key->>'id', old_row ? 'owner_id' FROM backup.row_history"
        " WHERE changed_in = 'by hand: postgres' ORDER BY record, 3"
    )
    assert history == [
        ("payment_history", "update", "1", True), ("payment_history", "update", "2", True), ("refunds", "delete", "3", True),
        ("refunded_groups", "update", "1", True), ("refunded_groups", "insert", "9999", False),
    ]  # fmt: skip
    saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "out")).expect(0)
    assert compare.differences(kept["premium_system"], saved_bot.folder / "out" / sample_bot.PREMIUM) == []
    warnings = "\n".join(saved_bot.backup()["warnings"])
    assert "premium_system.payment_history: somebody changed the mirror by hand (update of 2 rows: id = 1; id = 2)." in warnings
    assert "premium_system.refunds: somebody changed the mirror by hand (delete of 1 row: id = 3)." in warnings
    assert saved_bot.run("backup.py", "--verify").status == 0
    assert saved_bot.backup()["warnings"] == []
    saved_bot.assert_restorable("--at", "2")


def test_a_row_s_story_is_told_in_sql_too(tmp_path, database):
    deployment = Deployment(tmp_path / "bot", database)
    name = "'it''s \"a\" \\ é'"
    deployment.script("CREATE TABLE t (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO t VALUES ('first', 1)")
    deployment.set_up()
    deployment.back_up()
    added = f"INSERT INTO t VALUES ({name}, 1), ('other', 5)"
    for change in (added, "UPDATE t SET n = 2", f"DELETE FROM t WHERE name = {name}", f"INSERT INTO t VALUES ({name}, 3)"):
        deployment.script(change)
        deployment.back_up()
    key = f"jsonb_build_object('name', {name})"
    told = deployment.rows(f"SELECT operation, old_row ->> 'n', new_row ->> 'n' FROM backup.row_history_of('t', {key})")
    assert told == [("insert", None, "1"), ("update", "1", None), ("delete", "2", None), ("insert", None, "3")]
    every = "SELECT record, old_row, new_row, changed_in FROM backup.row_history"
    assert deployment.rows(f"{every}_of('t', {key})") == deployment.rows(f"{every} WHERE key = {key} ORDER BY record")
    assert deployment.rows(f"{every} WHERE key ->> 'name' = 'other'")[0][2:] == ({"name": "other", "n": 5}, "run 2")


@pytest.mark.campaign
def test_a_change_by_hand_counts_from_its_commit(saved_bot):
    """Its transaction is open while a run sends nothing to that mirror, and is saved."""
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as somebody:
        somebody.cursor().execute("UPDATE backup_premium_system.refunds SET status = 'by hand' WHERE id = 1")
        saved_bot.sqlite(saved_bot.premium, "UPDATE payment_history SET stars_amount = 7 WHERE id = 1")
        kept = saved_bot.keep_copies()
        run = saved_bot.backup("premium_system")["runs"][0]["run"]
        somebody.commit()
    for when in ([], ["--at", str(run)]):
        saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "out"), *when).expect(0)
        assert compare.differences(kept["premium_system"], saved_bot.folder / "out" / sample_bot.PREMIUM) == []
        shutil.rmtree(saved_bot.folder / "out")
    (warning,) = saved_bot.backup()["warnings"]
    assert "premium_system.refunds: somebody changed the mirror by hand (update of 1 row: id = 1)." in warning
    assert saved_bot.run("backup.py", "--verify").status == 0
    assert saved_bot.backup()["warnings"] == []


def test_a_truncate_by_hand_is_undone(saved_bot):
    """Also after the next run, which cannot tell whether the log has seen everything."""
    kept, out = saved_bot.keep_copies(), saved_bot.folder / "out"
    ((run,),) = saved_bot.query("SELECT last_run FROM backup.sources WHERE source = 'user_requests'")
    saved_bot.query("TRUNCATE backup_user_requests.message_owners")
    for number, at in enumerate(([], ["--at", str(run)])):
        saved_bot.run("restore.py", "--yes", "--database", "user_requests", "--to", str(out / str(number)), *at).expect(0)
        assert compare.differences(kept["user_requests"], out / str(number) / sample_bot.REQUESTS) == []
        said = "\n".join(saved_bot.backup()["warnings"])
        assert ("message_owners had been changed behind the undo log's back" in said) == (number == 0)


def test_the_first_load_is_not_logged_and_records_are_grouped(saved_bot):
    assert saved_bot.query("SELECT count(*) FROM backup.undo_log WHERE mirror <> 'misfit_rows'") == [(0,)]
    saved_bot.sqlite(saved_bot.requests, "DELETE FROM message_owners")
    saved_bot.backup("--accept-shrink")
    records, rows, most = saved_bot.query(
        "SELECT count(*), sum(row_count)::int, max(row_count) FROM backup.undo_log WHERE mirror = 'message_owners'"
    )[0]
    assert rows > 1000
    assert most == 1000
    assert records == -(-rows // 1000) + 1  # one more where half a megabyte is full


def age(bot, days):
    """Let so many days have passed between the runs of each source."""
    bot.query(
        "UPDATE backup.runs SET finished_at = finished_at - make_interval(days => %s) * later FROM (SELECT run AS this,"
        " row_number() OVER (PARTITION BY source ORDER BY run DESC) - 1 AS later FROM backup.runs) AS places WHERE run = this",
        [days],
    )


@pytest.mark.campaign
def test_retention_prunes_and_never_breaks_a_remaining_point(saved_bot):
    kept = live_and_keep(saved_bot, range(4))
    runs = sorted(kept)
    age(saved_bot, 16)
    saved_bot.backup()
    points = saved_bot.run("restore.py", "--list", "--json").expect(0).json["runs"]
    oldest = {point["source"]: point["run"] for point in points if point["restorable"]}
    assert oldest == {"premium_system": runs[1] - 1, "user_requests": runs[1]}
    for run in runs[1:]:
        for path in kept[run].glob("*.db"):
            assert compare.differences(path, as_of(saved_bot, run) / path.name) == []
    said = saved_bot.run("restore.py", "--yes", "--at", "2", "--to", "/nowhere").expect(1).stderr
    assert f"premium_system cannot go back that far: its oldest restore point is run {runs[1] - 1}, " in said
    assert (
        f"Try: python3 restore.py --to /nowhere --database premium_system --at {runs[1] - 1}  or longer BACKUP_KEEP_DAYS" in said
    )


@pytest.mark.campaign
def test_a_time_may_be_named(saved_bot):
    kept = saved_bot.keep_copies()
    saved_bot.query("UPDATE backup.runs SET finished_at = '2026-11-01 12:00+00'")
    sample_bot.live(saved_bot.data, 3)
    saved_bot.backup()
    for when in ("2026-11-01 12:00", "2026-11-01", "2026-11-01T13:30:00+01:00", "2026-11-02T00:00:00Z", "yesterday"):
        out = saved_bot.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        saved_bot.run("restore.py", "--yes", "--to", str(out), "--at", when).expect(0)
        assert compare.differences(kept["premium_system"], out / sample_bot.PREMIUM) == [], when
    assert "cannot go back that far" in saved_bot.run("restore.py", "--yes", "--at", "2026-11-01 11:59").expect(1).stderr
    assert "is neither a run nor a time" in saved_bot.run("restore.py", "--yes", "--at", "soon").expect(2).stderr


@pytest.mark.campaign
def test_after_an_older_state_the_next_backup_works_and_newer_states_stay(saved_bot):
    first = saved_bot.keep_copies()
    saved_bot.sqlite(
        saved_bot.requests,
        "INSERT INTO message_owners WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 30000)"
        " SELECT 1000000 + n, -1, 2, 3 FROM c",
    )
    newer = max(run["run"] for run in saved_bot.backup()["runs"])
    shutil.copy(saved_bot.requests, saved_bot.folder / "newer.db")
    saved_bot.run("restore.py", "--yes", "--at", "2").expect(0)
    assert compare.differences(first["user_requests"], saved_bot.requests) == []
    saved_bot.backup()
    saved_bot.assert_restorable()
    assert compare.differences(saved_bot.folder / "newer.db", as_of(saved_bot, newer) / sample_bot.REQUESTS) == []


def test_one_table_is_put_back_and_the_rest_untouched(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "CREATE TRIGGER loud BEFORE DELETE ON refunds BEGIN SELECT RAISE(ABORT, 'no'); END")
    saved_bot.backup()
    kept = saved_bot.keep_copies()["premium_system"]
    saved_bot.sqlite(
        saved_bot.premium,
        "DROP TRIGGER loud; DELETE FROM refunds WHERE id IN (1, 2); UPDATE refunds SET status = 'x' WHERE id = 3",
    )
    saved_bot.sqlite(saved_bot.premium, "CREATE TRIGGER loud BEFORE DELETE ON refunds BEGIN SELECT RAISE(ABORT, 'no'); END")
    saved_bot.sqlite(
        saved_bot.premium,
        "UPDATE payment_history SET status = 'kept' WHERE id = 1;"
        "INSERT INTO refunds VALUES (5000, 1, 1, 1, 'p', 1, NULL, 1, NULL, NULL)",
    )
    said = saved_bot.run("restore.py", "--table", "refunds", "--at", "3", "--yes").expect(0).stdout
    assert "premium_system.refunds: 3 rows now, 4 rows then" in said or "2 added, 1 changed, 1 removed" in said
    refunds = "SELECT * FROM refunds ORDER BY id"
    assert saved_bot.sqlite_rows(saved_bot.premium, refunds) == saved_bot.sqlite_rows(kept, refunds)
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT status FROM payment_history WHERE id = 1") == [("kept",)]
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT seq FROM sqlite_sequence WHERE name = 'refunds'") == [(5000,)]
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT count(*) FROM sqlite_master WHERE name = 'loud'") == [(1,)]
    assert (
        "there are 0 databases with a table nothing."
        in saved_bot.run("restore.py", "--table", "nothing", "--yes").expect(1).stderr
    )


def test_dry_run_counts_what_would_change(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds WHERE id = 1; UPDATE refunds SET status = 'x' WHERE id = 2")
    before = saved_bot.premium.stat().st_ino, sorted(saved_bot.data.iterdir())
    found = saved_bot.run("restore.py", "--dry-run", "--json").expect(0).json
    refunds = next(table for table in found["tables"] if table["table"] == "refunds")
    assert (refunds["added"], refunds["changed"], refunds["removed"]) == (1, 1, 0)
    assert sum(table["added"] + table["changed"] + table["removed"] for table in found["tables"]) == 2
    assert (saved_bot.premium.stat().st_ino, sorted(saved_bot.data.iterdir())) == before


def test_dry_run_says_that_two_encodings_cannot_be_compared(saved_bot):
    saved_bot.premium.unlink()
    saved_bot.sqlite(saved_bot.premium, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE refunds (id INTEGER PRIMARY KEY)")
    said = saved_bot.run("restore.py", "--dry-run", "--database", "premium_system").expect(1).stderr
    assert "the present file and the rebuilt one cannot be compared: attached databases must use the same text encoding" in said


def test_a_restore_says_how_to_undo_it_and_undo_does(saved_bot):
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    before = saved_bot.keep_copies()["premium_system"]
    said = saved_bot.run("restore.py", "--yes", "--database", "premium_system").expect(0).stdout
    assert "to undo:  python3 restore.py --undo --database premium_system" in said
    saved_bot.run("restore.py", "--undo", "--yes", "--database", "premium_system").expect(0)
    assert compare.differences(before, saved_bot.premium) == []
    assert "before-restore-" in saved_bot.run("restore.py", "--list").expect(0).stdout
    saved_bot.run("restore.py", "--undo", "--yes", "--database", "premium_system").expect(0)
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT count(*) > 0 FROM refunds") == [(1,)]
    assert (
        "no restore has replaced a file here."
        in saved_bot.run("restore.py", "--undo", "--yes", "--database", "user_requests").expect(1).stderr
    )


def test_a_drill_proves_and_records(saved_bot):
    assert "last proven restorable: never" in saved_bot.run("backup.py", "--status").expect(0).stdout
    said = saved_bot.run("restore.py", "--drill").expect(0).stdout
    assert said.count("identical to the snapshot") == 2
    assert saved_bot.query("SELECT source, run, error FROM backup.drills ORDER BY drill") == [
        ("premium_system", 1, None), ("user_requests", 2, None),
    ]  # fmt: skip
    assert "last proven restorable: run 1, " in saved_bot.run("backup.py", "--status").expect(0).stdout
    assert all(point["proven_at"] for point in saved_bot.run("restore.py", "--list", "--json").json["runs"])
    shutil.rmtree(saved_bot.folder / "snapshots")
    assert "its snapshot is not on this machine" in saved_bot.run("restore.py", "--drill").expect(0).stdout


def test_a_drill_that_fails_says_so_and_is_recorded(saved_bot):
    saved_bot.query("UPDATE backup.run_tables SET digest = digest + 1 WHERE table_name = 'refunds'")
    done = saved_bot.run("restore.py", "--drill").expect(1)
    assert "premium_system.refunds: the rebuilt table differs from what run 1 saved" in done.stderr
    assert saved_bot.query("SELECT count(*) FROM backup.drills WHERE error IS NOT NULL") == [(1,)]


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_local_needs_no_network(saved_bot, mode):
    saved_bot.sqlite(saved_bot.premium, f"PRAGMA journal_mode = {mode}")
    saved_bot.backup()
    kept = saved_bot.keep_copies()
    shutil.rmtree(saved_bot.data)
    saved_bot.write_env(SUPABASE_DB_URL="postgresql://postgres:secret-4711@127.0.0.1:1/postgres")
    said = saved_bot.run("restore.py", "--local", "--yes").expect(0).stdout
    assert "premium_system: the snapshot of run 3, " in said
    for name, path in kept.items():
        assert compare.differences(path, saved_bot.data / f"{name}.db") == []


BRAKES = {
    "most rows are gone": (
        "requests",
        "DELETE FROM message_owners; DELETE FROM command_requests WHERE rowid > 20",
        "user_requests has lost",
    ),
    "a table is gone": ("premium", "DROP TABLE refunds", "premium_system has lost the table refunds (4 rows)"),
    "several tables are empty": (
        "requests",
        "DELETE FROM user_requests; DELETE FROM command_requests",
        "user_requests has lost all rows of",
    ),
    "a fresh empty database": ("requests", None, "user_requests has lost the table"),
}


@pytest.mark.parametrize("what", BRAKES)
def test_the_brake_refuses_a_sudden_loss(saved_bot, what):
    which, script, said = BRAKES[what]
    path = saved_bot.premium if which == "premium" else saved_bot.requests
    before = saved_bot.mirror_counts()
    kept = saved_bot.keep_copies()[path.stem]
    if script:
        saved_bot.sqlite(path, script)
    else:
        path.unlink()
        saved_bot.sqlite(path, "CREATE TABLE fresh (id INTEGER PRIMARY KEY)")
    done = saved_bot.run("backup.py", path.stem).expect(1)
    assert f"Error: {said}" in done.stderr
    assert f"python3 restore.py --database {path.stem}" in done.stderr
    assert f"python3 backup.py {path.stem} --accept-shrink" in done.stderr
    shutil.copy(path, saved_bot.folder / "lost.db")
    shutil.copy(kept, path)
    assert saved_bot.mirror_counts() == before
    shutil.copy(saved_bot.folder / "lost.db", path)
    saved_bot.backup(path.stem, "--accept-shrink")
    saved_bot.backup(path.stem)
    saved_bot.assert_restorable()


@pytest.mark.campaign
def test_ordinary_cleaning_is_no_alarm(saved_bot):
    """The bot forgets old messages and confirms payments all the time."""
    for seed in range(3):
        sample_bot.live(saved_bot.data, seed)
        saved_bot.sqlite(saved_bot.requests, "DELETE FROM message_owners WHERE message_id % 3 = 0")
        saved_bot.backup()
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM pending_payments; DELETE FROM refunds")
    saved_bot.backup()


def test_small_sources_may_lose_three_of_five_rows(tmp_path, database):
    deployment = Deployment(tmp_path, database)
    object.__setattr__(deployment.settings, "max_shrink", 50)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3), (4), (5)")
    deployment.set_up()
    deployment.back_up(accept_shrink=False)
    deployment.script("DELETE FROM t WHERE id > 2")
    assert deployment.back_up(accept_shrink=False)["t"] == (0, 0, 3)


@pytest.mark.campaign
def test_random_histories_come_back_run_by_run(tmp_path, server):
    assert random_cases.histories(tmp_path, server, cases=15)["runs"] > 30
