"""What is found by comparing pages is what is found by comparing every row, and only rows that may have changed are looked at."""

import contextlib
import functools
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from lib.sqlite.compare import find_changes, pages
from lib.sqlite.files import mirror_types, read_schema
from lib.sqlite.files.names import quoted
from lib.sqlite.files.opening import open_read_only
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots import live_file
from lib.sqlite.snapshots.copying import Copy
from lib.sqlite.snapshots.previous import Previous
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.mirror_names import mirror_name
from lib.tables.plan import Mirror, planned
from lib.tables.results import LastRun, TableResult

TABLES = {
    "plain": "(id INTEGER PRIMARY KEY, a TEXT, b BLOB, n INTEGER)",
    "counted": "(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, b BLOB)",
    "keyed": "(k TEXT PRIMARY KEY, v, w TEXT)",
    "pairs": "(a, b, c, PRIMARY KEY (a, b))",
    "loose": "(a TEXT, b)",
    "index_only": "(k INTEGER PRIMARY KEY, a TEXT, b) WITHOUT ROWID",
    "taken": "(rowid TEXT, oid INTEGER, v)",
    "out_of_reach": "(rowid TEXT, oid INTEGER, _rowid_)",
    "hidden": "(rowid TEXT, oid, _rowid_ INTEGER PRIMARY KEY)",
    'span" first': '(id INTEGER PRIMARY KEY, first, last, "span.first", span)',
    "": '("" INTEGER PRIMARY KEY, " ")',
    "spans_0": "(first INTEGER PRIMARY KEY DESC, old, new)",
}
OWN_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
HUGE = (-(2**63), 2**63 - 1, -1, 0, 2**31, -(2**40))
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {j})"
# Each connection of the bot's is one step; `{t}` is a table, `{c}` one of its columns, `{i}` and `{j}` are rowids.
STEPS = (
    *["UPDATE {t} SET {c} = {v} WHERE {r} = {i}"] * 6,
    *["INSERT OR REPLACE INTO {t} VALUES ({vs})"] * 3,
    "UPDATE OR IGNORE {t} SET {c} = hex(randomblob(20000)) WHERE {r} = {i}",
    *["DELETE FROM {t} WHERE {r} = {i}"] * 3,
    "INSERT OR REPLACE INTO {t} SELECT * FROM {t} WHERE {r} > {i} LIMIT 20",
    *[f"{NUMBERS} INSERT OR IGNORE INTO {{t}} SELECT {{vs}} FROM n"] * 4,
    "DELETE FROM {t} WHERE {r} BETWEEN {i} AND {i} + {j}",
    "UPDATE OR IGNORE {t} SET {r} = {h} WHERE {r} = {i}",
    "UPDATE OR IGNORE {t} SET {r} = {r} + 1 WHERE {r} > {i}",
    "UPDATE OR REPLACE {t} SET {c} = upper(hex(randomblob(length({c}) / 2))) WHERE {r} BETWEEN {i} AND {i} + 9",
    "UPDATE {t} SET {c} = substr({c}, 1, length({c}) - 1) || 'z' WHERE {r} = {i}",
    "UPDATE OR REPLACE {t} SET {c} = NULL",
    "DELETE FROM {t}",
    "BEGIN; DELETE FROM {t}; ROLLBACK",
    "CREATE INDEX IF NOT EXISTS {x} ON {t} ({c})",
    "DROP INDEX IF EXISTS {x}",
    "DROP TABLE {t}",
    "ALTER TABLE {t} ADD COLUMN {x} DEFAULT 7",
    "VACUUM",
    "PRAGMA incremental_vacuum(3)",
    "PRAGMA auto_vacuum = {a}; VACUUM",
    "PRAGMA journal_mode = WAL",
    "PRAGMA journal_mode = DELETE",
    "ANALYZE",
)


