"""A real PostgreSQL that behaves like Supabase, a database of its own for every test, and a bot's folder to work in."""

import os
import secrets
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
# Modules that are compiled once, as on the operator's machine, save more than half of a script's start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

from tests.stand_ins import deployment, relay, supabase  # noqa: E402
from tests.stand_ins.bot import URL, Bot  # noqa: E402
from tests.stand_ins.supabase import make_database  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "campaign: what takes long; the everyday half is -m 'not campaign'")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a fact that is tried on a server in many cases, the everyday half has the first one, the campaign all."""
    tried = set()
    for item in items:
        if "server" in item.fixturenames and item.function in tried:
            item.add_marker(pytest.mark.campaign)
        tried.add(item.function)


@pytest.fixture(scope="session")
def server():
    """The server; HYBRID_BACKUP_TEST_POSTGRES names the folder of another version's binaries."""
    binaries = os.environ.get("HYBRID_BACKUP_TEST_POSTGRES")
    with supabase.running(Path(binaries) if binaries else None) as running:
        yield running


@pytest.fixture
def database(request, server):
    """A connection string for a fresh database, as the user that Supabase gives its customers; that of `saved_bot` is a copy."""
    like = request.getfixturevalue("first_bot").database if "saved_bot" in request.fixturenames else None
    with make_database(server, f"test_{secrets.token_hex(6)}", like) as url:
        yield url


@pytest.fixture(scope="session")
def books(server):
    """A database in which setup has made what is the same for every source, of which each `prepared` is a copy."""
    with make_database(server, f"test_{secrets.token_hex(6)}") as url:
        deployment.install_books(url)
        yield url


@pytest.fixture
def prepared(server, books):
    """As `database`, for a Deployment: its first setup has only its source left to do."""
    with make_database(server, f"test_{secrets.token_hex(6)}", URL.fullmatch(books)["name"]) as url:
        deployment.with_books.add(url)
        yield url


@pytest.fixture(scope="session")
def first_bot(server, tmp_path_factory):
    """A bot after setup and the first backup, of which each `saved_bot` is a copy: most tests begin there."""
    with make_database(server, f"test_{secrets.token_hex(6)}") as url:
        bot = Bot.make(tmp_path_factory.mktemp("first") / "bot", url, users=120)
        bot.run("setup_supabase.py").expect(0)
        yield bot


@pytest.fixture
def bot(tmp_path, database):
    """A bot's folder with sample databases and a .env; nothing has been set up yet."""
    return Bot.make(tmp_path / "bot", database, users=120)


@pytest.fixture
def saved_bot(first_bot, bot):
    """The same after setup and the first backup."""
    bot.set_up_like(first_bot)
    return bot


@pytest.fixture
def writer(saved_bot):
    """The same bot with the writer role in its .env; `saved_bot` stays the owner."""
    said = saved_bot.run("setup_supabase.py", "--writer-role").expect(0).stdout
    role, password = said.split("they are not shown again:\n")[1].split("\n")[0].strip().split(":")
    assert password not in (saved_bot.folder / "supabase_backup.log").read_text()
    bot = Bot(saved_bot.folder, saved_bot.url.replace(f"postgres:{saved_bot.password}", f"{role}:{password}"))
    saved_bot.write_env(SUPABASE_DB_URL=bot.url)
    return bot


@pytest.fixture
def line(saved_bot):
    """A relay between the scripts of `saved_bot` and its server; the test's own questions go straight."""
    port = URL.fullmatch(saved_bot.url)["port"]
    with relay.running("127.0.0.1", int(port)) as (standing, listens):
        saved_bot.write_env(SUPABASE_DB_URL=saved_bot.url.replace(f":{port}/", f":{listens}/"))
        yield standing
