"""Whatever a bot commits, after a live batch the mirrors hold it: over the hostile families, by random steps of rows and DDL.

HYBRID_BACKUP_LIVE_STEPS in the environment says how many steps each family takes.
"""

import contextlib
import os
import random
import sqlite3

import pytest

from lib.sqlite.files.names import quoted
from tests import compare
from tests.cases import hostile
from tests.stand_ins.deployment import Deployment

STEPS = int(os.environ.get("HYBRID_BACKUP_LIVE_STEPS", "4"))
# {t} is a table, {a} and {z} its first and its last column, {n} a number that was not there.
OF_ROWS = (
    "DELETE FROM {t} WHERE rowid % 7 = {n} % 7",
    "DELETE FROM {t} WHERE rowid = (SELECT max(rowid) FROM {t})",
    "UPDATE {t} SET rowid = rowid + 1000 WHERE rowid % 5 = {n} % 5",
    "UPDATE {t} SET {z} = {n} WHERE rowid = (SELECT rowid FROM {t} ORDER BY random() LIMIT 1)",
    "UPDATE {t} SET {z} = zeroblob({n} % 9000) WHERE rowid = (SELECT min(rowid) FROM {t})",
    "UPDATE {t} SET {a} = {z}",
    "INSERT OR IGNORE INTO {t} SELECT * FROM {t} ORDER BY random() LIMIT 3",
    "INSERT OR REPLACE INTO {t} ({a}, {z}) VALUES ({n}, 'new')",
    "INSERT OR REPLACE INTO {t} ({a}) VALUES (printf('%.*c', {n} % 3000, 'x'))",
    "DELETE FROM {t}",
)
OF_TABLES = (
    "CREATE TABLE made_{n} (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO made_{n} VALUES ({n}, 'first')",
    "CREATE INDEX indexed_{n} ON {t} ({z})",
    "ALTER TABLE {t} ADD COLUMN added_{n}",
    "VACUUM",
    "PRAGMA user_version = {n}",
)
OWN = """SELECT name FROM sqlite_master AS t WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite_%' AND NOT EXISTS (
    SELECT 1 FROM sqlite_master AS v WHERE v.type = 'table' AND v.rootpage = 0 AND t.name GLOB v.name || '_*')"""


def step(path, chance):
    """Let the bot commit something at random, as far as its schema allows; return whether it was about rows."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        compare.know_the_bots_own(database)
        is_of_rows = chance.random() < 0.85
        with contextlib.suppress(sqlite3.Error, UnicodeEncodeError, IndexError):
            name = chance.choice(database.execute(OWN).fetchall())[0]
            columns = [column for _, column, *_ in database.execute(f"PRAGMA table_info({quoted(name)})")]
            text = chance.choice(OF_ROWS if is_of_rows else OF_TABLES)
            names = {"t": quoted(name), "a": quoted(columns[0]), "z": quoted(columns[-1]), "n": chance.randrange(10**6)}
            database.executescript(text.format(**names))
        return is_of_rows


@pytest.mark.campaign
@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_after_each_batch_the_mirrors_hold_what_was_committed(tmp_path, prepared, family):
    deployment, chance = Deployment(tmp_path, prepared), random.Random(family)
    hostile.build(family, deployment.path)
    deployment.set_up()
    deployment.back_up()
    unchecked = 0
    for number in range(1, STEPS + 1):
        step(deployment.path, chance)
        unchecked += deployment.live_batch()
        if number % 10 == 0 or number == STEPS:
            assert compare.differences(deployment.path, deployment.restored()) == []
        if number % 3 == 0:
            assert deployment.back_up(full=True) == {}
    with contextlib.closing(sqlite3.connect(deployment.path)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        compare.know_the_bots_own(database)
        has_rows = bool(database.execute(OWN).fetchall())
    assert unchecked or STEPS < 10 or not has_rows, "no batch was left unchecked"
