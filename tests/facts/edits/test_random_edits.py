"""A bot, people and runs change the same small tables at random, and runs are killed: no edit is lost, no row is half of two.

HYBRID_BACKUP_EDIT_STEPS says how many steps each way to the server gets. Every value is written once, so it tells who wrote it.
A row's `a` and `b` are always written together.
"""

import contextlib
import os
import random
import signal
import sqlite3
import time

import psycopg2
import pytest

from tests.stand_ins import pooler
from tests.stand_ins.bot import Bot

STEPS = int(os.environ.get("HYBRID_BACKUP_EDIT_STEPS", "60"))
SEED = int(os.environ.get("HYBRID_BACKUP_EDIT_SEED", "1"))
SCHEMA = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL, note TEXT);
CREATE TABLE child (
    id TEXT PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent (id), a INTEGER UNIQUE, b TEXT, c REAL
) WITHOUT ROWID;
"""
ACCEPTED = ",".join(f"{table}.{what}" for table in ("parent", "child") for what in ("a", "b", "c", "insert", "delete"))
KEYS = {"parent": [*range(1, 201)], "child": [f"k{number}" for number in range(200)]}
MIRRORED = "backup_small.{}"
# What rewrites nearly every row within one run would be another database in the bot's place.
MOST_MEANWHILE = 100
BUSY = (psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled, psycopg2.errors.DeadlockDetected)


class World:
    """The bot's file and its mirror; `written` are by table, key and column the values and who wrote them since the last look."""

    def __init__(self, bot, straight, chance):
        self.bot, self.straight, self.chance = bot, straight, chance
        self.path, self.number = bot.data / "small.db", 0
        self.since: dict[tuple, list[tuple[str, object]]] = {}
        self.ever: dict[tuple, set] = {}
        self.edits_seen = 0

    def new(self):
        self.number += 1
        return self.number

    def note(self, who, table, key, values):
        for column, value in values.items():
            self.since.setdefault((table, key, column), []).append((who, value))
            self.ever.setdefault((table, column), set()).add(value)

    def values(self, table, columns):
        token = self.new()
        both = {"a": token, "b": f"t{token}"}
        return {"c": token / 8} if columns == "c" else both | ({"c": token / 8} if columns == "abc" else {})

    def change(self, who, execute, mark, place):
        """Let somebody update, add or delete a row; return whether it was done."""
        table = self.chance.choice(("parent", "child"))
        key = self.chance.choice(KEYS[table])
        how = self.chance.choices(("update", "insert", "delete"), (8, 2, 1))[0]
        values = self.values(table, "abc" if how == "insert" else self.chance.choice(("ab", "c", "abc")))
        if how == "update":
            wanted = ", ".join(f"{name} = {mark}" for name in values)
            done = execute(f"UPDATE {place(table)} SET {wanted} WHERE id = {mark}", [*values.values(), key])
        elif how == "delete":
            lonely = f" AND NOT EXISTS (SELECT 1 FROM {place('child')} AS c WHERE c.parent = {place('parent')}.id)"
            orphan = lonely if table == "parent" else ""
            done = execute(f"DELETE FROM {place(table)} WHERE id = {mark}{orphan}", [key])
            values = {"row": None}
        else:
            parents = execute(f"SELECT id FROM {place('parent')}", [])
            values = {"id": key} | ({"parent": self.chance.choice(parents)[0]} if table == "child" and parents else {}) | values
            if table == "child" and not parents:
                return
            names, marks = ", ".join(values), ", ".join([mark] * len(values))
            free = f"SELECT {marks} WHERE NOT EXISTS (SELECT 1 FROM {place(table)} WHERE id = {mark})"
            done = execute(f"INSERT INTO {place(table)} ({names}) {free}", [*values.values(), key])
            values = {name: value for name, value in values.items() if name in "abc"} | {"row": key}
        if done:
            self.note(who, table, key, values)

    def bot_changes(self):
        with contextlib.closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys = ON")

            def execute(query, values):
                cursor = database.execute(query, values)
                return cursor.fetchall() if query.startswith("SELECT") else cursor.rowcount

            self.change("bot", execute, "?", str)

    def person_changes(self):
        with contextlib.closing(psycopg2.connect(self.straight.url)) as connection, connection, connection.cursor() as cursor:

            def execute(query, values):
                cursor.execute(query, values)
                return cursor.fetchall() if query.startswith("SELECT") else cursor.rowcount

            noted = {key: [*values] for key, values in self.since.items()}
            try:
                self.change("person", execute, "%s", MIRRORED.format)
                connection.commit()
            except BUSY:
                connection.rollback()
                self.since = noted
                return

    def run(self):
        self.bot.run("backup.py").expect(0)

    def killed_run(self):
        running = self.bot.start("backup.py")
        time.sleep(self.chance.uniform(0.1, 0.8))
        running.send_signal(signal.SIGKILL)
        running.communicate()

    def busy_run(self):
        running = self.bot.start("backup.py")
        for _ in range(MOST_MEANWHILE):
            if running.poll() is None:
                self.chance.choice((self.bot_changes, self.person_changes))()
        stdout, stderr = running.communicate()
        # Whoever edits a hundred times a second holds up the backup, which says so.
        assert running.returncode == 0 or "was edited while it was being backed up" in stderr, stdout + stderr

    def look(self):
        """After a run that nobody has disturbed: what must be so is so."""
        self.run()
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            live = {table: database.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in KEYS}
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        for table, rows in live.items():
            order = "id" if table == "parent" else 'id COLLATE "C"'
            assert self.straight.query(f"SELECT * FROM {MIRRORED.format(table)} ORDER BY {order}") == rows
            for row in rows:
                a, b, c = row[1:4] if table == "parent" else row[2:5]
                assert b == (None if a is None else f"t{a}"), row
                assert {a} <= self.ever.get((table, "a"), set()) | {None}, row
                assert {c} <= self.ever.get((table, "c"), set()) | {None}, row
        self.look_at_edits(live)
        self.since = {}

    def look_at_edits(self, live):
        twice = "SELECT mirror, key, record, count(*) FROM backup.edits GROUP BY 1, 2, 3 HAVING count(*) > 1"
        assert self.straight.query(twice) == []
        assert self.straight.query("SELECT 1 FROM backup.edits WHERE run IS NULL") == []
        judged = self.straight.query(
            "SELECT mirror, key::json ->> 'id', outcome FROM backup.edits WHERE edit > %s", [self.edits_seen]
        )
        stood = {(mirror, key) for mirror, key, outcome in judged if outcome in ("conflict", "refused")}
        edited = {(mirror, key) for mirror, key, _ in judged}
        ((self.edits_seen,),) = self.straight.query("SELECT coalesce(max(edit), 0) FROM backup.edits")
        rows = {(table, str(row[0])): row for table in live for row in live[table]}
        touched = {(table, str(key)) for table, key, _ in self.since}
        assert edited <= touched, edited - touched
        for (table, key, column), writes in self.since.items():
            of_row = [who for (t, k, _), all_writes in self.since.items() if (t, k) == (table, key) for who, _ in all_writes]
            if "bot" in of_row or (table, str(key)) in stood:
                continue
            row, (_, last) = rows.get((table, str(key))), writes[-1]
            gone = self.since.get((table, key, "row"), [("", key)])[-1][1] is None
            if gone:
                assert row is None, (table, key, writes)
            elif column != "row":
                place = ("abc".index(column)) + (1 if table == "parent" else 2)
                assert row, (table, key, column, writes)
                assert row[place] == last, (table, key, column, writes, row)


