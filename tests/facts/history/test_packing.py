"""Packing goes in steps that are bounded by bytes as well as by numbers, and every point still comes back."""

import contextlib
import re
from pathlib import Path

import psycopg2
import pytest

from lib.settings.retention import Retention
from tests.cases.histories import NEVER, assert_listed_come_back, keep, keeping, log, many_runs, pass_time, thin, wake
from tests.stand_ins.deployment import Deployment

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
ROWS = f"{NUMBERS} INSERT INTO t SELECT i, hex(zeroblob(4000)) FROM n"
LARGEST = "SELECT max(octet_length(lines)) FROM backup.undo_log WHERE row_count > 1"


@pytest.fixture
def deployment(tmp_path, database):
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    deployment.set_up()
    keeping(deployment, NEVER)
    deployment.back_up()
    deployment.script(ROWS)
    deployment.back_up()
    return deployment


def lived(deployment):
    """Change all rows and a few in turn, a minute after each other, and keep the first run; return copies of the file by run."""
    copies = {}
    for number in range(8):
        pass_time(deployment, 60)
        which = "id <= 2" if number % 2 else "true"
        deployment.script(f"UPDATE t SET a = {number} || a WHERE {which}")
        deployment.back_up()
        keep(deployment, copies)
    deployment.rows(f"SELECT backup.keep_runs('{{source}}', {min(copies)}, 'the first')")
    return copies


def as_an_older_release(deployment):
    """Let records be as large as they once were; return what is to be run to undo that."""
    function = "SELECT pg_get_functiondef('backup.undo_statement(text, text, text[], text)'::regprocedure)"
    ((text,),) = deployment.rows(function)
    assert "/ 500000 AS part" in text
    deployment.rows(text.replace("/ 500000 AS part", "/ 100000000 AS part"))
    return text


@pytest.mark.campaign
def test_a_record_is_small_and_stays_so_when_it_is_packed(deployment):
    copies = lived(deployment)
    assert 500_000 < deployment.rows(LARGEST)[0][0] < 1_100_000
    records, rows, _ = log(deployment)
    wake(deployment, 90_000)
    thin(deployment, Retention())
    assert 500_000 < deployment.rows(LARGEST)[0][0] < 1_100_000
    assert log(deployment)[0] < records
    assert log(deployment)[1] < rows
    assert assert_listed_come_back(deployment, copies) >= 1


def test_lines_of_all_lengths_share_records_of_a_megabyte_at_most(deployment):
    copies = {}
    lengths = "CASE id % 5 WHEN 0 THEN 5 WHEN 1 THEN 480 WHEN 2 THEN 4900 WHEN 3 THEN 49000 ELSE 60000 END"
    deployment.script(f"UPDATE t SET a = hex(zeroblob({lengths}))")
    deployment.back_up()
    keep(deployment, copies)
    after = deployment.rows("SELECT max(record) FROM backup.undo_log")[0][0]
    deployment.script("UPDATE t SET a = a || '.'")
    deployment.back_up()
    keep(deployment, copies)
    written = f"FROM backup.undo_log WHERE record > {after} AND operation = 'update'"
    assert deployment.rows(f"SELECT sum(row_count), max(row_count) <= 1000 {written}") == [(600, True)]
    assert deployment.rows(f"SELECT max(octet_length(lines)) > 200000, max(octet_length(lines)) <= 1000000 {written}") == [
        (True, True)
    ]
    assert deployment.rows(f"SELECT count(*) {written}")[0][0] < 60  # of half a megabyte, 27 are written
    assert assert_listed_come_back(deployment, copies) >= 2


