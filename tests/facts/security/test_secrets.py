"""No secret leaves by any channel: every failure is provoked with a marked password, and all that was written is searched."""

import base64
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg2
import pytest
from psycopg2 import sql

from lib.base import leaving, redact
from lib.trying import sample_bot
from tests.stand_ins.bot import REPOSITORY, Bot, environment
from tests.stand_ins.supabase import as_admin

# It has what URLs, JSON, shells, base64 and format strings treat specially, and no part of it is an ordinary word.
MARKED = "Qx7%é/4+Zk @'\"\\j:Wq{v}#9&u=K"


def forms(secret):
    """Return every way in which the secret may be written, without any code of lib/."""
    raw = secret.encode()
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower())
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    for before in (b"", b"x", b"xy", b"marked:"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(before + raw + b"xyz").decode()[12:-8]
    # Parts, as a parser that splits at the wrong place would show them.
    yield from ("Qx7%", "4+Zk", "Wq{v}", "9&u=K")


def leaked(text):
    return [form for form in forms(MARKED) if form in text]


@pytest.fixture
def marked_bot(saved_bot, server):
    """The bot with a user of its own whose password is marked."""
    user = f"marked_{os.getpid()}"
    as_admin(server, f"CREATE ROLE {user} LOGIN CREATEROLE CREATEDB IN ROLE postgres")
    with contextlib.closing(psycopg2.connect(server.url)) as admin, admin, admin.cursor() as cursor:
        cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(MARKED)))
    bot = Bot(saved_bot.folder, saved_bot.url.replace(f"postgres:{saved_bot.password}", f"{user}:{quote(MARKED, safe='')}"))
    bot.write_env()
    yield bot
    as_admin(server, f"DROP ROLE {user}")


def port_where_nobody_listens():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wrong_settings(bot):
    """Return settings that fail, each with the password in it, as people write them."""
    url = bot.url
    yield "wrong password", url.replace("marked_", "nobody_")
    yield "no such host", url.replace("127.0.0.1", "db.invalid")
    yield "nobody listens", url.replace(f":{url.rsplit(':', 1)[1].split('/')[0]}/", f":{port_where_nobody_listens()}/")
    yield "no such database", f"{url}_nowhere"
    yield "not encoded", url.replace(quote(MARKED, safe=""), MARKED.replace("'", ""))
    yield "no scheme", url.replace("postgresql://", "")
    yield "one slash", url.replace("postgresql://", "postgresql:/")
    yield "another scheme", url.replace("postgresql://", "mysql://")
    yield "no user", f"postgresql://:{quote(MARKED, safe='')}@127.0.0.1:5432/postgres"
    yield "no host", f"postgresql://postgres:{quote(MARKED, safe='')}@:5432/postgres"
    yield "a port that is none", url.replace("/test_", "x/test_")
    yield "an option", f"{url}?password={quote(MARKED, safe='')}&options=x"
    yield "weak TLS", url.replace("127.0.0.1", "192.0.2.1") + "?sslmode=disable"
    yield "the password alone", quote(MARKED, safe="")
    yield "keywords", f"host=127.0.0.1 user=postgres password={quote(MARKED, safe='')}"
    yield "user and host swapped", f"postgresql://127.0.0.1:{quote(MARKED, safe='')}@postgres:5432/postgres"


