"""A run costs few messages and few bytes: what has not changed is not said twice, and what is checked is checked all the same."""

from dataclasses import replace

import pytest

from lib.base.errors import Problem
from lib.postgres.books import runs
from lib.postgres.link.connection import Target
from lib.postgres.setup import installation
from tests.stand_ins import relay
from tests.stand_ins.bot import URL
from tests.stand_ins.deployment import Deployment

MOST_SENT, MOST_RECEIVED = 3000, 2000
MORE_OF_MANY = 1500
MANY = 120


def filled(number):
    made = "CREATE TABLE t{0} (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t{0} VALUES (1, 'a'), (2, 'b');"
    return f"BEGIN; {''.join(made.format(place) for place in range(number))} COMMIT;"


def quiet(folder, database, number, schema="backup"):
    """Return a deployment with so many tables whose last run is quiet."""
    made = Deployment(folder, database, schema)
    made.script(f"PRAGMA user_version = 1; {filled(number)}")
    made.set_up()
    for _ in range(3):
        made.back_up()
    return made


@pytest.fixture
def deployment(tmp_path, database):
    return quiet(tmp_path / "source", database, 9)


def last_run(deployment):
    """Back up in this process, and return the run as --json has it."""
    from backup import back_up_all
    from lib.backing_up.options import BackupOptions
    from lib.trying import trial

    report = back_up_all(deployment.settings, deployment.settings.sources, BackupOptions(), trial.silent())
    assert report.failures == []
    return report.runs[0]


def test_a_quiet_run_is_two_messages_of_few_bytes(deployment):
    run = last_run(deployment)
    assert run.round_trips == 2
    assert run.bytes_sent < MOST_SENT
    assert run.bytes_received < MOST_RECEIVED


def test_many_tables_cost_a_quiet_run_nothing(deployment, tmp_path, database):
    few, many = last_run(deployment), last_run(quiet(tmp_path / "many", database, MANY, "many"))
    assert many.round_trips == 2
    assert many.bytes_sent - few.bytes_sent < MORE_OF_MANY
    assert many.bytes_received - few.bytes_received < MORE_OF_MANY


@pytest.fixture
def line(database):
    port = URL.fullmatch(database)["port"]
    with relay.running("127.0.0.1", int(port)) as (standing, listens):
        standing.url = database.replace(f":{port}/", f":{listens}/")
        yield standing


def login(deployment, line):
    """Return what a connection costs that says nothing: its questions, and the bytes each way."""
    line.reset()
    with Target(deployment.settings.targets[0], "backup"):
        return line.questions, dict(line.carried)


def test_every_question_but_the_login_is_counted(tmp_path, line):
    deployment = quiet(tmp_path / "source", line.url, 9)
    questions, _ = login(deployment, line)
    line.reset()
    run = last_run(deployment)
    assert line.questions - questions == run.round_trips == 2


def test_where_two_databases_are_asked_which_they_are_that_is_counted(deployment):
    """Two targets might be one database: the question is part of the first run."""
    become(deployment, count=2)
    assert last_run(deployment).round_trips == 3


def become(deployment, **settings):
    deployment.settings.targets[0] = replace(deployment.settings.targets[0], **settings)


def test_a_database_without_a_table_is_two_messages_as_well(tmp_path, database):
    deployment = quiet(tmp_path / "source", database, 0)
    assert last_run(deployment).round_trips == 2
    deployment.script("CREATE TABLE t (a)")
    deployment.assert_round_trip()


def test_a_file_that_cannot_be_copied_leaves_a_failed_run(deployment):
    """The copy comes before the first message: then a run is opened for the trace alone."""
    deployment.path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(Problem) as caught:
        deployment.back_up()
    assert deployment.rows("SELECT outcome, error FROM backup.runs ORDER BY run DESC LIMIT 1") == [("failed", caught.value.what)]
    assert "the last good backup is run 3" in caught.value.untouched


