"""What a run costs follows what is new, however many tables there are."""

import pytest

from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.postgres.setup import installation
from lib.trying import embedded_postgres
from tests import compare
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import SUPABASE_LIKE, as_admin, make_database

TABLES = 60
# What an idle run sends of a table: its count is asked for, and what it holds is saved.
BYTES_OF_TABLE = 200
NEW_TABLE = "CREATE TABLE extra (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO extra VALUES (1, 'new')"
ALL_MIRRORS = """SELECT relname, pg_class.xmin::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'backup_source' AND relkind = 'r' ORDER BY relname"""


def many(number):
    made = "CREATE TABLE t{0} (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t{0} VALUES (1, 'a'), (2, 'b');"
    return f"BEGIN; {''.join(made.format(place) for place in range(number))} COMMIT;"


@pytest.fixture
def deployment(tmp_path, database):
    made = Deployment(tmp_path / "many", database)
    made.script(many(TABLES))
    made.set_up()
    with Target(made.settings.targets[0], "backup") as target:
        installation.create_writer(target, made.settings)
    made.back_up()
    made.back_up()
    return made


def sent(deployment):
    return {label for label, table in deployment.tables.items() if table.bytes_sent}


def test_an_idle_run_sends_of_each_table_little_more_than_its_name(deployment, database):
    deployment.back_up()
    few = Deployment(deployment.folder / "few", database, "few")
    few.script(many(1))
    few.set_up()
    few.back_up()
    few.back_up()
    assert (deployment.bytes_sent - few.bytes_sent) / (TABLES - 1) < BYTES_OF_TABLE
    assert deployment.round_trips == few.round_trips


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("change", "label"),
    [
        (NEW_TABLE, "extra"),
        ("ALTER TABLE t7 ADD COLUMN more TEXT DEFAULT 'x'", "t7"),
        ("ALTER TABLE t7 DROP COLUMN name", "t7"),
        ("ALTER TABLE t7 RENAME TO extra", "extra"),
        ("DROP TABLE t7; CREATE TABLE t7 (name TEXT PRIMARY KEY, id INTEGER); INSERT INTO t7 VALUES ('a', 1)", "t7"),
        ("CREATE VIEW shown AS SELECT * FROM t7; CREATE INDEX t7_by_name ON t7 (name); PRAGMA user_version = 7", None),
    ],
)
def test_of_a_changed_schema_only_what_is_new_is_sent(deployment, change, label):
    trips, before, first = deployment.round_trips, dict(deployment.rows(ALL_MIRRORS)), deployment.run
    kept = deployment.restored().rename(deployment.folder / "original.db")
    deployment.script(change)
    deployment.back_up()
    assert sent(deployment) == ({label} if label else set())
    assert deployment.round_trips <= trips + 12
    after = dict(deployment.rows(ALL_MIRRORS))
    assert {name for name in before if before[name] != after.get(name)} <= {label}
    deployment.assert_round_trip()
    assert compare.differences(kept, deployment.restored(first)) == []


@pytest.mark.campaign
def test_a_mirror_that_was_mended_gets_every_row_beside_a_new_table(deployment):
    deployment.rows("ALTER TABLE backup_source.t3 DROP COLUMN name")
    deployment.script(NEW_TABLE)
    deployment.back_up()
    assert {"extra", "t3"} <= sent(deployment)
    deployment.assert_round_trip()


def test_a_new_mirror_among_many_is_closed_and_watched(deployment):
    deployment.rows("ALTER DEFAULT PRIVILEGES IN SCHEMA backup_source GRANT ALL ON TABLES TO anon")
    deployment.script(NEW_TABLE)
    deployment.back_up()
    assert deployment.rows("SELECT backup.openings(ARRAY['backup', 'backup_source'])") == []
    assert deployment.rows("SELECT backup.is_watched('source', 'backup_source.extra'::regclass)") == [(True,)]


def test_a_column_that_was_opened_is_closed_again(deployment):
    deployment.rows("GRANT SELECT (name) ON backup_source.t3 TO anon; GRANT SELECT ON backup_source.t4 TO PUBLIC")
    assert len(deployment.rows("SELECT backup.openings(ARRAY['backup_source'])")) == 2
    deployment.rows("SELECT backup.make_private('backup_source')")
    assert deployment.rows("SELECT backup.openings(ARRAY['backup_source'])") == []


def test_a_definition_that_was_edited_travels_again(deployment):
    idle = deployment.bytes_sent
    for edit in ("definition = '{}'", "definition_hash = md5('')", "definition = '{}', definition_hash = md5('{}')"):
        last = "SELECT source_schema FROM backup.runs ORDER BY run DESC LIMIT 1"
        deployment.rows(f"UPDATE backup.source_schemas SET {edit} WHERE source_schema = ({last})")
        deployment.back_up()
        assert deployment.bytes_sent > idle + TABLES * BYTES_OF_TABLE
        assert compare.differences(deployment.path, deployment.restored()) == []
        deployment.back_up()
        assert deployment.bytes_sent < idle + BYTES_OF_TABLE


def test_a_server_without_room_for_so_many_locks_says_what_to_raise(tmp_path):
    settings = {"max_connections": "10", "max_locks_per_transaction": "10"}
    with embedded_postgres.running(None, settings, "supabase_admin") as server:
        as_admin(server, SUPABASE_LIKE)
        with make_database(server, "small") as url:
            deployment = Deployment(tmp_path / "many", url)
            deployment.script(many(1000))
            with pytest.raises(Problem) as refused:
                deployment.set_up()
    assert "the server is out of memory, or of room for locks" in refused.value.what
    assert refused.value.remedy.startswith("raise max_locks_per_transaction")
