"""Bots whose owner's edits are accepted."""

import contextlib
import sqlite3

import pytest

from tests.stand_ins.bot import Bot
from tests.stand_ins.editing import ACCEPTED


@pytest.fixture
def editing(saved_bot):
    """A bot whose owner's edits are accepted, and that knows it."""
    saved_bot.write_env(BACKUP_ACCEPT_EDITS=ACCEPTED)
    saved_bot.run("backup.py").expect(0)
    return saved_bot


@pytest.fixture
def small(tmp_path, database):
    """Make a bot with one small database from a script, in which it has a function `ours`; what is accepted of it is known."""

    def make(script, accepted):
        bot = Bot(tmp_path / "bot", database)
        bot.data.mkdir(parents=True)
        path = bot.data / "small.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.create_function("ours", 1, abs, deterministic=True)
            connection.executescript(script)
        bot.write_env(SQLITE_DATABASES=str(path), BACKUP_ACCEPT_EDITS=accepted)
        bot.run("setup_supabase.py").expect(0)
        return bot

    return make
