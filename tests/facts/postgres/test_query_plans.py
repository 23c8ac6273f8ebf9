"""What Postgres does for a merge or a restore grows with the rows, not with their pairs, whatever it believes of the tables.

Its statistics say that every table is empty: they are of when it was.
"""

import pytest
from psycopg2 import sql

from lib.postgres.link.connection import Target
from lib.postgres.link.statements import statement
from lib.postgres.mirrors import merge, plan_mirrors, saved_state, sending, upkeep
from lib.sqlite.compare import find_changes
from lib.sqlite.compare.table_change import TableChange
from lib.sqlite.lines.read_lines import Selection
from lib.sqlite.snapshots import snapshot as snapshots
from tests.stand_ins.deployment import Deployment

ROWS = 3000
TABLES = "CREATE TABLE odd (n INTEGER); CREATE TABLE even (a INTEGER, b TEXT, c BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID;"
NUMBERS = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
FILL = f"{NUMBERS} INSERT INTO odd SELECT 'odd ' || (i % 2900) FROM n;"
FILL += f"{NUMBERS} INSERT INTO even SELECT i / 10, i % 10, zeroblob(9) FROM n;"
KEPT = {
    "backup.misfit_rows": "('source', 'odd', md5(''), 1, '')",
    "backup_source.odd": "(1, 1)",
    "backup_source.even": "(1, '', '')",
}
# Row versions and index entries looked at for each row; all pairs would be a thousand.
MOST = 20


@pytest.fixture
def lived(tmp_path, database):
    """A source with many misfits and many rows, in tables whose statistics are of when they were empty."""
    found = Deployment(tmp_path / "deployment", database)
    found.script(TABLES)
    found.set_up()
    for table, row in KEPT.items():
        found.rows(f"ALTER TABLE {table} SET (autovacuum_enabled = off); ALTER TABLE {table} DISABLE TRIGGER USER")
        found.rows(f"INSERT INTO {table} VALUES {row}; DELETE FROM {table}; ANALYZE {table}")
        found.rows(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert found.rows("SELECT sum(reltuples) FROM pg_class WHERE relname IN ('odd', 'even', 'misfit_rows')") == [(0,)]
    found.script(FILL)
    found.back_up()
    return found


def explained(target, steps):
    """Run statements, and return how many rows each of their steps has looked at, in all."""
    looked = 0
    for step in steps:
        text = step.as_string(target.connection).strip().removeprefix("COPY (").removesuffix(" TO STDOUT").rstrip(";)")
        text = text + ")" * (text.count("(") - text.count(")"))
        if text.startswith(("SET", "LOCK", "CREATE")):
            target.rows(text)
        else:
            looked += _looked(target.row("EXPLAIN (ANALYZE, FORMAT JSON) " + text.replace("%", "%%"))[0][0]["Plan"])
    return looked


def _looked(plan):
    at_once = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0)
    return at_once * plan["Actual Loops"] + sum(map(_looked, plan.get("Plans", [])))


@pytest.fixture(params=["little", "much"])
def merging(lived, request, monkeypatch):
    """A connection in the middle of a run that sends every row, and the keys of all of them as gone."""
    monkeypatch.setattr(sending, "MUCH_BYTES", 1_000_000 if request.param == "little" else 1)
    lived.script("UPDATE odd SET n = 'new' WHERE rowid = 1; DELETE FROM even WHERE a > 5")
    settings = lived.settings
    with (
        Target(settings.targets[0], "backup") as target,
        snapshots.taken(lived.path, settings.snapshots, "quick") as snapshot,
        target.rehearsal(),
    ):
        source = merge.Source("source", "backup_source")
        planned = plan_mirrors.plan(snapshot, upkeep.read(target, source), source).tables
        find_changes.attach(snapshot.connection, lived.kept)
        target.rows(sending.begin(sending.width(planned)))
        yield target, source, snapshot, {table.name: table for table in planned}


def send(merging, part):
    target, source, snapshot, tables = merging
    columns = sending.width(list(tables.values()))
    sent = sending.staged(snapshot, part, 1, columns, 1_000_000)
    if sent.is_shared:
        sending.send_shared(target, source, snapshot, [sent], columns, [])
        target.rows(statement("index_staged"))
    else:
        sending.send_alone(target, source, sent, [])
        sending.send_shared(target, source, snapshot, [sent], columns, [])
    return sent


def test_misfits(merging):
    target, source, snapshot, tables = merging
    send(merging, find_changes.every_row(snapshot, [tables["odd"]])[0])
    assert explained(target, merge._merge_misfits(target, source, ["odd"])) < MOST * ROWS
    assert target.row("SELECT sum(inserted), sum(deleted) FROM pg_temp.merged") == (1, 1)


def test_rows_of_a_table_that_is_sent_whole(merging):
    target, source, snapshot, tables = merging
    sent = send(merging, find_changes.every_row(snapshot, [tables["even"]])[0])
    assert explained(target, merge._merge_table(source, sent)) < MOST * ROWS
    assert target.row("SELECT sum(deleted) FROM pg_temp.merged") == (ROWS - 59,)


def test_keys_that_are_gone(merging):
    """All of them, though one would be enough: nobody knows beforehand how many there are."""
    target, source, snapshot, tables = merging
    every, vanished = Selection("main", "a < 3"), Selection("previous", "true")
    part = TableChange(tables["even"], find_changes.every_row(snapshot, [tables["even"]])[0].result, every, vanished, before=ROWS)
    sent = send(merging, part)
    assert explained(target, merge._merge_table(source, sent)) < MOST * ROWS
    assert target.row("SELECT sum(deleted) FROM pg_temp.merged") == (ROWS - 29,)


def test_a_few_keys_that_are_gone_are_looked_up(merging):
    target, source, snapshot, tables = merging
    target.rows("ANALYZE backup_source.even")
    some = Selection("main", "false"), Selection("previous", "a BETWEEN 20 AND 29 AND b = '3'")
    part = TableChange(tables["even"], find_changes.every_row(snapshot, [tables["even"]])[0].result, *some, before=ROWS)
    assert explained(target, merge._merge_table(source, send(merging, part))) < ROWS / 10
    assert target.row("SELECT sum(deleted) FROM pg_temp.merged") == (10,)


def test_a_restore_of_an_earlier_run(lived, monkeypatch):
    lived.script("UPDATE odd SET n = n || ' changed'; UPDATE even SET c = zeroblob(10)")
    lived.back_up()
    read = []
    with Target(lived.settings.targets[0], "backup") as target, target.transaction("REPEATABLE READ READ ONLY"):
        monkeypatch.setattr(target, "copy_out", lambda query, _take: read.append(query))
        state = saved_state.read_state(target, "source", 1)
        for table in state.tables:
            saved_state.read_rows(target, state, table, None, None)
            saved_state.read_misfits(target, state, table, None, None)
        steps = [step for query in read for step in statements_of(query.as_string(target.connection))]
        assert len(steps) > len(read) > 4
        assert explained(target, steps) < MOST * len(read) * ROWS
    assert lived.restored(1).exists()


def statements_of(text):
    return [sql.SQL(part) for part in text.split(";\n") if part.strip()]


def test_nothing_of_ours_is_compiled(lived):
    """Compiling takes longer than our statements, of which there is one or more to each table."""
    ((database,),) = lived.rows("SELECT current_database()")
    lived.rows(f"ALTER ROLE postgres IN DATABASE {database} SET jit = on")
    with Target(lived.settings.targets[0], "backup") as target:
        alone = target.rows("SHOW jit")
        with target.transaction():
            assert [*alone, *target.rows("SHOW jit")] == [("off",), ("off",)]
