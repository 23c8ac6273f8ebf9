"""Full: the plan's limit, the target's disk, this machine's disk. What cannot be done is refused with the numbers, and undone."""

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib.base.errors import Problem
from lib.trying import embedded_postgres, sample_bot
from tests import compare
from tests.stand_ins.bot import Bot, environment
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import as_admin, make_database

pytestmark = pytest.mark.campaign

MB = 1_000_000
SIZE = "SELECT pg_database_size(current_database())"


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A file system of its own, in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode
    ):
        pytest.skip("only root can mount a small file system, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_database_that_is_nearly_full_is_a_warning_with_the_days_that_are_left(saved_bot):
    ((used,),) = saved_bot.query("SELECT pg_database_size(current_database())")
    limit = used * 11 // 10 // MB + 1
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB=str(limit))
    saved_bot.query(
        "UPDATE backup.runs SET database_bytes = database_bytes - 1000000, finished_at = finished_at - interval '10 days'"
    )
    sample_bot.live(saved_bot.data, seed=1)
    said = saved_bot.run("backup.py").expect(0).stderr
    ((used_then,),) = saved_bot.query("SELECT pg_database_size(current_database())")
    told = [float(size) for size in re.findall(rf"Warning: the database has ([\d.]+) MB of {limit:.1f} MB \(", said)]
    assert told
    assert used / MB - 0.05 <= min(told) <= max(told) <= used_then / MB + 0.05
    assert "; at the present growth it is full in " in said


def test_what_cannot_fit_is_refused_with_the_numbers(saved_bot):
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="1")
    before = saved_bot.query("SELECT last_run FROM backup.sources ORDER BY source")
    for path in saved_bot.databases:
        saved_bot.sqlite(path, "CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(9000))")
    said = saved_bot.run("backup.py").expect(1).stderr
    assert "premium_system does not fit: the database has " in said
    assert re.search(
        r" of 1\.0 MB, and about \d+\.\d kB are to be added \(\d+\.\d kB of the file are in use, \d+\.\d kB were ", said
    )
    assert "the last good backup is run 1, " in said
    assert saved_bot.query("SELECT last_run FROM backup.sources ORDER BY source") == before
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="0")
    assert "the database has" not in saved_bot.run("backup.py").expect(0).stderr


@pytest.mark.parametrize(
    ("columns", "values"),
    [("a INTEGER, b TEXT, PRIMARY KEY (b, a)", "i, 'user ' || i * 7919 % 1000003"), ("a INTEGER PRIMARY KEY", "i")],
)
@pytest.mark.parametrize("rows", [20_000, 60_000])
def test_what_many_small_rows_take_is_foreseen(rows, columns, values, tmp_path, database):
    """In Postgres a row takes more than in SQLite: a plan that has room for the file alone has none for its mirrors."""
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script(
        f"CREATE TABLE t ({columns}); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {rows}) INSERT INTO t SELECT {values} FROM n"
    )
    deployment.set_up()
    ((before,),), of_file = deployment.rows(SIZE), deployment.path.stat().st_size
    unlimited = deployment.settings
    deployment.settings = dataclasses.replace(unlimited, max_database_mb=(before + of_file + 50 * rows) // MB)
    with pytest.raises(Problem, match=r"source does not fit: .* there, each row takes 60 bytes more"):
        deployment.back_up()
    deployment.settings = unlimited
    deployment.back_up()
    ((after,),) = deployment.rows(SIZE)
    assert 0.7 < (after - before) / (of_file + 60 * rows) < 1.3


TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b, c);"
ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT {} FROM n;"
MANY = TABLE + ROWS.format("i, hex(randomblob(60)), random(), random()")
OTHERS = ROWS.format("i + 50000, hex(randomblob(60)), random(), random()")
LONG = TABLE + ROWS.format("i, i || replace(hex(zeroblob(400)), '00', 'the same again, '), i, i").replace("20000", "1500")
INDEXES = (
    "CREATE INDEX i ON t (a); CREATE INDEX j ON t (b, a); CREATE INDEX k ON t (c, a); CREATE INDEX l ON t (a, c, b); ANALYZE;"
)
IN_NO_MIRROR = {
    "indexes": MANY + INDEXES,
    "half-filled pages": MANY + "DELETE FROM t WHERE id % 10",
    "the pages of empty tables": "PRAGMA page_size = 65536;" + "".join(f"CREATE TABLE t{n} (a PRIMARY KEY);" for n in range(40)),
}