def provoked(bot):
    """Make every kind of failure, and return what the scripts print."""
    said = []

    def run(*script, **settings):
        bot.write_env(**settings)
        done = bot.run(*script)
        said.append(done.stdout + done.stderr)
        return done.status

    scripts = (("backup.py",), ("restore.py", "--json"), ("setup_supabase.py", "--check"), ("test_backup.py", "--json"))
    for place, (what, url) in enumerate(wrong_settings(bot)):
        assert run(*scripts[place % len(scripts)], SUPABASE_DB_URL=url), what
    parts = {"SUPABASE_DB_URL": None, "SUPABASE_DB_USER": "postgres", "SUPABASE_DB_PASSWORD": MARKED.replace("'", "")}
    assert run("backup.py", **parts, SUPABASE_DB_HOST=bot.url)
    assert run("backup.py", **parts, SUPABASE_DB_HOST="db.invalid", SUPABASE_DB_PORT="x")
    assert run("backup.py", **parts, SUPABASE_DB_HOST="YOUR_HOST")
    assert run("backup.py", BACKUP_KEEP_DAYS="x")
    assert run("backup.py", "--nothing")
    assert run("restore.py", "--at", "the flood")
    assert run("restore.py", "--at", "1999-01-01", "--yes")
    assert run("restore.py")
    kept = bot.keep_copies()
    bot.premium.write_bytes(b"not a database " * 100)
    assert run("backup.py", "--json")
    bot.premium.write_bytes(b"")
    assert run("test_backup.py")
    shutil.copy(kept["premium_system"], bot.premium)
    bot.sqlite(bot.premium, "DROP TABLE payment_history")
    assert run("backup.py")
    shutil.copy(kept["premium_system"], bot.premium)
    bot.query("GRANT SELECT ON backup.runs TO anon")
    assert run("backup.py")
    bot.query("REVOKE SELECT ON backup.runs FROM anon")
    with contextlib.closing(sqlite3.connect(bot.premium)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert run("restore.py", "--yes")
    bot.query("DROP TABLE backup.misfit_rows CASCADE")
    assert run("backup.py")
    assert run("restore.py", "--drill")
    return "".join(said)


@pytest.mark.campaign
def test_every_failure_with_a_marked_password_writes_it_nowhere(marked_bot):
    said = provoked(marked_bot)
    assert "Error: " in said
    assert leaked(said) == []
    for path in marked_bot.folder.rglob("*"):
        if path.is_file() and path.name != ".env":
            assert leaked(path.read_bytes().decode("utf-8", "replace")) == [], path
    written = marked_bot.query("SELECT coalesce(string_agg(concat(error, machine, version), ' '), '') FROM backup.runs")
    assert leaked(written[0][0]) == []


def watched(running, server, user):
    """Collect what other users of the machine and of the server can see while a script runs."""
    seen = set()
    with contextlib.closing(psycopg2.connect(server.url)) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        while running.poll() is None:
            cursor.execute("SELECT application_name, query FROM pg_stat_activity WHERE usename = %s", [user])
            seen |= {part for row in cursor.fetchall() for part in row}
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().decode("utf-8", "replace"))
    return seen


@pytest.mark.campaign
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")
def test_neither_the_process_list_nor_the_servers_shows_it(marked_bot, server):
    sample_bot.live(marked_bot.data, 1)
    for script in (("backup.py", "--full"), ("restore.py", "--drill"), ("setup_supabase.py", "--check")):
        seen = watched(marked_bot.start(*script), server, f"marked_{os.getpid()}")
        assert any(text.startswith("hybrid-backup ") for text in seen)
        assert any("--env-file" in text for text in seen)
        assert [text for text in seen if leaked(text)] == []


def test_the_writers_password_does_not_travel(saved_bot, server):
    """Supabase logs every DDL statement, and pg_stat_activity shows it: they get the SCRAM verifier."""
    as_admin(server, "ALTER SYSTEM SET log_statement = 'ddl'")
    as_admin(server, "SELECT pg_reload_conf()")
    running = saved_bot.start("setup_supabase.py", "--writer-role")
    seen = watched(running, server, "postgres")
    stdout, _ = running.communicate()
    password = stdout.split("backup_writer:")[1].split("\n")[0]
    as_admin(server, "ALTER SYSTEM RESET log_statement")
    as_admin(server, "SELECT pg_reload_conf()")
    logged = (server.folder / "log").read_text(errors="replace")
    assert "PASSWORD 'SCRAM-SHA-256$" in logged
    assert password not in logged
    assert not any(password in text for text in seen)


