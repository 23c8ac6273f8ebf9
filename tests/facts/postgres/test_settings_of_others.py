"""Whatever the role, the database or a pooler's last client has set: a run, a change by hand and a restore are the same."""

import contextlib
import shutil
from itertools import zip_longest

import psycopg2
import pytest
from psycopg2 import sql

from lib.backing_up import dry_run
from lib.postgres.link.connection import Target
from lib.restoring import drill
from lib.trying import trial
from tests import compare
from tests.stand_ins import pooler
from tests.stand_ins.bot import URL
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import as_admin, make_database

SCHEMA = r"""
CREATE TABLE t (id INTEGER PRIMARY KEY, flag BOOLEAN, score REAL, data BLOB, name TEXT, n INTEGER);
INSERT INTO t VALUES (1, 1, 0.1 + 0.2, x'005c27ff', 'a\b''c"d', 1), (2, 0, 1e300, x'', '', 2), (3, NULL, -0.0, NULL, NULL, 3),
    (4, 1, 1.0 / 3, x'5c5c', 'NULL', 4), (5, 2, 5e-324, 'text', 'ünï → ✓', 'no \number'), (6, 0, 1, x'00', '\N', 2.5);
CREATE TABLE "Unlike it" ("sel\ect" TEXT PRIMARY KEY, "ORDER" REAL) WITHOUT ROWID;
INSERT INTO "Unlike it" VALUES ('\', 0.1), ('''', 1e-7), ('ä', 123456789.123456789);
CREATE TABLE "Ünlike" (x);
"""
CHANGES = r"""
UPDATE t SET score = score * 3, name = name || '\', data = x'ff5c' WHERE id <> 5; DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (7, 0, 0.7, x'07', '\\', 7), (8, 'yes', 'x', 8, 9, '\'); INSERT INTO "Ünlike" VALUES ('\'), (x'5c'), (0.3);
DELETE FROM "Unlike it" WHERE "ORDER" = 0.1;
"""
BY_HAND = r"""
UPDATE backup_source.t SET score = score / 7, data = E'\\x5c00'::bytea, name = E'\\' || name WHERE id <> 4;
DELETE FROM backup_source.t WHERE id = 4; INSERT INTO backup_source.t (id, score, data) VALUES (70, 0.1, E'\\x5c'::bytea);
UPDATE backup_source."Unlike it" SET "sel\ect" = E'\\\\' || "sel\ect"; DELETE FROM backup.misfit_rows WHERE table_name = 't';
"""
# Said elsewhere (read only), known not to be Postgres' own to change, or no more than a way to make any session fail.
LEFT_ALONE = {
    "default_transaction_read_only",
    "dynamic_library_path",
    "exit_on_error",
    "local_preload_libraries",
    "session_preload_libraries",
    "max_stack_depth",
    "temp_buffers",
    "temp_file_limit",
    "debug_discard_caches",
    "idle_session_timeout",
    "statement_timeout",
    "log_min_messages",
    "client_min_messages",
    "track_activity_query_size",
}
TEXTS = {
    "DateStyle": ["German, DMY", "SQL, MDY", "Postgres"],
    "IntervalStyle": ["sql_standard", "iso_8601"],
    "TimeZone": ["Pacific/Kiritimati", "America/New_York"],
    "search_path": ["public", "backup_source, backup, public", "pg_temp, public, pg_catalog"],
    "client_encoding": ["LATIN1", "SQL_ASCII"],
    "lc_messages": ["C"],
    "lc_numeric": ["C"],
    "default_text_search_config": ["pg_catalog.german"],
    "application_name": ["somebody's"],
    "plpgsql.extra_errors": ["all"],
    "plpgsql.extra_warnings": ["all"],
    "restrict_nonsystem_relation_kind": ["view, foreign-table"],
    "statement_timeout": ["90s"],
    "client_min_messages": ["debug1", "error"],
}
ASKED = """SELECT name, vartype, setting, enumvals, min_val, max_val FROM pg_settings
    WHERE context = ANY (%s) AND name !~ '^(log|trace|debug_print)_' ORDER BY name"""
