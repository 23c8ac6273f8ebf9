"""Connection strings as dashboards and ORMs give them: what is harmless is ignored with a note, the rest is refused by name."""

import re

import pytest

from lib.base import redact
from lib.base.errors import SettingsError
from lib.settings import url_options
from tests.stand_ins.env_file import load

HOST = "aws-0-eu-central-1.pooler.supabase.com"
SECRET = "Qx7-4Zk-Wq9-uK"
BASE = f"://postgres.abcdefghij:{SECRET}@{HOST}:6543/postgres"
# As the dashboards of Supabase, Vercel and Neon, Prisma, SQLAlchemy, asyncpg, JDBC, node-postgres and others write them.
WORK = (
    "postgresql{}?pgbouncer=true",
    "postgresql{}?pgbouncer=true&connection_limit=1&pool_timeout=0",
    "postgres{}?sslmode=require&pgbouncer=true",
    "postgres{}?sslmode=require&supa=base-pooler.x",
    "postgres{}?workaround=supabase-pooler.vercel&sslmode=require",
    "postgresql{}?sslmode=require&connection_limit=1",
    "postgresql{}?pool_mode=transaction",
    "postgresql{}?options=reference%3Dabcdefghij",
    "postgresql{}?schema=public&sslaccept=strict",
    "postgresql{}?connect_timeout=300&application_name=my%20bot&client_encoding=utf8",
    "postgresql{}?target_session_attrs=read-write&keepalives=1&keepalives_idle=30",
    "postgresql{}?sslmode=require&channel_binding=prefer",
    "postgresql{}?sslmode=require&channel_binding=require",
    "postgresql+psycopg2{}?sslmode=require",
    "postgresql+psycopg{}",
    "postgresql+asyncpg{}?prepared_statement_cache_size=0&statement_cache_size=0",
    "postgres+aiopg{}?async_fallback=True",
    "POSTGRESQL{}?SSLMODE=require&PgBouncer=true",
    "postgresql{}?prepareThreshold=0&currentSchema=public&ssl=true",
    "postgresql{}?gssencmode=disable&uselibpqcompat=true",
    "postgresql{}?",
    "postgresql{}?&pgbouncer&",
)
REFUSED = {
    "host=evil.example.org": "host", "hostaddr=1.2.3.4": "hostaddr", "port=5432": "port", "dbname=x": "dbname",
    "user=x": "user", f"password={SECRET}": "password", "service=x": "service", "passfile=/x": "passfile",
    "sslcert=/x": "sslcert", "sslkey=/x": "sslkey", f"sslpassword={SECRET}": "sslpassword", "sslcrl=/x": "sslcrl",
    "ssl_min_protocol_version=TLSv1.3": "ssl_min_protocol_version", "require_auth=scram-sha-256": "require_auth",
    "requirepeer=x": "requirepeer", "gssencmode=require": "gssencmode", "options=-c%20search_path%3Devil": "options",
    "options=-csession_replication_role%3Dreplica": "options", "options": "options",
    "options=reference%3Danother": "options", "options=endpoint%3Dep-cool-name": "options",
    "options=reference%3Dabcdefghij%20-c%20row_security%3Doff": "options",
    "target_session_attrs=read-only": "target_session_attrs", "target_session_attrs=standby": "target_session_attrs",
    "replication=database": "replication", "krbsrvname=x": "krbsrvname", "%6Fptions=x": "options", "HOST=x": "host",
    "anything=else": "anything", "pgbouncer=true&role=x": "role",
}  # fmt: skip


def url(form):
    return f"SUPABASE_DB_URL='{form.format(BASE)}'"


@pytest.mark.parametrize("form", WORK)
def test_a_copied_string_works_and_says_what_is_ignored(tmp_path, monkeypatch, form):
    found = load(tmp_path, monkeypatch, url(form))
    (target,) = found.targets
    assert (target.host, target.port, target.name, target.user) == (HOST, 6543, "postgres", "postgres.abcdefghij")
    assert (target.password, target.sslmode) == (SECRET, "require")
    names = {name.lower() for name in re.findall(r"[?&](\w+)", form)} - set(url_options.USED)
    assert [note for note in found.notes if not all(name in note for name in names)] == []
    assert len(found.notes) == bool(names)
    assert target.channel_binding == (re.findall("channel_binding=(\\w+)", form) or [""])[0]