def test_an_unexpected_error_hides_it_in_the_traceback_the_log_and_json(tmp_path):
    code = (
        "import sys; from lib.base import log, redact, script; from pathlib import Path\n"
        "def main(options, console):\n"
        "    log.open_file(Path(sys.argv.pop()))\n"
        "    redact.remember(SECRET)\n"
        "    try:\n"
        "        raise ValueError('first: ' + SECRET)\n"
        "    except ValueError as error:\n"
        "        raise RuntimeError({'url': 'postgresql://postgres:' + SECRET + '@host'}) from error\n"
        "SECRET = sys.stdin.read()\n"
        "sys.argv = ['backup.py', '--json', sys.argv[1]]\n"
        "parser = script.Parser('x', {'': '--path'}); parser.add_argument('path'); script.run(main, parser)\n"
    )
    log = tmp_path / "log"
    command = [sys.executable, "-c", code, str(log)]
    done = subprocess.run(command, input=MARKED, capture_output=True, text=True, cwd=REPOSITORY, env=environment())
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"].startswith("an unexpected RuntimeError")
    assert "Traceback" in log.read_text()
    assert "Traceback" not in done.stderr
    assert leaked(done.stdout + done.stderr + log.read_text()) == []


@pytest.mark.parametrize("secret", [MARKED, "abcd", "p@ss", "1234567890", "пароль", "a bc", "%41%42"])
def test_the_one_redaction_knows_every_form(secret, monkeypatch):
    monkeypatch.setattr(redact, "_secrets", set())
    redact.remember(secret)
    for before in (b"", b"u:", b"\0u\0", b"user:"):
        said = redact.clean(base64.b64encode(before + secret.encode() + b"!").decode())
        with contextlib.suppress(ValueError):
            assert secret.encode() not in base64.b64decode(said)
    for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret), repr(secret)):
        assert redact.MASK in redact.clean(f"<{form}>")
    assert leaving.told_all({"a": [secret, {"b": f"x{secret}"}], secret: 1}) == {
        "a": [redact.hide(secret), {"b": redact.hide(f"x{secret}")}],
        redact.hide(secret): 1,
    }


@pytest.mark.campaign
def test_what_is_made_on_this_machine_is_its_owners_alone(saved_bot):
    """Also under a careless umask, and whatever the mode of the bot's files."""
    for path in saved_bot.databases:
        path.chmod(0o600)
    shutil.rmtree(saved_bot.folder / "snapshots")
    (saved_bot.folder / "supabase_backup.log").unlink()
    script = "umask 000; " + " && ".join(
        f"{sys.executable} {REPOSITORY}/{script} --env-file {saved_bot.folder}/.env"
        for script in (
            "backup.py --full",
            "restore.py --yes",
            "restore.py --undo --yes",
            "restore.py --local --yes",
            f"restore.py --yes --to {saved_bot.folder}/to",
            "restore.py --table refunds --yes",
            "restore.py --drill",
        )
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    made = [path for path in saved_bot.folder.rglob("*") if path != saved_bot.data]
    assert any(".before-restore-" in path.name for path in made)
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_DB_PASSWORD", "YOUR_PASSWORD"),
        ("SUPABASE_DB_PASSWORD", "[YOUR-PASSWORD]"),
        ("SUPABASE_DB_HOST", "aws-0-YOUR-REGION.pooler.supabase.com"),
        ("SUPABASE_DB_USER", "postgres.YOUR_PROJECT"),
    ],
)
def test_the_samples_values_are_refused_by_name(saved_bot, name, value):
    parts = {
        "SUPABASE_DB_URL": None,
        "SUPABASE_DB_HOST": "db.invalid",
        "SUPABASE_DB_USER": "postgres",
        "SUPABASE_DB_PASSWORD": "x4711",
    }
    saved_bot.write_env(**parts | {name: value})
    assert f"{name} still holds the sample's text" in saved_bot.run("backup.py").expect(2).stderr


def test_the_sample_file_itself_is_refused(saved_bot):
    shutil.copy(REPOSITORY / ".env.example", saved_bot.folder / ".env")
    (saved_bot.folder / ".env").chmod(0o600)
    assert saved_bot.run("backup.py").expect(2).stderr.count("SUPABASE_DB_URL still holds the sample's text") == 1