# With costs of 1e308 Postgres 18 itself fails: "could not find pathkey item to sort".
MOST_REAL = "1e10"
ROUNDS = range(9)


def alternatives(connection, contexts):
    """Return {setting: [other values]} of all that a user, or an administrator for him, can set."""
    with connection.cursor() as cursor:
        cursor.execute("DO 'BEGIN END'")  # it loads PL/pgSQL, which has settings, too
        cursor.execute(ASKED, [list(contexts)])
        found = {}
        for name, kind, now, choices, least, most in cursor.fetchall():
            if name in TEXTS:
                found[name] = TEXTS[name]
            elif name in LEFT_ALONE or kind == "string":
                continue
            elif kind == "bool":
                found[name] = ["off" if now == "on" else "on"]
            else:
                most = MOST_REAL if kind == "real" and float(most) > float(MOST_REAL) else most
                found[name] = [value for value in (choices or [least, most]) if value != now]
    return found


def rounds(found):
    """Return as many {setting: value} as it takes for every other value to have had its turn."""
    return [
        {name: value for name, value in zip(found, values, strict=True) if value is not None}
        for values in zip_longest(*found.values())
    ]


def whole_story(folder, url):
    """Set up, back up, change, edit by hand, verify, restore, also as of the first run, and rehearse."""
    shutil.rmtree(folder, ignore_errors=True)
    made = Deployment(folder, url)
    made.script(SCHEMA)
    made.set_up()
    made.back_up()
    first, then = made.run, shutil.copy(made.path, folder / "first.db")
    made.script(CHANGES)
    assert made.back_up().keys() == {"t", "Ünlike", "Unlike it"}
    assert made.back_up() == {}
    before = made.restored().rename(folder / "before.db")
    with contextlib.closing(psycopg2.connect(url)) as somebody, somebody.cursor() as cursor:
        cursor.execute(BY_HAND)
        somebody.commit()
    for at, expected in ((None, made.path), (first, then)):
        assert compare.differences(expected, made.restored(at)) == []
    assert compare.differences(made.path, before) == []
    assert any(dry_run.show(made.settings, made.settings.sources, dry_run.differences, trial.silent()).values())
    made.assert_round_trip()
    assert not any(dry_run.show(made.settings, made.settings.sources, dry_run.differences, trial.silent()).values())
    assert compare.differences(then, made.restored(first)) == []
    assert not any(drill.rehearse_all(made.settings, made.settings.targets, made.settings.sources, trial.silent()).values())


def story_fails(server, folder, settings):
    """Return what goes wrong with these settings of the role, or nothing."""
    with make_database(server, "settings_of_others") as url:
        set_for_role(server, settings)
        try:
            whole_story(folder, url)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            as_admin(server, "ALTER ROLE postgres IN DATABASE settings_of_others RESET ALL")
    return ""


def set_for_role(server, settings):
    """Set them; what this server's build or locale does not know it refuses."""
    known = 0
    for name, value in settings.items():
        place = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
        listed = sql.SQL(value) if name in ("search_path", "DateStyle") else sql.Literal(value)
        with contextlib.suppress(psycopg2.Error):
            as_admin(server, sql.SQL("ALTER ROLE postgres IN DATABASE settings_of_others SET {} = {}").format(place, listed))
            known += 1
    assert known >= 0.8 * len(settings)


def guilty(server, folder, settings):
    """Halve the settings until one, or the fewest that fail together, are left; return them with what goes wrong."""
    names = list(settings)
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        part = {name: settings[name] for name in half}
        if part and len(part) < len(names) and story_fails(server, folder, part):
            return guilty(server, folder, part)
    return settings, story_fails(server, folder, settings)