REFUSED = {
    "an opened schema": (
        "GRANT USAGE ON SCHEMA backup_source TO anon",
        "others can get in: anon has USAGE",
    ),
    "another bot": ("UPDATE backup.sources SET origin_path = '/other.db', origin_machine = 'other'", "is that of another bot"),
    "lost rows": ("UPDATE backup.run_tables SET rows = 100000 WHERE table_name = 't3'", "has lost 99 % of its rows"),
    "a lost table": (
        "UPDATE backup.source_schemas SET mirrors = (mirrors::jsonb || '{\"gone\": null}')::text;"
        " INSERT INTO backup.run_tables SELECT run, 'gone', 10, 0, 0, 0, 0, 0, 0, 0, source FROM backup.run_tables"
        " WHERE table_name = 't0'",
        "has lost the table gone",
    ),
    "an older release": ("COMMENT ON SCHEMA backup IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup, version 4'", "older"),
    "a newer release": ("COMMENT ON SCHEMA backup IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup, version 999'", "newer"),
    "a source that is not set up": ("DELETE FROM backup.sources", "has no mirrors for source"),
    "nothing set up": ("DROP SCHEMA backup CASCADE", "has not been set up"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_refused_though_nothing_has_changed(deployment, what):
    statement, said = REFUSED[what]
    deployment.rows(statement)
    deployment.settings = replace(deployment.settings, max_shrink=50)
    with pytest.raises(Problem, match=said):
        deployment.back_up(accept_shrink=False)
    if "release" not in what and "set up" not in what:
        assert deployment.rows("SELECT outcome FROM backup.runs ORDER BY run DESC LIMIT 1") == [("failed",)]


SEEN = {
    "a row that was deleted unseen": "ALTER TABLE backup_source.t3 DISABLE TRIGGER USER; DELETE FROM backup_source.t3; "
    "ALTER TABLE backup_source.t3 ENABLE ALWAYS TRIGGER undo_begin, ENABLE ALWAYS TRIGGER undo_insert, "
    "ENABLE ALWAYS TRIGGER undo_update, ENABLE ALWAYS TRIGGER undo_delete, ENABLE ALWAYS TRIGGER undo_truncate",
    "a change by hand": "DELETE FROM backup_source.t3",
    "an edit by hand": "UPDATE backup_source.t3 SET name = 'edited'",
    "a trigger that is gone": "DROP TRIGGER undo_update ON backup_source.t3",
    "another table in its place": "ALTER TABLE backup_source.t3 RENAME TO was; "
    "CREATE TABLE backup_source.t3 (LIKE backup_source.was INCLUDING ALL);"
    "INSERT INTO backup_source.t3 SELECT * FROM backup_source.was; ALTER TABLE backup_source.t3 ENABLE ROW LEVEL SECURITY",
    "a column that is gone": "ALTER TABLE backup_source.t3 DROP COLUMN name",
    "a mirror that is gone": "DROP TABLE backup_source.t3",
    "a mirror that is written anew": "ALTER TABLE backup_source.t3 ALTER COLUMN name TYPE varchar(20)",
    "a definition that was edited": "UPDATE backup.source_schemas SET definition = '{}'",
    "mirrors that were edited": "UPDATE backup.source_schemas SET mirrors = '{\"t3\": null}'",
    "a digest that was edited": "UPDATE backup.run_tables SET digest = digest + 1 WHERE table_name = 't3'",
}


@pytest.mark.parametrize("what", SEEN)
def test_what_is_seen_is_seen_though_nothing_has_changed(deployment, what):
    deployment.rows(SEEN[what])
    deployment.back_up()
    assert deployment.rows("SELECT id, name FROM backup_source.t3 ORDER BY id") == [(1, "a"), (2, "b")]
    deployment.assert_round_trip()
    assert last_run(deployment).round_trips == 2


@pytest.mark.parametrize("name", ["100%.db", "a%sb.db", "a%%b.db", "%(run)s.db", "%(source)s.db"])
def test_any_name_of_a_database_is_asked_for_as_it_is(tmp_path, database, name):
    deployment = Deployment(tmp_path / "source", database, name=name)
    deployment.script(filled(4))
    deployment.set_up()
    deployment.back_up()
    deployment.back_up()
    assert deployment.round_trips == 2
    ((schema,),) = deployment.rows("SELECT mirror_schema FROM backup.sources")
    deployment.rows(SEEN["a row that was deleted unseen"].replace("backup_source", f'"{schema}"'))
    deployment.back_up()
    assert deployment.warnings
    deployment.assert_round_trip()


def test_a_file_that_was_written_anew_with_the_same_rows_is_two_messages(deployment):
    deployment.script("DELETE FROM t0 WHERE id = 2; INSERT INTO t0 VALUES (2, 'b')")
    assert last_run(deployment).round_trips == 2
    deployment.rows(SEEN["a row that was deleted unseen"])
    deployment.script("DELETE FROM t0 WHERE id = 2; VACUUM; INSERT INTO t0 VALUES (2, 'b')")
    deployment.back_up()
    deployment.assert_round_trip()


BROKEN = {
    "after it was opened": "DROP FUNCTION backup.openings(text[]) CASCADE",
    "before": "DROP FUNCTION backup.open_run(text, text, text, text)",
}


@pytest.mark.parametrize("when", BROKEN)
def test_an_error_in_the_first_message_leaves_one_row_at_most(deployment, when):
    deployment.rows(BROKEN[when])
    with pytest.raises(Problem):
        deployment.back_up()
    assert deployment.rows("SELECT outcome FROM backup.runs WHERE run > 3") == [("failed",)] * (when != "before")


def test_a_run_that_another_has_left_open_is_nobody_elses(deployment):
    """Behind a pooler, and where the server's process has the same number again."""
    deployment.rows("SELECT backup.open_run('source', 'm', 'v'); SELECT backup.open_run('source', 'm', 'v', 'another ticket')")
    deployment.rows("COMMENT ON SCHEMA backup IS 'Hybrid backup: bookkeeping, BACKUP_SCHEMA backup, version 999'")
    with pytest.raises(Problem, match="newer"):
        deployment.back_up()
    assert {outcome for (outcome,) in deployment.rows("SELECT outcome FROM backup.runs WHERE run > 3")} == {"running"}


@pytest.mark.parametrize("mended", ["ADD UNIQUE (name)", "ADD COLUMN extra int NOT NULL DEFAULT 3"])
def test_what_was_changed_unseen_in_a_mirror_that_is_mended_is_said(deployment, mended):
    deployment.script("UPDATE t3 SET name = 'a'")
    deployment.back_up()
    unseen = SEEN["a row that was deleted unseen"].replace("t3; ALTER", "t3 WHERE id = 2; ALTER")
    deployment.rows(f"{unseen}; ALTER TABLE backup_source.t3 {mended}")
    deployment.back_up()
    assert any("t3 had been changed behind the undo log's back" in said for said in deployment.warnings)
    assert deployment.rows("SELECT table_name FROM backup.lost_history") == [("t3",)]
    deployment.assert_round_trip()


def test_a_mirror_that_goes_between_the_two_messages_is_made_anew(deployment, monkeypatch):
    save = runs.save

    def saved(*arguments):
        deployment.rows("DROP TABLE IF EXISTS backup_source.t3")
        monkeypatch.setattr(runs, "save", save)
        return save(*arguments)

    monkeypatch.setattr(runs, "save", saved)
    deployment.back_up()
    deployment.assert_round_trip()


def test_the_writer_role_needs_two_messages_as_well(deployment):
    with Target(deployment.settings.targets[0], "backup") as target, target.transaction():
        password = installation.create_writer(target, deployment.settings)
    become(deployment, user="backup_writer", password=password)
    deployment.back_up()
    assert last_run(deployment).round_trips == 2


@pytest.mark.parametrize("message", [1, 2])
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_run_that_is_cut_at_any_message_leaves_a_trace_that_is_closed(tmp_path, line, message, way):
    """In the middle of what is said, or of what is answered; the run is tried again, and closes what was left open."""
    deployment = quiet(tmp_path / "source", line.url, 9)
    _, carried = login(deployment, line)
    line.reset()
    last_run(deployment)
    of_run = line.carried[way] - carried[way]
    line.reset(cut_after={way: carried[way] + of_run * (2 * message - 1) // 4})
    assert last_run(deployment).outcome == "saved"
    assert line.connections == 2
    assert deployment.rows("SELECT count(*) FROM backup.runs WHERE outcome = 'running'") == [(0,)]
    deployment.assert_round_trip()
