"""No name of ours shares a namespace with the bot's: every word that stands in our SQL may be its column, its key and its table."""

import re
import shutil

import pytest

from lib.restoring import drill
from lib.sqlite.compare import count_differences
from lib.sqlite.files.names import quoted
from lib.trying import trial
from tests import compare
from tests.stand_ins.bot import REPOSITORY
from tests.stand_ins.deployment import Deployment

# Words of Postgres' SQL, of the functions' bodies and of SQLite's expressions: columns, parameters, variables, aliases, tables.
SQL = [*REPOSITORY.glob("sql/**/*.sql")]
SQLITE = [
    REPOSITORY / "lib" / "sqlite" / f"{name}.py"
    for name in ("compare/find_changes", "compare/changed_row", "lines/expressions", "lines/read_lines", "lines/large_rows")
]
COLUMNS, KEYS = 300, 8


def words(sources):
    found = set()
    for path in sources:
        text = re.sub(r"^\s*(--|#).*$", "", path.read_text(), flags=re.MULTILINE)
        found |= set(re.findall(r"[a-z_][a-z0-9_]*", text))
    return sorted(word for word in found if len(word) > 1 and not word.startswith("sqlite_"))


def chunks(names, size):
    return [names[start : start + size] for start in range(0, len(names), size)]


def all_of(names):
    """Return a database in which they are columns of wide tables, and the keys of others."""
    lines = []
    for number, part in enumerate(chunks(names, COLUMNS)):
        columns = ", ".join(quoted(name) for name in part)
        lines.append(f"CREATE TABLE wide_{number} ({columns})")
        lines += [f"INSERT INTO wide_{number} VALUES ({', '.join([value] * len(part))})" for value in ("1", "'x'")]
    for number, part in enumerate(chunks(names, KEYS)):
        columns, key = ", ".join(f"{quoted(name)} TEXT" for name in part), ", ".join(map(quoted, part))
        lines.append(f"CREATE TABLE keyed_{number} ({columns}, v2, PRIMARY KEY ({key}))")
        lines += [f"INSERT INTO keyed_{number} VALUES ({', '.join([value] * len(part))}, 0)" for value in ("'a'", "'b'", "'c'")]
    return ";\n".join(lines)


def change(names):
    lines = []
    for number, part in enumerate(chunks(names, COLUMNS)):
        lines.append(f"UPDATE wide_{number} SET {quoted(part[0])} = 2, {quoted(part[-1])} = 'y' WHERE {quoted(part[0])} = 1")
    for number, part in enumerate(chunks(names, KEYS)):
        first = quoted(part[0])
        lines.append(f"DELETE FROM keyed_{number} WHERE {first} = 'a'; UPDATE keyed_{number} SET v2 = 1 WHERE {first} = 'b'")
        lines.append(
            f"INSERT INTO keyed_{number} VALUES ({', '.join(['?'.replace('?', chr(39) + 'd' + chr(39))] * len(part))}, 0)"
        )
    return ";\n".join(lines)


def tables(names):
    """Return a database with a table of each name, whose key has the table's name too."""
    return ";\n".join(f"CREATE TABLE {quoted(name)} ({quoted(name)} TEXT PRIMARY KEY, v2); INSERT INTO {quoted(name)} VALUES ('a', 1), ('b', 2)"
        for name in names)  # fmt: skip


def assert_goes_back(deployment, by_hand):
    """Through changes, an edit by hand, `--at`, the dry run and the drill."""
    first, was = deployment.run, shutil.copy(deployment.path, deployment.folder / "was.db")
    yield
    assert deployment.back_up()
    second, now = deployment.run, shutil.copy(deployment.path, deployment.folder / "now.db")
    for statement in by_hand:
        deployment.rows(statement)
    for run, path in ((first, was), (second, now), (None, now)):
        assert compare.differences(path, deployment.restored(run)) == []
    deployment.back_up()
    assert compare.differences(was, deployment.restored(first)) == []
    assert deployment.back_up(full=True) == {}
    counted = count_differences.between(deployment.path, deployment.restored())
    assert [found.changed + found.added + found.removed for found in counted] == [0] * len(counted)
    settings = deployment.settings
    assert not any(drill.rehearse_all(settings, settings.targets, settings.sources, trial.silent()).values())


@pytest.mark.campaign
def test_our_words_as_the_bots_columns_and_keys(tmp_path, database):
    names = words(SQL + SQLITE)
    assert {"source", "record", "key_columns", "mirror", "run", "staging", "command"} <= set(names)
    names = sorted({*names, "row__", "true", "false"})
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script(all_of(names))
    deployment.set_up()
    deployment.back_up()
    last = len(chunks(names, KEYS)) - 1
    by_hand = [f"DELETE FROM backup_source.keyed_{number}" for number in (0, last // 2, last)]
    steps = assert_goes_back(deployment, by_hand)
    next(steps)
    deployment.script(change(names))
    assert list(steps) == []


@pytest.mark.campaign
def test_our_words_as_the_bots_tables(tmp_path, database):
    names = words(SQL)
    deployment = Deployment(tmp_path / "bot", database)
    deployment.script(tables(names))
    deployment.set_up()
    deployment.back_up()
    steps = assert_goes_back(
        deployment, ['DELETE FROM backup_source."source"', 'UPDATE backup_source."mirror" SET "mirror" = \'z\'']
    )
    next(steps)
    deployment.script(
        ";".join(f"UPDATE {quoted(name)} SET v2 = 3 WHERE v2 = 1; DELETE FROM {quoted(name)} WHERE v2 = 2" for name in names)
    )
    assert list(steps) == []


@pytest.mark.campaign
@pytest.mark.parametrize("table", ["feed", "source", "undo_log", "row__"])
def test_one_table_with_our_words_is_put_back_from_an_earlier_run(saved_bot, table):
    path = saved_bot.data / "shop.db"
    saved_bot.sqlite(path, f'CREATE TABLE "{table}" (source TEXT, record TEXT, key_columns, row__ INTEGER, PRIMARY KEY (source, record));'
        f"INSERT INTO \"{table}\" VALUES ('a', 'b', 1, 2), ('c', 'd', 3, 4)")  # fmt: skip
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/shop.db")
    saved_bot.run("setup_supabase.py").expect(0)
    first = saved_bot.query("SELECT max(run) FROM backup.runs WHERE source = 'shop'")[0][0]
    kept = shutil.copy(path, saved_bot.folder / "kept.db")
    saved_bot.sqlite(path, f'DELETE FROM "{table}" WHERE source = \'a\'; UPDATE "{table}" SET row__ = 5')
    saved_bot.backup()
    saved_bot.run("restore.py", "--dry-run", "--at", str(first)).expect(0)
    saved_bot.run("restore.py", "--table", table, "--at", str(first), "--yes").expect(0)
    assert compare.differences(kept, path) == []
    saved_bot.backup()
    saved_bot.run("restore.py", "--drill").expect(0)