class Files:
    """A bot's file that lives, and its copies: the previous one and the present one; `told` is what the last run has read."""

    def __init__(self, folder: Path, script: str = ""):
        self.source, self.previous, self.present = (folder / name for name in ("source.db", "previous.db", "present.db"))
        self.told = self.previous
        self.script(script)

    @contextlib.contextmanager
    def written(self):
        """Yield a connection of the bot's; what it frees stays as it was, as most SQLites have it, but not Debian's."""
        with contextlib.closing(sqlite3.connect(self.source, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = OFF")
            yield database

    def script(self, text: str) -> None:
        with self.written() as database:
            database.executescript(text)

    def copy(self) -> None:
        """Copy the file as a run does; what was the present copy becomes the previous one."""
        if self.present.exists():
            self.present.replace(self.previous)
        self.present.touch()
        live_file.copy(self.source, self.present)

    def plans(self):
        """Return the tables, and what the last run has left of each one that is as it was declared."""
        with contextlib.closing(open_read_only(self.present)) as now, contextlib.closing(open_read_only(self.told)) as before:
            schema, was = read_schema.read(now), read_schema.read(before)
            tables = [plan_of(before if table in was.tables else now, table) for table in schema.tables]
            known = [plan for plan in tables if declared(was, plan.name) == declared(schema, plan.name)]
            return tables, LastRun("previous", {plan.label: left_of(before, plan) for plan in known})

    @contextlib.contextmanager
    def opened(self):
        """Yield the present copy as a run has it."""
        copy = Copy(self.source, self.present, "delete", "present", (0, 0), Previous(self.previous, {}, {}, ()), "quick", None)
        with contextlib.closing(open_read_only(self.present)) as now:
            yield Snapshot(copy, now, read_schema.read(now))

    def found(self, tables, known) -> dict[str, tuple]:
        """Return by label what is sent of each table."""
        with self.opened() as snapshot:
            return {change.table.label: sent(snapshot, change) for change in find_changes.since(known, snapshot, tables)}


def declared(schema, name):
    return [entry["sql"] for entry in schema.objects if (entry["type"], entry["name"]) == ("table", name)]


def plan_of(connection, table):
    if table.is_internal or not table.key:
        return planned(table, None)
    types = {mirror_name(column.name): mirror_types.mirror_type(connection, table, column) for column in table.columns}
    columns = {name: {"type": kind, "not_null": False} for name, kind in types.items()}
    return planned(table, Mirror(mirror_name(table.name), columns, tuple(map(mirror_name, table.key)), {}))


def left_of(connection, plan):
    misfits, others = read_lines.digests(connection, plan)
    both = misfits + others
    return TableResult(plan.label, plan.printable, both.rows, misfits.rows, digest=both.total)


def sent(snapshot, change):
    """Return all that a run would do with a change; where no row is sent, there is nothing else."""
    if change.sends_every_row or not change.is_sent:
        return change.sends_every_row, change.result
    connection, table = snapshot.connection, change.table
    rows = read_lines.of_mirror(connection, table, change.rows)
    keys = read_lines.of_mirror(connection, table.only_key, change.vanished)
    read = [sorted(b"".join(iter(functools.partial(part.read, 0), b"")).splitlines()) for part in (rows, keys)]
    return False, change.result, *read, change.unchanged, change.most


def every_row_compared(files, tables, known, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(pages, "changed", lambda *_: {})
        return files.found(tables, known)


def assert_same(files, monkeypatch):
    """Pages find what comparing every row finds; but a table without an address is not sent where its pages are as they were."""
    tables, known = files.plans()
    whole, found = every_row_compared(files, tables, known, monkeypatch), files.found(tables, known)
    addressed = {plan.label for plan in tables if plan.key or any(column.is_rowid for column in plan.columns)}
    for label in found:
        assert found[label] == whole[label] or (label not in addressed and found[label] == (False, known.left[label]))
    return found


def assert_all_others_are_the_same(previous, present, spans):
    """Every row outside of the spans is in both files, byte for byte; of a table without spans, that is every row."""
    with contextlib.closing(open_read_only(previous)) as before, contextlib.closing(open_read_only(present)) as now:
        for table in read_schema.read(now).tables:
            names = [column.name for column in table.columns if column.is_rowid] or list(table.key)
            rowid = names[0] if len(names) == 1 else ""
            if spans.get(table.name) == [] or (rowid and table.name in spans):
                others = [rows_outside(file, table.name, rowid, spans[table.name]) for file in (before, now)]
                assert others[0] == others[1], table.name


def rows_outside(connection, table, rowid, spans):
    connection.text_factory = lambda raw: ("text", raw)
    rows = connection.execute(f"SELECT {quoted(rowid) if rowid else 0}, * FROM {quoted(table)}").fetchall()
    return sorted(repr(row) for row in rows if not any(first <= row[0] <= last for first, last in spans))


def value(chance):
    size = chance.choice((0, 3, 30, 30, 30, 30, 300, 300, 300, 2000))
    return chance.choice(
        ("NULL", "0.0", "-0.0", "1", f"{chance.randrange(1000)}", f"'{chance.randbytes(size // 2).hex()}'", f"randomblob({size})")
    )


def make_table(database, name):
    database.execute(f"CREATE TABLE IF NOT EXISTS {quoted(name)} {TABLES[name]}")
    return name


def step(database, chance):
    """Take a random step, if SQLite allows it; return whether it has changed rows."""
    before = database.total_changes
    if chance.random() < 0.05:
        make_table(database, chance.choice(list(TABLES)))
    names = [name for (name,) in database.execute(OWN_TABLES)]
    name = chance.choice(names or [make_table(database, "plain")])
    columns = database.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    rowid = next((column for _, column, kind, _, _, key in columns if key and kind == "INTEGER"), "_rowid_")
    ids = [row[0] for row in database.execute(f"SELECT {quoted(rowid)} FROM {quoted(name)} ORDER BY random() LIMIT 1")]
    values = [value(chance) for _ in columns]
    for place, column in enumerate(columns):
        if column[1] == rowid:
            values[place] = chance.choice(
                ("NULL", "NULL", str(chance.choice(HUGE)), "abs(random()) % 999", "abs(random()) % 99999")
            )
    words = {
        "t": quoted(name), "c": quoted(chance.choice(columns)[1]), "r": quoted(rowid), "x": f"x{chance.randrange(3)}",
        "i": ids[0] if ids and isinstance(ids[0], int) else 0, "j": chance.choice((3, 30, 300)), "h": chance.choice(HUGE),
        "v": value(chance), "vs": ", ".join(values), "a": chance.randrange(3),
    }  # fmt: skip
    with contextlib.suppress(sqlite3.OperationalError, sqlite3.IntegrityError):
        database.executescript(chance.choice(STEPS).format(**words))
    return database.total_changes > before


def made(folder, chance):
    """Make a file with some tables, some of them with many rows."""
    encoding, page_size = chance.choice(("UTF-8", "UTF-8", "UTF-16le")), 512 << chance.randrange(8)
    pragmas = f"PRAGMA encoding = '{encoding}'; PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {chance.randrange(3)}"
    files = Files(folder, f"{pragmas}; CREATE TABLE anchor (a)")
    with files.written() as database:
        for name in chance.sample(list(TABLES), 4):
            make_table(database, name)
        for _ in range(chance.choice((5, 40))):
            step(database, chance)
    return files


def live(folder, seed, rounds, monkeypatch):
    """Let a file live, and compare its copies; return how many tables pages had told of, without change, in part."""
    chance, told = random.Random(seed), {"unchanged": 0, "changed": 0}
    files, look = made(folder, chance), pages.changed

    def looking(*arguments):
        spans = look(*arguments) or {}
        assert_all_others_are_the_same(files.previous, files.present, spans)
        for ranges in spans.values():
            told["changed" if ranges else "unchanged"] += 1
        return spans

    monkeypatch.setattr(pages, "changed", looking)
    monkeypatch.setattr(pages, "MOST_LEAVES", chance.choice((pages.MOST_LEAVES, 1)))
    monkeypatch.setattr(pages, "MOST_PAGES", 1)
    files.copy()
    for _ in range(rounds):
        with files.written() as database:
            for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
                while not step(database, chance) and chance.random() < 0.95:
                    pass
        files.copy()
        assert_same(files, monkeypatch)
    return told


@pytest.mark.parametrize("seed", range(12))
def test_pages_find_what_comparing_every_row_finds(tmp_path, seed, monkeypatch):
    live(tmp_path, seed, 8, monkeypatch)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_pages_find_it_in_random_lives(tmp_path, seed, monkeypatch):
    live(tmp_path, seed, 20, monkeypatch)


def test_pages_tell_of_most_tables_and_most_changes(tmp_path, monkeypatch):
    """Else the lives above would compare nothing with nothing."""
    told = live(tmp_path, 3, 30, monkeypatch)
    assert told["unchanged"] > 50
    assert told["changed"] > 5


def filled(folder, rows, value, also=""):
    """Return the files of a bot with one table; its rows have been told."""
    files = Files(folder, "CREATE TABLE t (id INTEGER PRIMARY KEY, v, n INTEGER); CREATE INDEX i ON t (n)")
    files.script(f"{NUMBERS.format(j=rows)} INSERT INTO t SELECT i, {value}, i FROM n; {also}")
    files.copy()
    return files


def spans_of(files):
    with files.opened() as snapshot:
        find_changes.attach(snapshot.connection, files.previous)
        return pages.changed(snapshot.connection, files.previous, files.present) or {}


def steps_of(files):
    """Return how many thousand steps SQLite takes to find what has changed."""
    steps, (tables, known) = [], files.plans()
    with files.opened() as snapshot:
        snapshot.connection.set_progress_handler(lambda: steps.append(1), 1000)
        assert [change.most for change in find_changes.since(known, snapshot, tables)] == [1]
    return len(steps)


def test_of_many_rows_those_beside_the_changed_one_are_looked_at(tmp_path, monkeypatch):
    files = filled(tmp_path, 200_000, "'row ' || i")
    files.script("UPDATE t SET v = 'new', n = -1 WHERE id = 100000")
    files.copy()
    ((first, last),) = spans_of(files)["t"]
    assert first <= 100_000 <= last < first + 500
    assert steps_of(files) < 30
    with monkeypatch.context() as patched:
        patched.setattr(pages, "changed", lambda *_: {})
        assert steps_of(files) > 1000


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM t WHERE id BETWEEN 2000 AND 3000",
        "DELETE FROM t WHERE id > 4000",
        "INSERT INTO t SELECT id + 100000, v, n FROM t WHERE id < 500",
        "INSERT INTO t SELECT -id, v, n FROM t WHERE id < 500",
        "INSERT INTO t VALUES (-9223372036854775808, 1, 1), (9223372036854775807, 1, 1)",
        "UPDATE t SET id = -5 WHERE id = 5; UPDATE t SET id = 5 WHERE id = 6",
        "DELETE FROM t WHERE id % 1000 = 0; INSERT INTO t SELECT id + 1000000, v, n FROM t LIMIT 10",
        "INSERT INTO t VALUES (100000, zeroblob(100000), 1)",
        "CREATE TABLE u (a); INSERT INTO u VALUES (zeroblob(9000)); UPDATE t SET v = 1 WHERE id = 1; DROP INDEX i",
    ],
)
@pytest.mark.parametrize("is_undone", [False, True])
def test_a_change_is_found_by_pages(tmp_path, monkeypatch, change, is_undone):
    """And so is its opposite: pages come back as they were before they were free."""
    files = filled(tmp_path, 5000, "hex(randomblob(20))")
    files.script(change)
    files.copy()
    if is_undone:
        files.previous.replace(tmp_path / "other.db")
        files.present.replace(files.previous)
        (tmp_path / "other.db").replace(files.present)
    spans = spans_of(files)
    assert spans["t"]
    assert_all_others_are_the_same(files.previous, files.present, spans)
    assert_same(files, monkeypatch)


LONG = "hex(zeroblob(10000))"


def test_a_row_that_is_overwritten_where_it_continues_is_found(tmp_path, monkeypatch):
    """Its own page is as it was: SQLite writes a value of the same length over the old one."""
    files = filled(tmp_path, 300, LONG)
    files.script("UPDATE t SET v = substr(v, 1, 19999) || 'z' WHERE id = 150")
    files.copy()
    assert spans_of(files) == {}
    assert [change[1].rows for change in assert_same(files, monkeypatch).values()] == [300]


def test_what_a_changed_row_continues_in_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MOST_PAGES", 1)
    files = filled(tmp_path, 300, LONG)
    files.script("UPDATE t SET v = v || v, n = -1 WHERE id = 150; CREATE INDEX j ON t (v)")
    files.copy()
    assert spans_of(files)["t"]
    assert_same(files, monkeypatch)


@pytest.mark.parametrize("change", ["VACUUM", "PRAGMA page_size = 8192; VACUUM", "UPDATE t SET v = 1", "DELETE FROM t"])
def test_where_nearly_every_page_differs_every_row_is_compared(tmp_path, monkeypatch, change):
    files = filled(tmp_path, 5000, "hex(randomblob(20))", "DELETE FROM t WHERE id % 3 = 0")
    files.script(change)
    files.copy()
    assert "t" not in spans_of(files)
    assert_same(files, monkeypatch)


def damage(path, chance):
    """Damage a file as a disk or a program might."""
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    one, other = (slice(at, at + size) for at in chance.sample(range(size, len(content), size), 2))
    kind = chance.randrange(6)
    if kind == 0:
        content[one], content[other] = content[other], content[one]
    elif kind == 1:
        content[one] = content[other]
    elif kind == 2:
        content[one] = bytes(size)
    elif kind == 3:
        content[one.start + chance.randrange(12)] = chance.randrange(256)
    elif kind == 4:
        content[chance.randrange(28, 100)] = chance.randrange(256)
    else:
        for at in chance.sample(range(size, len(content)), 5):
            content[at] = chance.randrange(256)
    path.write_bytes(content)


def outcome(files):
    try:
        return files.found(*files.plans())
    except sqlite3.DatabaseError as error:
        return error


def damaged_once(folder, seed, monkeypatch):
    chance = random.Random(seed)
    files = filled(folder, 400, "substr(hex(zeroblob(1000)), 1, i * 7 % 1500)", "CREATE TABLE u (k PRIMARY KEY, v) WITHOUT ROWID")
    files.script(f"UPDATE t SET v = 'new' WHERE id = {chance.randrange(400)}; INSERT INTO u VALUES (1, zeroblob(9000))")
    files.copy()
    files.told = Path(shutil.copy(files.previous, folder / "told.db"))
    damage(chance.choice((files.previous, files.present)), chance)
    with monkeypatch.context() as patched:
        patched.setattr(pages, "changed", lambda *_: {})
        whole = outcome(files)
    found = outcome(files)
    assert isinstance(whole, Exception) or found == whole


@pytest.mark.parametrize("seed", range(40))
def test_in_damaged_copies_pages_miss_nothing(tmp_path, seed, monkeypatch):
    """Where SQLite does not notice, every change is found; where it does, nothing else is raised."""
    damaged_once(tmp_path, seed, monkeypatch)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_in_more_damaged_copies_pages_miss_nothing(tmp_path, seed, monkeypatch):
    damaged_once(tmp_path, seed, monkeypatch)
