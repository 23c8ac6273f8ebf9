"""Postgres itself tells when backups do not come, and when a mirror is not as it was left; nobody else need be there."""

import contextlib
import secrets
import time
from pathlib import Path

import psycopg2
import pytest

from lib.backing_up import health
from lib.postgres.link.connection import Target
from lib.settings import config
from lib.trying import embedded_postgres
from tests.stand_ins.bot import Bot
from tests.stand_ins.extensions import CRON, NET, VAULT
from tests.stand_ins.supabase import SERVER_SETTINGS, SUPABASE_LIKE, as_admin, make_database

URL = "https://hooks.example/T0/B0/key-of-the-hook"
DEBIANS = Path("/usr/lib/postgresql/15/bin")
HAS_CRON = Path("/usr/share/postgresql/15/extension/pg_cron.control")


@pytest.fixture
def watched(saved_bot):
    """A bot with the watch on, in a database that has stand-ins for the extensions."""
    saved_bot.query(NET + CRON)
    saved_bot.run("setup_supabase.py", "--watch", URL).expect(0)
    return saved_bot


def aged(bot, hours, source="premium_system"):
    for column in ("started_at", "finished_at"):
        bot.query(f"UPDATE backup.runs SET {column} = {column} - interval '{hours} hours' WHERE source = '{source}'")


def posts(bot):
    """Call the watch as pg_cron does, and return what it has posted since the last time."""
    bot.query("SELECT backup.watch()")
    found = bot.query("DELETE FROM net.posted RETURNING url, body")
    assert {url for url, _ in found} <= {URL}
    return [body["text"].split("\n") for _, body in found]


def test_it_is_called_every_fifteen_minutes(watched):
    ((schedule, command), (nightly, proof)) = watched.query("SELECT schedule, command FROM cron.job ORDER BY jobname")
    minute, rest = schedule.split("-", 1)
    assert 0 <= int(minute) < 15
    assert rest == "59/15 * * * *"
    assert command == "SELECT backup.watch()"
    assert nightly == f"{minute}-59/15 0-5 * * *"
    watched.query(proof)
    assert watched.query("SELECT count(*) FROM backup.sources WHERE proofs IS NOT NULL") == [(2,)]


def test_while_all_is_well_nothing_is_posted(watched):
    assert posts(watched) == []


def test_what_is_late_is_posted_once_a_day_and_when_it_works_again(watched):
    aged(watched, 100)
    ((head, what),) = posts(watched)
    assert head == "Hybrid backup, the watch in Postgres over backup:"
    assert what.startswith("premium_system (")
    assert what.endswith("): the last success is 4 days old.")
    assert posts(watched) == []
    watched.query("UPDATE backup.sources SET watch_told = jsonb_build_object('late', extract(epoch FROM now()) - 86000)"
                  " WHERE source = 'premium_system'")  # fmt: skip
    assert len(posts(watched)) == 1
    watched.backup()
    assert posts(watched) == [["Hybrid backup, the watch in Postgres over backup:", "premium_system works again."]]
    assert posts(watched) == []


def test_two_that_are_late_are_one_message(watched):
    aged(watched, 100)
    aged(watched, 100, "user_requests")
    ((_, first, second),) = posts(watched)
    assert (first.split()[0], second.split()[0]) == ("premium_system", "user_requests")


def test_a_live_process_that_is_gone_is_told_and_one_that_is_there_is_not_late(watched):
    aged(watched, 100)
    watched.query("UPDATE backup.sources SET live_at = now() WHERE source = 'premium_system'")
    assert posts(watched) == []
    watched.backup()
    watched.query("UPDATE backup.sources SET live_at = now() - interval '20 minutes' WHERE source = 'premium_system'")
    ((_, what),) = posts(watched)
    assert what.endswith("): live backups were last seen 20 minutes ago.")


def test_one_that_was_given_up_is_not_missed_and_one_that_never_came_is(watched):
    aged(watched, 100)
    watched.query("UPDATE backup.sources SET retired_at = now() WHERE source = 'premium_system'")
    assert posts(watched) == []
    watched.query(
        "INSERT INTO backup.sources (source, mirror_schema, created_at) VALUES ('new', 'none', now() - interval '2 days')"
    )
    ((_, what),) = posts(watched)
    assert what == "new (unknown machine): never backed up."


def test_what_cannot_be_posted_is_told_the_next_time(watched):
    aged(watched, 100)
    watched.query("ALTER FUNCTION net.http_post RENAME TO gone")
    with pytest.raises(psycopg2.errors.UndefinedFunction):
        watched.query("SELECT backup.watch()")
    watched.query("ALTER FUNCTION net.gone RENAME TO http_post")
    assert len(posts(watched)) == 1