@pytest.mark.campaign
@pytest.mark.parametrize("turn", ROUNDS)
def test_every_setting_of_a_role_at_its_other_values(server, tmp_path, turn):
    with contextlib.closing(psycopg2.connect(server.url)) as admin:
        turns = rounds(alternatives(admin, ("user", "superuser")))
    assert len(turns) <= len(ROUNDS)
    if turn < len(turns) and story_fails(server, tmp_path / "bot", turns[turn]):
        pytest.fail(str(guilty(server, tmp_path / "bot", turns[turn])))


@pytest.mark.campaign
@pytest.mark.skipif(not pooler.IS_HERE, reason="pgbouncer is not installed (Debian: apt-get install pgbouncer)")
@pytest.mark.parametrize("turn", ROUNDS)
def test_every_setting_that_a_poolers_last_client_may_leave(server, database, tmp_path, turn):
    name = URL.fullmatch(database)["name"]
    with contextlib.closing(psycopg2.connect(database)) as customer:
        turns = rounds(alternatives(customer, ("user",)))
    if turn >= len(turns):
        return
    with pooler.running(tmp_path / "pooler", database, "transaction", size=1) as standing:
        with contextlib.closing(psycopg2.connect(standing.url)) as last_client:
            last_client.autocommit = True
            with last_client.cursor() as cursor:
                for setting, value in turns[turn].items():
                    with contextlib.suppress(psycopg2.Error):
                        cursor.execute("SELECT set_config(%s, %s, false)", [setting, value])
        whole_story(tmp_path / "bot", standing.url)
    as_admin(server, sql.SQL("ALTER ROLE postgres IN DATABASE {} RESET ALL").format(sql.Identifier(name)))


REFUSES = """
CREATE FUNCTION public.no_tables_here() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ask the owner first' {using};
END;
$$;
CREATE EVENT TRIGGER no_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS')
    EXECUTE FUNCTION public.no_tables_here();
"""


@pytest.mark.parametrize("using", ["", "USING ERRCODE = 'insufficient_privilege'", "USING ERRCODE = 'undefined_table'"])
def test_an_event_trigger_of_somebody_else_is_named(server, tmp_path, database, using):
    made = Deployment(tmp_path / "bot", database)
    made.script(SCHEMA)
    made.set_up()
    made.back_up()
    made.script(CHANGES)
    name = URL.fullmatch(database)["name"]
    with contextlib.closing(psycopg2.connect(server.url.replace(f"/{URL.fullmatch(server.url)['name']}", f"/{name}"))) as admin:
        admin.autocommit = True
        admin.cursor().execute(REFUSES.format(using=using))
        with pytest.raises(Exception, match="ask the owner first") as refused:
            made.back_up()
        assert "public.no_tables_here, a function of somebody else's, says: ask the owner first" in refused.value.what
        assert "SELECT evtname, evtfoid::regproc FROM pg_event_trigger" in refused.value.remedy
        admin.cursor().execute("ALTER EVENT TRIGGER no_tables DISABLE")
    made.assert_round_trip()


def test_old_runs_are_pruned_whole_where_foreign_keys_do_nothing(server, tmp_path, database):
    name = sql.Identifier(URL.fullmatch(database)["name"])
    as_admin(server, sql.SQL("ALTER ROLE postgres IN DATABASE {} SET session_replication_role = replica").format(name))
    made = Deployment(tmp_path / "bot", database)
    made.script(SCHEMA)
    made.set_up()
    for _ in range(4):
        made.back_up()
    made.rows("UPDATE backup.runs SET finished_at = finished_at - interval '35 days' * (4 - run)")
    made.back_up()
    made.back_up()
    runs = "SELECT count(DISTINCT run), min(run) FROM backup"
    assert made.rows(f"{runs}.run_tables") == [(1, 3)]  # nothing has changed since
    assert made.rows(f"{runs}.runs WHERE outcome = 'saved'") == [(4, 3)]
    with Target(made.settings.targets[0], "backup") as target:
        assert target.row("SHOW session_replication_role") == ("replica",)