@pytest.mark.parametrize("query", REFUSED)
def test_what_would_change_a_run_is_refused_by_name(tmp_path, monkeypatch, query):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, url(f"postgresql{{}}?{query}"))
    assert caught.value.what.startswith(f"SUPABASE_DB_URL has the option {REFUSED[query]!r}: ")
    assert caught.value.what.endswith("; delete it from the URL.")
    assert SECRET not in caught.value.what


def test_what_is_refused_is_named_all_at_once_and_of_each_url(tmp_path, monkeypatch):
    text = url("postgresql{}?host=x&service=y") + f"\nSUPABASE_DB_URL_2='postgresql{BASE}?user=z'"
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, text)
    for said in ("SUPABASE_DB_URL has the option 'host'", "SUPABASE_DB_URL has the option 'service'", "SUPABASE_DB_URL_2 has"):
        assert said in caught.value.what


def test_a_project_in_the_options_becomes_part_of_the_user(tmp_path, monkeypatch):
    """As older dashboards had it; the pooler reads both, a script sends no options."""
    text = f"SUPABASE_DB_URL='postgres://postgres:{SECRET}@{HOST}:6543/postgres?options=reference%3Dabcdefghij'"
    found = load(tmp_path, monkeypatch, text)
    assert found.targets[0].user == "postgres.abcdefghij"
    assert found.notes == ["SUPABASE_DB_URL: the user is postgres.abcdefghij, as its option says."]


def test_an_endpoint_that_the_host_names_too_is_harmless(tmp_path, monkeypatch):
    text = (
        f"SUPABASE_DB_URL='postgres://me:{SECRET}@ep-cool-1.eu.aws.neon.tech/neondb?options=endpoint%3Dep-cool-1&sslmode=require'"
    )
    assert load(tmp_path, monkeypatch, text).notes == ["SUPABASE_DB_URL: options: ignored, because nothing here depends on that."]


@pytest.mark.parametrize("password", ["a@b-cd", "a:b/c-d", "a/b@c/d", "a?b=c&d", "a#b%25c", "x@y:5432/z", "?sslmode=disable"])
def test_a_password_may_hold_what_a_string_is_made_of(tmp_path, monkeypatch, password):
    found = load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='postgresql://u:{password}@{HOST}:5432/postgres?pgbouncer=true'")
    assert (found.targets[0].host, found.targets[0].password) == (HOST, password.replace("%25", "%"))


@pytest.mark.parametrize("text", [f"{SECRET}@{HOST}/postgres?application_name=bot@server", f"{SECRET}@x?y=z@{HOST}/postgres"])
def test_where_the_host_could_be_in_two_places_nothing_is_sent_anywhere(tmp_path, monkeypatch, text):
    with pytest.raises(SettingsError, match="has an @ behind the") as caught:
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='postgresql://u:{text}'")
    assert SECRET not in caught.value.what
    assert SECRET not in redact.hide(f"password {SECRET}")


@pytest.mark.campaign
def test_backups_run_with_it_and_setup_says_once_what_is_ignored(bot):
    bot.write_env(
        SUPABASE_DB_URL=f"{bot.url.replace('postgresql', 'postgresql+psycopg2')}?pgbouncer=true&connection_limit=1&sslmode=prefer"
    )
    said = bot.run("setup_supabase.py").expect(0).stderr
    assert said.count("SUPABASE_DB_URL: pgbouncer, connection_limit: ignored, because nothing here depends on that.") == 1
    done = bot.run("backup.py").expect(0)
    assert (done.stdout, done.stderr) == ("", "")
    assert "pgbouncer, connection_limit: ignored" in bot.log
    assert "pgbouncer, connection_limit: ignored" in bot.run("test_backup.py").expect(0).stdout
    bot.assert_restorable()
    bot.write_env(SUPABASE_DB_URL=f"{bot.url}?options=-c%20search_path%3Devil")
    for script in ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py"):
        assert "has the option 'options'" in bot.run(script, "--quiet").expect(2).stderr