def test_a_mirror_that_is_not_as_it_was_left_is_told(watched):
    unseen(watched, "UPDATE backup_premium_system.refunds SET status = 'x' WHERE id = 1")
    watched.query("SELECT backup.prove(extract(epoch FROM now())::float8)")
    ((_, what),) = posts(watched)
    assert what.endswith("): the proof on the server found refunds: other rows than run 1 has left.")
    watched.run("backup.py", "--full").expect(0)
    assert posts(watched) == [["Hybrid backup, the watch in Postgres over backup:", "premium_system works again."]]


def unseen(bot, statement):
    """Change a mirror behind the undo log's back."""
    mirror = statement.split(" SET")[0].split()[-1] if "SET" in statement else statement.split("FROM ")[1].split()[0]
    bot.query(f"ALTER TABLE {mirror} DISABLE TRIGGER USER; {statement}; ALTER TABLE {mirror} ENABLE TRIGGER USER")


@pytest.mark.parametrize(
    ("pauses", "hours", "is_late"), [(0, 71, False), (0, 73, True), (3, 8, False), (3, 8.9, False), (3, 9.2, True)]
)
def test_it_judges_as_the_status_does(watched, pauses, hours, is_late):
    """Six hours between runs, where there were any; nobody knows else how often they come."""
    for _ in range(pauses):
        watched.backup()
    if pauses:
        watched.query(
            "UPDATE backup.runs SET started_at = now() - (interval '6 hours' * n), finished_at = now() - (interval '6 hours' * n)"
            " FROM (SELECT run AS this, row_number() OVER (PARTITION BY source ORDER BY run DESC) - 1 AS n FROM backup.runs) AS o"
            " WHERE this = run"
        )
    aged(watched, hours)
    aged(watched, hours, "user_requests")
    settings = config.load(str(watched.folder / ".env"))
    with Target(settings.targets[0], "backup") as target:
        known = health.asked(target, ["premium_system"])["premium_system"]
    assert health.Answered("premium_system", settings.targets[0], known, [], False, "").is_overdue == is_late
    assert bool(posts(watched)) == is_late


def test_without_the_extensions_it_says_how_to_switch_them_on(saved_bot):
    done = saved_bot.run("setup_supabase.py", "--watch", URL).expect(1)
    assert "the watch needs pg_cron and pg_net." in done.stdout
    assert (
        "Database, Extensions; or, as the user postgres in the SQL editor:  CREATE EXTENSION pg_cron; CREATE EXTENSION pg_net;"
        in (done.stdout)
    )
    saved_bot.query(CRON)
    assert "the watch needs pg_net." in saved_bot.run("setup_supabase.py", "--watch", URL).expect(1).stdout
    assert URL not in saved_bot.log


def test_off_ends_it(watched):
    watched.run("setup_supabase.py", "--watch", "off").expect(0)
    assert watched.query("SELECT count(*) FROM cron.job") == [(0,)]
    assert watched.query("SELECT count(*) FROM backup.watch_url") == [(0,)]


def test_a_second_address_takes_the_first_one_s_place(watched):
    watched.run("setup_supabase.py", "--watch", f"{URL}-2").expect(0)
    assert watched.query("SELECT count(*) FROM cron.job") == [(2,)]
    assert watched.query("SELECT url FROM backup.watch_url") == [(f"{URL}-2",)]


def test_an_address_that_cannot_be_used_is_refused(saved_bot):
    said = saved_bot.run("setup_supabase.py", "--watch", "http://hooks.example/key").expect(2).stderr
    assert "--watch: others could read along; use https." in said
    assert (
        "--watch is not of the form https://HOST/PATH."
        in saved_bot.run("setup_supabase.py", "--watch", "nowhere").expect(2).stderr
    )


def test_the_address_lies_in_the_vault_where_there_is_one(saved_bot):
    saved_bot.query(NET + CRON + VAULT)
    for url in (URL, f"{URL}-2"):
        saved_bot.run("setup_supabase.py", "--watch", url).expect(0)
    assert saved_bot.query("SELECT secret FROM vault.secrets") == [(f"{URL}-2",)]
    assert saved_bot.query("SELECT url FROM backup.watch_url") == [(None,)]
    aged(saved_bot, 100)
    saved_bot.query("SELECT backup.watch()")
    assert saved_bot.query("SELECT url FROM net.posted") == [(f"{URL}-2",)]
    saved_bot.run("setup_supabase.py", "--watch", "off").expect(0)
    assert saved_bot.query("SELECT count(*) FROM vault.secrets") == [(0,)]


@pytest.mark.parametrize("attempt", ["SELECT url FROM backup.watch_url", "SELECT backup.watched_by()", "SELECT backup.watch()",
                                     "SELECT backup.set_watch()"])  # fmt: skip
def test_no_other_role_learns_the_address(writer, saved_bot, attempt):
    saved_bot.write_env()
    saved_bot.query(NET + CRON)
    saved_bot.run("setup_supabase.py", "--watch", URL).expect(0)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        writer.query(attempt)
    for place in ("SELECT prosrc FROM pg_proc WHERE prosrc IS NOT NULL", "SELECT command FROM cron.job"):
        assert not [text for (text,) in saved_bot.query(place) if "key-of-the-hook" in text]