@pytest.fixture(params=["direct", "session", "transaction"])
def world(request, tmp_path, database):
    straight = Bot(tmp_path / "bot", database)
    straight.data.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(straight.data / "small.db")) as made:
        made.executescript(SCHEMA)
        made.executemany("INSERT INTO parent VALUES (?, NULL, NULL, NULL, 'x')", [(key,) for key in KEYS["parent"][:180]])
        made.executemany(
            "INSERT INTO child VALUES (?, ?, NULL, NULL, NULL)",
            [(key, 1 + place) for place, key in enumerate(KEYS["child"][:180])],
        )
        made.commit()
    with contextlib.ExitStack() as stack:
        url = database
        if request.param != "direct":
            url = stack.enter_context(pooler.running(tmp_path / "pooler", database, request.param)).url
        bot = Bot(tmp_path / "bot", url)
        settings = {"SQLITE_DATABASES": str(straight.data / "small.db"), "BACKUP_ACCEPT_EDITS": ACCEPTED}
        bot.write_env(**settings)
        bot.run("setup_supabase.py").expect(0)
        yield World(bot, straight, random.Random(f"{SEED} {request.param}"))


def test_random_edits(world):
    steps = (world.bot_changes, world.person_changes, world.run, world.killed_run, world.busy_run, world.look)
    for _ in range(STEPS):
        world.chance.choices(steps, (30, 36, 12, 5, 5, 12))[0]()
    world.look()
    assert world.straight.query("SELECT count(*) FROM backup.edits WHERE outcome IN ('applied', 'merged')")[0][0] > STEPS / 20
    world.bot.run("backup.py", "--verify").expect(0)