@pytest.mark.campaign
def test_a_long_line_is_alone_and_is_made_once(deployment):
    """Its memory is the server's: so many times the value's 16 MB (of which a line that is made again takes several)."""
    deployment.script("UPDATE t SET a = hex(randomblob(8000000)) WHERE id = 300")
    deployment.back_up()
    deployment.script("UPDATE t SET a = a || '.' WHERE id BETWEEN 290 AND 310")
    deployment.back_up()
    newest = "FROM backup.undo_log WHERE run = (SELECT max(run) FROM backup.runs) AND operation = 'update'"
    assert deployment.rows(f"SELECT row_count {newest} AND octet_length(lines) > 1000000") == [(1,)]
    assert deployment.rows(f"SELECT sum(row_count) {newest}") == [(21,)]
    with contextlib.closing(psycopg2.connect(deployment.url)) as somebody:
        somebody.cursor().execute("UPDATE backup_source.t SET a = a || '.' WHERE id = 300")
        status = Path(f"/proc/{somebody.info.backend_pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 18 * 16_000


def test_a_large_record_of_many_rows_stays_as_an_older_release_left_it_and_nothing_is_moved_past_it(deployment):
    now = as_an_older_release(deployment)
    copies = lived(deployment)
    deployment.rows(now)
    large = "SELECT record, md5(lines) FROM backup.undo_log WHERE row_count > 1 AND octet_length(lines) > 4000000 ORDER BY record"
    before, (_, rows, _) = deployment.rows(large), log(deployment)
    assert len(before) >= 3
    wake(deployment, 90_000)
    thin(deployment, Retention())
    needed = "(SELECT min(undo_mark) FROM backup.runs WHERE outcome = 'saved')"
    assert deployment.rows(large) == [record for record in before if record[0] > deployment.rows(f"SELECT {needed}")[0][0]]
    assert log(deployment)[1] <= rows
    assert assert_listed_come_back(deployment, copies) >= 1
    assert deployment.rows("SELECT count(*) FROM backup.runs WHERE packing IS NOT NULL") == [(0,)]


def test_a_block_looks_at_so_many_records_and_finds_those_behind_many_by_hand(deployment):
    after = deployment.rows("SELECT coalesce(max(record), 0) FROM backup.undo_log")[0][0]
    record = "INSERT INTO backup.undo_log (run, source, mirror, operation, key_columns, row_count, lines)"
    record += " SELECT {run}, 'source', 't', 'update', '{{id}}', 1, '{{\"id\": 1}}' FROM generate_series(1, {number})"
    deployment.rows("ALTER TABLE backup.undo_log DISABLE TRIGGER ALL")
    deployment.rows(record.format(run="NULL", number=1500))
    deployment.rows(record.format(run=deployment.run, number=1500))
    found = f"SELECT count(*), min(record), max(part) FROM backup.block('source', {after}, 1000000)"
    ((number, first, _),) = deployment.rows(found)
    assert (number, first - after > 1500) == (1000, True)


def test_what_people_have_logged_before_a_block_is_not_read_with_each_step(deployment):
    """So much that a step would take seconds: its keys are not known, and what later records have of them is only kept."""
    (after,) = deployment.rows("SELECT coalesce(max(record), 0) FROM backup.undo_log")[0]
    record = "INSERT INTO backup.undo_log (run, source, mirror, operation, key_columns, row_count, lines) VALUES"
    deployment.rows("ALTER TABLE backup.undo_log DISABLE TRIGGER ALL")
    deployment.rows(f"{record} (NULL, 'source', 't', 'update', '{{id}}', 1, '{{\"id\":1}}')")
    deployment.rows(f"{record} (1, 'source', 't', 'update', '{{id}}', 1, '{{\"id\":2}}')")
    deployment.rows(f"{record} (1, 'source', 't', 'update', '{{id}}', 2, E'{{\"id\":1}}\\n{{\"id\":2}}')")
    numbers = [number for (number,) in deployment.rows(f"SELECT record FROM backup.undo_log WHERE record > {after} ORDER BY 1")]
    deployment.rows(f"SELECT backup.take_known('source', {after}, {numbers[1]}, ARRAY[{numbers[2]}]::bigint[], 1)::text")
    assert deployment.rows(f"SELECT lines FROM backup.undo_log WHERE record = {numbers[2]}") == [('{"id":1}',)]


def test_a_run_that_is_deleted_among_many_finds_its_heir_by_reading_once(deployment):
    """A whole source's runs, as the README says to delete them."""
    many_runs(deployment, 5000)
    read = "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))::int FROM pg_index WHERE indrelid = 'backup.runs'::regclass"
    deleted = deployment.rows(f"DELETE FROM backup.runs WHERE run % 2 = 0 AND run > 2; {read}")
    assert deleted[0][0] < 5000 * 10
    assert deployment.rows("SELECT count(*) FROM backup.runs") == [(2502,)]