@pytest.mark.parametrize("what", IN_NO_MIRROR)
def test_what_is_in_the_file_alone_needs_no_room(what, tmp_path, database):
    """What is refused though it would fit is not backed up at all."""
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script(IN_NO_MIRROR[what])
    deployment.set_up()
    ((before,),) = deployment.rows(SIZE)
    limit = (before + 6 * MB if what == "indexes" else before + 3 * MB) // MB
    assert deployment.path.stat().st_size > limit * MB - before
    deployment.settings = dataclasses.replace(deployment.settings, max_database_mb=limit)
    deployment.back_up()
    ((after,),) = deployment.rows(SIZE)
    assert after < limit * MB
    assert compare.differences(deployment.path, deployment.restored()) == []


def test_what_many_tables_of_one_row_take_is_foreseen(tmp_path, database):
    deployment = Deployment(tmp_path / "bot", database)
    tables = "CREATE TABLE t{0} (a TEXT PRIMARY KEY, b TEXT); INSERT INTO t{0} VALUES ('a', 'b');"
    deployment.script("".join(tables.format(number) for number in range(200)))
    deployment.set_up()
    ((before,),) = deployment.rows(SIZE)
    deployment.settings = dataclasses.replace(deployment.settings, max_database_mb=before // MB + 1)
    with pytest.raises(Problem, match="source does not fit"):
        deployment.back_up()


@pytest.fixture
def nearly_full(tmp_path, database):
    """A deployment with a table `small`; once it is backed up, there is room for `free` bytes, and what is below a megabyte."""
    deployment = Deployment(tmp_path / "bot", database)

    def fill(script: str, free: int) -> Deployment:
        deployment.script(script + "CREATE TABLE small (id INTEGER PRIMARY KEY, a); INSERT INTO small VALUES (1, 1)")
        deployment.set_up()
        deployment.back_up()
        ((used,),) = deployment.rows(SIZE)
        deployment.settings = dataclasses.replace(deployment.settings, max_database_mb=max(1, (used + free) // MB + 1))
        return deployment

    return fill


@pytest.mark.parametrize("script", [MANY, "PRAGMA encoding = 'UTF-16le';" + MANY, LONG], ids=["rows", "UTF-16", "compressed"])
def test_indexes_that_are_new_need_no_room_and_rows_do(nearly_full, script):
    deployment = nearly_full(script, 0)
    deployment.script(INDEXES)
    deployment.back_up()
    deployment.script(OTHERS)
    with pytest.raises(Problem, match="source does not fit"):
        deployment.back_up()


def test_a_table_that_postgres_has_compressed_hinders_no_row_of_another(nearly_full):
    deployment = nearly_full(LONG, -1000 * MB)
    for change in ("INSERT INTO small VALUES (2, 2)", "UPDATE small SET a = 3"):
        deployment.script(change)
        deployment.back_up()
    assert deployment.rows("SELECT id, a FROM backup_source.small ORDER BY 1") == [(1, 3), (2, 3)]


def test_what_is_dead_in_a_mirror_is_no_room(nearly_full):
    """It can be used again once it was vacuumed, and nobody knows when that is."""
    deployment = nearly_full(MANY, 3 * MB)
    deployment.script("DELETE FROM t; VACUUM")
    deployment.back_up()
    deployment.script(OTHERS)
    with pytest.raises(Problem, match="source does not fit"):
        deployment.back_up()


def test_a_rehearsal_counts_nothing_twice(saved_bot):
    """What it has brought itself is no part of what the bot had used of its share."""
    schemas = "nspname IN ('backup', 'backup_premium_system', 'backup_user_requests')"
    ((own,),) = saved_bot.query(
        f"SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        f" WHERE relkind = 'r' AND {schemas}"
    )
    saved_bot.write_env(BACKUP_MAX_SCHEMA_MB=str(own // MB + 8))
    saved_bot.sqlite(saved_bot.premium, MANY)
    assert "does not fit" not in saved_bot.run("backup.py", "--dry-run").expect(0).stderr
    saved_bot.run("backup.py").expect(0)


def test_what_a_rehearsal_has_left_is_no_room(saved_bot):
    saved_bot.sqlite(saved_bot.premium, TABLE + "INSERT INTO t (id) VALUES (0)")
    saved_bot.backup()
    ((used,),) = saved_bot.query(SIZE)
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB=str((used + 6 * MB) // MB))
    saved_bot.sqlite(saved_bot.premium, OTHERS)
    refused = [
        "premium_system does not fit" in saved_bot.run("backup.py", *flags).stderr for flags in (["--dry-run"], ["--dry-run"], [])
    ]
    assert refused == [False, True, True]


def test_what_adds_nothing_is_backed_up_however_full_the_plan_is(saved_bot):
    """Rows that change or go must not wait for more room; one database that grows does not stop another one that does not."""
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="1")
    full = r"Warning: the database has \d+\.\d MB of 1\.0 MB \(\d+ %\)"
    assert len(re.findall(full, saved_bot.run("backup.py").expect(0).stderr)) == 2
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds WHERE id < 5; UPDATE refunds SET stars_amount = 9 WHERE id = 6")
    saved_bot.sqlite(saved_bot.requests, "CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(9000))")
    said = saved_bot.run("backup.py").expect(3).stderr
    assert "user_requests does not fit" in said
    assert "premium_system does not fit" not in said
    saved_bot.sqlite(saved_bot.requests, "DROP TABLE more; VACUUM")
    saved_bot.run("backup.py", "--accept-shrink").expect(0)
    saved_bot.assert_restorable()


def test_free_pages_are_no_rows_and_what_a_run_would_refuse_is_said_before(saved_bot):
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB="1")
    saved_bot.sqlite(saved_bot.premium, "CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(500000)); DROP TABLE more")
    saved_bot.sqlite(saved_bot.requests, "CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(9000))")
    refused = "user_requests does not fit: the database has "
    rehearsed = saved_bot.run("backup.py", "--dry-run").expect(0).stderr
    assert f"a backup would refuse this: {refused}" in rehearsed
    assert "premium_system does not fit" not in rehearsed
    assert f"Room for user_requests: {refused}" in saved_bot.run("setup_supabase.py", "--check").expect(1).stdout
    done = saved_bot.run("backup.py").expect(3).stderr
    assert refused in done
    assert "premium_system does not fit" not in done


def test_the_target_s_disk_is_full(server, tmp_path):
    """The database lies in a tablespace on a small disk of its own."""
    with (
        reachable_folder() as folder,
        small_disk(folder / "disk", "24m") as disk,
        room_on(server, disk),
        make_database(server, "crowded") as url,
    ):
        as_admin(server, "ALTER DATABASE crowded SET TABLESPACE small")
        bot = Bot.make(tmp_path / "bot", url, users=120)
        bot.run("setup_supabase.py").expect(0)
        before, filler = bot.keep_copies(), "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"
        many = "INSERT INTO notes (text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) "
        bot.sqlite(bot.premium, f"{filler}; {many} SELECT hex(randomblob(200)) FROM n")
        said = bot.run("backup.py", "premium_system").expect(1).stderr
        assert "the target's disk is full." in said
        assert "the last good backup is run 1, " in said
        out = bot.folder / "out"
        bot.run("restore.py", "--yes", "--to", str(out)).expect(0)
        for name, path in before.items():
            assert compare.differences(path, out / path.name) == [], name
        bot.sqlite(bot.premium, "DROP TABLE notes")
        bot.run("backup.py").expect(0)


@contextlib.contextmanager
def reachable_folder():
    """A folder that the server's user can reach, as it cannot reach pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextlib.contextmanager
def room_on(server, disk):
    shutil.chown(disk, embedded_postgres._unprivileged_user())
    as_admin(server, f"CREATE TABLESPACE small LOCATION '{disk}'")
    try:
        yield
    finally:
        as_admin(server, "DROP TABLESPACE small")


def test_this_disk_is_full_while_the_snapshot_is_copied(saved_bot):
    with small_disk(saved_bot.folder / "snapshots-small", "12k") as disk:
        (saved_bot.folder / "snapshots").rename(saved_bot.folder / "snapshots-before")
        (saved_bot.folder / "snapshots").symlink_to(disk)
        said = saved_bot.run("backup.py").expect(1).stderr
        assert "premium_system.db: a copy needs " in said
        assert f" in {saved_bot.folder / 'snapshots'}, where 12.3 kB are free: " in said
        assert f"Try: free some space:  df -h {saved_bot.folder / 'snapshots'}" in said
        assert {path.name for path in disk.iterdir()} <= {"runs.jsonl"}  # this machine's record of the failure
        (saved_bot.folder / "snapshots").unlink()
    saved_bot.run("backup.py").expect(0)


def test_this_disk_is_full_while_restoring(saved_bot):
    before = saved_bot.keep_copies()
    with small_disk(saved_bot.folder / "small", "100k") as disk:
        said = saved_bot.run("restore.py", "--yes", "--to", str(disk)).expect(1).stderr
        assert re.search(rf"Error: the restore needs \d+\.\d kB in {disk}, where 102\.4 kB are free: .* are missing\.", said)
        assert f"Try: free some space:  df -h {disk}" in said
        assert list(disk.iterdir()) == []
    for name, path in before.items():
        assert compare.differences(path, saved_bot.data / path.name) == [], name


@pytest.mark.parametrize("flag", ["--yes", "--drill"])
def test_the_disk_on_which_sqlite_sorts_is_full_while_restoring(saved_bot, flag):
    """An index larger than the cache is sorted there; that folder is named, and which one it is can be chosen."""
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)"
    rows = f"{many} INSERT INTO long SELECT hex(randomblob(3000)) FROM n"
    saved_bot.sqlite(saved_bot.premium, f"CREATE TABLE long (a TEXT); {rows}; CREATE INDEX on_long ON long (a)")
    saved_bot.backup()
    before = saved_bot.keep_copies()
    command = saved_bot.command("restore.py", flag)
    with small_disk(saved_bot.folder / "small", "8M") as disk:
        said = {}
        for folder in (disk, saved_bot.folder):
            env = environment() | {"SQLITE_TMPDIR": str(folder)}
            said[folder] = subprocess.run(command, capture_output=True, text=True, env=env)
    told = said[disk]
    assert (told.returncode, "database or disk is full" in told.stderr) == (1, True), told
    assert re.search(rf"Try: free some space, or let SQLITE_TMPDIR name a folder .*:  df -h \S+ {disk}\b", told.stderr), told
    assert said[saved_bot.folder].returncode == 0, said
    for name, path in before.items():
        assert compare.differences(path, saved_bot.data / path.name) == [], name


@contextlib.contextmanager
def snapshots_on(bot, size):
    """The snapshots lie on a small disk of their own."""
    with small_disk(bot.folder / "snapshots-small", size) as disk:
        for path in (bot.folder / "snapshots").glob("*"):
            shutil.move(path, disk)
        (bot.folder / "snapshots").rmdir()
        (bot.folder / "snapshots").symlink_to(disk)
        yield disk


def total(bot):
    return sum(path.stat().st_size for path in bot.databases)


@pytest.fixture
def crowded(saved_bot):
    """Two databases of about one size; beside their snapshots there is room for one copy, not for two."""
    filler = "INSERT INTO refunded_groups (group_id, owner_id, refunded_at, reason)"
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)"
    saved_bot.sqlite(saved_bot.premium, f"{many} {filler} SELECT -i, 1, 1, hex(zeroblob(30)) FROM n")
    saved_bot.backup()
    sample_bot.live(saved_bot.data, 1)
    largest = max(path.stat().st_size for path in saved_bot.databases)
    assert largest < 0.6 * total(saved_bot)
    with snapshots_on(saved_bot, str(total(saved_bot) + largest * 13 // 10)):
        yield saved_bot


def test_setup_says_what_the_runs_to_come_will_lack(crowded):
    lacks = r"❌ \d+. Disk: a run with its snapshots needs .* are missing\.\n     Try: free some space:  df -h "
    for flags in ((), ("--check",)):
        assert re.search(lacks, crowded.run("setup_supabase.py", *flags).expect(1).stdout)


def test_without_room_for_two_copies_one_is_made_after_the_other(crowded):
    crowded.run("backup.py").expect(0)
    crowded.assert_restorable()


def test_a_run_has_room_for_as_much_as_setup_asks_for(saved_bot):
    with snapshots_on(saved_bot, str(2 * total(saved_bot) + 100_000)):
        saved_bot.run("setup_supabase.py").expect(0)
        for seed in range(2):
            sample_bot.live(saved_bot.data, seed)
            saved_bot.run("backup.py").expect(0)
        saved_bot.run("restore.py", "--drill").expect(0)
        saved_bot.run("backup.py", "--verify").expect(0)


def test_a_drill_without_room_says_so_and_leaves_nothing(saved_bot):
    with snapshots_on(saved_bot, str(total(saved_bot) + 60_000)) as disk:
        there = sorted(disk.iterdir())
        said = saved_bot.run("restore.py", "--drill").expect(1).stderr
        assert "user_requests: the drill needs " in said
        assert f"Try: free some space:  df -h {saved_bot.folder / 'snapshots'}\n" in said
        assert sorted(disk.iterdir()) == there


def test_a_trial_without_room_says_so_and_leaves_nothing(saved_bot):
    with snapshots_on(saved_bot, str(3 * total(saved_bot))) as disk:
        there = sorted(disk.iterdir())
        said = saved_bot.run("test_backup.py").expect(1).stdout
        assert "Scratch copy: the scratch copy needs " in said
        assert f"Try: free some space:  df -h {disk}\n" in said or f"Try: free some space:  df -h {saved_bot.folder}" in said
        assert sorted(disk.iterdir()) == there


def test_one_table_needs_room_for_two_copies_of_the_database(saved_bot):
    """Besides the file itself: the present one in the making, and what the table is taken from or compared with."""
    saved_bot.sqlite(saved_bot.requests, "UPDATE user_requests SET minute = 0")
    present = saved_bot.requests
    with small_disk(saved_bot.folder / "small", str(4 * present.stat().st_size)) as disk:
        moved = shutil.move(present, disk / present.name)
        present.symlink_to(moved)
        saved_bot.run("restore.py", "--table", "user_requests", "--yes").expect(0)
        assert saved_bot.sqlite_rows(present, "SELECT count(*) FROM user_requests WHERE minute = 0") == [(0,)]


def test_a_full_disk_under_the_log_does_not_stop_a_backup(saved_bot):
    with small_disk(saved_bot.folder / "logs", "16k") as disk:
        saved_bot.write_env(BACKUP_LOG="logs/backup.log")
        (disk / "filler").write_bytes(b"x" * 12_000)
        for seed in range(3):
            sample_bot.live(saved_bot.data, seed)
            saved_bot.run("backup.py").expect(0)
    saved_bot.write_env()
    saved_bot.assert_restorable()


def own_bytes(bot):
    ((size,),) = bot.query("""SELECT sum(pg_total_relation_size(pg_class.oid)) FROM pg_class
        WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'backup%'""")
    return int(size)


def test_a_bot_has_a_share_of_its_own_in_a_project_of_several(saved_bot):
    """What others have stored there is not its own; what it has itself is, and stops it as the plan's limit would."""
    text = "SELECT repeat(md5(n::text), 9) AS text FROM generate_series(1, 30000) AS n"
    saved_bot.query(f"CREATE TABLE public.others AS {text}")
    saved_bot.query(f"CREATE TABLE backup.ours AS {text}; ALTER TABLE backup.ours ENABLE ROW LEVEL SECURITY")
    share = own_bytes(saved_bot) * 11 // 10 // MB + 1
    saved_bot.write_env(BACKUP_MAX_SCHEMA_MB=str(share))
    sample_bot.live(saved_bot.data, seed=1)
    said = saved_bot.run("backup.py").expect(0).stderr
    told = re.findall(rf"Warning: this bot's schemas have ([\d.]+) MB of {share:.1f} MB \(\d+ %\)\.", said)
    assert told
    assert all(float(size) <= own_bytes(saved_bot) / MB + 0.05 for size in told)
    saved_bot.write_env(BACKUP_MAX_SCHEMA_MB="1")
    saved_bot.sqlite(saved_bot.premium, "CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(9000))")
    said = saved_bot.run("backup.py").expect(3).stderr
    assert "premium_system does not fit: this bot's schemas have " in said
    assert "give this bot a larger share: BACKUP_MAX_SCHEMA_MB" in said
    assert "user_requests does not fit" not in said


def test_without_a_share_nobody_asks_how_much_there_is(saved_bot):
    quiet = [run["round_trips"] for run in saved_bot.backup()["runs"]]
    saved_bot.write_env(BACKUP_MAX_SCHEMA_MB="100")
    assert [run["round_trips"] - 1 for run in saved_bot.backup()["runs"]] == quiet
