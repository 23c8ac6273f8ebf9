"""A backup that one SQLite has made comes back on another, older or newer: the new server in an emergency has what it has."""

import itertools
import sqlite3
import subprocess
import sys

import pytest

from tests import compare
from tests.cases import hostile
from tests.stand_ins import sqlite_versions
from tests.stand_ins.bot import Bot, environment

pytestmark = pytest.mark.campaign
THIS = "this Python's"
PAIRS = list(itertools.permutations([THIS, *sqlite_versions.PACKAGES], 2))
# What every one of these versions reads.
FAMILIES = (
    "search indexes that are not as their rows",
    "a tokenizer that only the bot knows",
    "full text search",
    "rtree",
    "JSON in indexes, generated columns, checks and defaults",
    "generated columns of both kinds between others",
    "stored columns that the bot's function computed",
    "types contradicted beside virtual columns",
    "SQLite's function with other arguments",
    "the bot's functions of SQLite's names",
    "no primary key, duplicates and gaps",
)


@pytest.fixture(scope="session")
def versions():
    """The environment in which a script uses each SQLite."""
    found = {
        version: sqlite_versions.environment(folder)
        for version, folder in sqlite_versions.folders(sqlite_versions.cache()).items()
    }
    return {THIS: {}} | {version: found[version] for version in found if version != sqlite3.sqlite_version}


def environment_of(versions, version):
    if version not in versions:
        pytest.skip(f"SQLite {version} cannot be had here, or is this Python's own: python tests/stand_ins/sqlite_versions.py")
    return versions[version]


def made(folder, url, families) -> Bot:
    bot = Bot(folder, url)
    bot.data.mkdir(parents=True)
    paths = [bot.data / f"source_{number}.db" for number in range(len(families))]
    for family, path in zip(families, paths, strict=True):
        hostile.build(family, path)
    bot.write_env(SQLITE_DATABASES=",".join(map(str, paths)))
    return bot


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_backup_of_one_sqlite_comes_back_on_another(before, after, versions, tmp_path, database):
    making, restoring = environment_of(versions, before), environment_of(versions, after)
    bot = made(tmp_path / "bot", database, FAMILIES)
    bot.environment = making
    bot.run("setup_supabase.py").expect(0)
    bot.environment = restoring
    bot.run("restore.py", "--drill").expect(0)
    (bot.folder / "snapshots").rename(bot.folder / "snapshots-of-the-old-server")
    bot.run("restore.py", "--yes", "--to", str(bot.folder / "out")).expect(0)
    for family, path in zip(FAMILIES, bot.databases, strict=True):
        assert compare.differences(path, bot.folder / "out" / path.name) == [], family
    bot.run("backup.py", "--verify").expect(0)
    assert [(name, counts) for name, counts in bot.changes("--full").items() if not name.startswith("sqlite_")] == []


NEWER = {
    "3.38": "CREATE INDEX newer ON t (a ->> '$.b')",
    "3.44": "CREATE VIEW newer AS SELECT group_concat(a, ',' ORDER BY a) FROM t",
    "3.46": "CREATE TABLE newer (a DEFAULT 1_000_000)",
}


@pytest.mark.parametrize("since", NEWER)
@pytest.mark.parametrize("old", [THIS, *sqlite_versions.PACKAGES])
def test_what_an_older_sqlite_does_not_understand_is_said_and_nothing_is_touched(since, old, versions, tmp_path, database):
    """Where this SQLite is new enough itself, the old one is 3.35."""
    new, using = environment_of(versions, "3.54.1"), environment_of(versions, old)
    asked = [sys.executable, "-c", sqlite_versions.LINKED]
    number = subprocess.run(asked, env=environment() | using, capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, number.split("."))) >= tuple(map(int, since.split("."))):
        pytest.skip(f"SQLite {number} understands it")
    bot = Bot(tmp_path / "bot", database)
    bot.data.mkdir(parents=True)
    path = bot.data / "source.db"
    script = f"CREATE TABLE t (a); {NEWER[since]}"
    make = f"import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript({script!r})"
    subprocess.run([sys.executable, "-c", make, str(path)], env=environment() | new, check=True)
    bot.write_env(SQLITE_DATABASES=str(path))
    bot.environment = new
    bot.run("setup_supabase.py").expect(0)
    bot.environment = using
    before = path.read_bytes()
    for script, *flags in (
        ("backup.py",),
        ("backup.py", "--verify"),
        ("restore.py", "--yes"),
        ("restore.py", "--local", "--yes"),
    ):
        said = bot.run(script, *flags).expect(1).stderr
        assert f"this Python's SQLite {number} is older than what made the file: it does not understand newer (" in said
        assert "run the scripts with a Python that has a newer SQLite" in said
        assert "restore it" not in said
    assert path.read_bytes() == before
    assert [found.name for found in bot.data.iterdir()] == ["source.db"]