def test_nobody_who_looks_at_statements_sees_the_address(saved_bot):
    """Nor does the server's log, where one fails."""
    saved_bot.query(NET + CRON)
    saved_bot.query("CREATE TABLE public.seen (query text); GRANT ALL ON public.seen TO PUBLIC")
    saved_bot.query("""CREATE OR REPLACE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint
        LANGUAGE sql AS 'INSERT INTO public.seen SELECT current_query(); SELECT 1::bigint'""")
    saved_bot.run("setup_supabase.py", "--watch", URL).expect(0)
    ((query,),) = saved_bot.query("SELECT DISTINCT query FROM public.seen")
    assert "set_watch" in query
    assert "key-of-the-hook" not in query
    assert saved_bot.query("SELECT url FROM backup.watch_url") == [(URL,)]


def test_what_was_given_up_is_not_said_to_work_again(watched):
    aged(watched, 100)
    assert len(posts(watched)) == 1
    watched.query("UPDATE backup.sources SET retired_at = now() WHERE source = 'premium_system'")
    assert posts(watched) == []


def test_two_at_once_post_once(watched):
    aged(watched, 100)
    with contextlib.closing(psycopg2.connect(watched.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup.watch() IS NOT NULL")
        assert cursor.fetchall() == [(True,)]
        assert watched.query("SELECT backup.watch()") == [(None,)]
    assert watched.query("SELECT count(*) FROM net.posted") == [(1,)]


def test_a_proof_that_does_not_get_through_is_told_also_where_it_never_has(watched):
    watched.query("UPDATE backup.sources SET created_at = now() - interval '90 days' WHERE source = 'premium_system'")
    assert posts(watched) == []
    watched.query("UPDATE backup.watch_url SET since = now() - interval '8 days'")
    ((_, what),) = posts(watched)
    assert what.endswith("): the proof on the server has not got through for 8 days.")
    watched.query("SELECT backup.prove(extract(epoch FROM now())::float8)")
    assert posts(watched) == [["Hybrid backup, the watch in Postgres over backup:", "premium_system works again."]]
    begun = "jsonb_build_object('so_far', jsonb_build_object('begun', extract(epoch FROM now()) - 9 * 86400))"
    stuck = f"jsonb_build_object('refunds', {begun})"
    watched.query(f"UPDATE backup.sources SET proofs = proofs || {stuck} WHERE source = 'premium_system'")
    ((_, what),) = posts(watched)
    assert what.endswith("): the proof on the server has not got through for 9 days.")


def test_it_works_again_only_where_nothing_is_wrong_any_more(watched):
    unseen(watched, "UPDATE backup_premium_system.refunds SET status = 'x' WHERE id = 1")
    watched.query("SELECT backup.prove(extract(epoch FROM now())::float8)")
    aged(watched, 100)
    assert len(posts(watched)[0]) == 3
    watched.query("UPDATE backup.sources SET live_at = now()")
    assert posts(watched) == []
    watched.run("backup.py", "--full").expect(0)
    assert posts(watched) == [["Hybrid backup, the watch in Postgres over backup:", "premium_system works again."]]


@pytest.mark.campaign
@pytest.mark.skipif(not (DEBIANS.exists() and HAS_CRON.exists()), reason="Debian's postgresql-15-cron is not installed")
def test_pg_cron_itself_calls_it(tmp_path):
    name = f"test_{secrets.token_hex(6)}"
    preloaded = {"shared_preload_libraries": "pg_cron", "cron.database_name": name, "cron.use_background_workers": "on"}
    with embedded_postgres.running(DEBIANS, SERVER_SETTINGS | preloaded, "supabase_admin") as server:
        as_admin(server, SUPABASE_LIKE)
        with make_database(server, name) as url:
            admin = url.replace("//postgres:", "//supabase_admin:")
            with contextlib.closing(psycopg2.connect(admin)) as connection, connection, connection.cursor() as cursor:
                cursor.execute("CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO postgres")
            bot = Bot.make(tmp_path / "bot", url, users=20)
            bot.query(NET)
            bot.run("setup_supabase.py", "--watch", URL).expect(0)
            aged(bot, 100)
            bot.query(
                "SELECT cron.schedule(jobname, '* * * * *', command) FROM cron.job WHERE command LIKE '%watch%'"
            )  # the same job, sooner
            until = time.monotonic() + 150
            while not (found := bot.query("SELECT url, body->>'text' FROM net.posted")) and time.monotonic() < until:
                time.sleep(1)
            ((address, said),) = found
            assert address == URL
            assert "premium_system" in said
            bot.run("setup_supabase.py", "--watch", "off").expect(0)
            assert bot.query("SELECT count(*) FROM cron.job") == [(0,)]
            bot.query("DROP SCHEMA net CASCADE")
