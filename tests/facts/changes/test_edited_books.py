"""What somebody edits by hand in the books does not outlive the next run: texts are compared, not the hashes beside them."""

import json

import pytest

from backup import back_up_all
from lib.backing_up.options import BackupOptions
from lib.base.errors import Problem
from lib.trying import trial
from tests import compare
from tests.stand_ins.deployment import Deployment

TABLES = "CREATE TABLE words (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE twins (a, rowid, oid, _rowid_)"
WORDS = "INSERT INTO words VALUES (1, 'one'), (2, 'two'), (3, 3), (4, 'one')"
TWINS = "INSERT INTO twins VALUES ('x', 1, 1, 1), ('x', 1, 1, 1), ('y', 1, 1, 1)"
# As in a target that an older release has set up.
UNCONSTRAINED = "ALTER TABLE backup.misfit_rows DROP CONSTRAINT line_has_its_hash"
WITH_BOTH = "SET line = 'i1,\"three\"', line_hash = md5('i1,\"three\"')"
EDITS = {
    "the line": "UPDATE backup.misfit_rows SET line = 'i1,\"three\"' WHERE table_name = 'words' AND line LIKE '%two%'",
    "every line": "UPDATE backup.misfit_rows SET line = line || ','",
    "the line of a twin": "UPDATE backup.misfit_rows SET line = 'zzz' WHERE table_name = 'twins' AND copy = 2",
    "the hash": "UPDATE backup.misfit_rows SET line_hash = 'zzz' WHERE table_name = 'words' AND line LIKE '%two%'",
    "line and hash": f"UPDATE backup.misfit_rows {WITH_BOTH} WHERE line LIKE '%two%'",
    "the copy": "UPDATE backup.misfit_rows SET copy = copy + 7 WHERE table_name = 'twins'",
    "the lines of two rows": "UPDATE backup.misfit_rows AS one SET line = other.line FROM backup.misfit_rows AS other"
    " WHERE one.table_name = 'words' AND other.table_name = 'words' AND one.line <> other.line",
    "the table": "UPDATE backup.misfit_rows SET table_name = 'words' WHERE table_name = 'twins' AND line LIKE '%y%'",
    "a table that is not there": "UPDATE backup.misfit_rows SET table_name = 'nowhere' WHERE table_name = 'twins'",
    "the source": "UPDATE backup.misfit_rows SET source = 'nobody' WHERE table_name = 'words'",
    "a row too many": "INSERT INTO backup.misfit_rows VALUES ('source', 'words', md5('x'), 1, 'x')",
    "a row too few": "DELETE FROM backup.misfit_rows WHERE line LIKE '%two%'",
}
ALLOWED = {"line and hash", "the copy", "the table", "a table that is not there", "the source", "a row too many", "a row too few"}


@pytest.fixture
def lived(tmp_path, database):
    found = Deployment(tmp_path / "deployment", database)
    found.script(TABLES)
    found.set_up()
    found.script(f"{WORDS}; {TWINS}")
    found.back_up()
    return found


def back_up(deployment, full=False):
    """Back up, and return what was changed in the mirrors, and the warnings."""
    options = BackupOptions(accept_shrink=True, full=full)
    report = back_up_all(deployment.settings, deployment.settings.sources, options, trial.silent())
    assert [problem.text for problem in report.failures] == []
    changed = [table.table for table in report.runs[0].tables if table.inserted or table.updated or table.deleted]
    return changed, "\n".join(report.warnings)


def assert_right(deployment):
    """What is kept is right, as the first run left it and as it is now; there is nothing more to mend."""
    assert back_up(deployment, full=True) == ([], "")
    assert compare.differences(deployment.path, deployment.restored()) == []
    assert compare.differences(deployment.path, deployment.restored(1)) == []
    assert deployment.rows("SELECT count(*) FROM backup.misfit_rows WHERE line_hash <> md5(line)") == [(0,)]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_kept_row_is_reported_and_mended_by_the_next_run(lived, edit):
    if edit not in ALLOWED:
        with pytest.raises(Problem, match="line_has_its_hash"):
            lived.rows(EDITS[edit])
        lived.rows(UNCONSTRAINED)
    lived.rows(EDITS[edit])
    changed, said = back_up(lived)
    assert changed
    if edit != "a row too many":
        assert "source.misfit_rows: somebody changed the mirror by hand" in said
    assert_right(lived)


@pytest.mark.parametrize("edit", EDITS)
def test_setup_takes_over_what_was_edited_before_there_were_constraints(lived, edit):
    lived.rows(UNCONSTRAINED)
    lived.rows(EDITS[edit])
    for _ in range(2):
        lived.set_up()
    with pytest.raises(Problem, match="line_has_its_hash"):
        lived.rows("INSERT INTO backup.misfit_rows VALUES ('source', 'words', 'zzz', 9, 'x')")
    back_up(lived)
    assert_right(lived)


def edited_schema(lived):
    ((definition,),) = lived.rows("SELECT definition FROM backup.source_schemas")
    return json.dumps(json.loads(definition) | {"objects": []}).replace("'", "''")


def test_an_edited_schema_is_mended_by_the_next_run(lived):
    lived.rows(f"UPDATE backup.source_schemas SET definition = '{edited_schema(lived)}'")
    with pytest.raises(Problem):
        lived.restored()
    back_up(lived)
    assert_right(lived)


def test_a_schema_that_was_edited_with_its_hash_is_not_that_of_the_next_run(lived):
    text = edited_schema(lived)
    lived.rows(f"UPDATE backup.source_schemas SET definition = '{text}', definition_hash = md5('{text}')")
    back_up(lived)
    assert back_up(lived, full=True) == ([], "")
    assert compare.differences(lived.path, lived.restored()) == []
