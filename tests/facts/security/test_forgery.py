"""Whoever has the writer's password gets no further than the writer: no type, operator, table or claim of his is taken for ours."""

import contextlib
import json

import psycopg2
import pytest

from lib.trying import sample_bot
from tests import compare

EVIL = """
    CREATE FUNCTION pg_temp.evil(given text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN true; END $$;
"""
# What may be put into pg_temp under a name that a function of ours uses, so that it runs with the owner's rights.
TRAPS = {
    "a domain called text": "CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.evil(VALUE::pg_catalog.text))",
    "a domain called bigint": "CREATE DOMAIN pg_temp.int8 AS pg_catalog.int8 CHECK (pg_temp.evil(VALUE::pg_catalog.text));"
    'CREATE DOMAIN pg_temp."bigint" AS pg_catalog.int8 CHECK (pg_temp.evil(VALUE::pg_catalog.text))',
    "a domain called numeric": "CREATE DOMAIN pg_temp.numeric AS pg_catalog.numeric CHECK (pg_temp.evil(VALUE::pg_catalog.text))",
    "a domain called jsonb": "CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb CHECK (pg_temp.evil(VALUE::pg_catalog.text))",
    "a domain called regclass": "CREATE DOMAIN pg_temp.regclass AS pg_catalog.regclass CHECK (pg_temp.evil(VALUE::pg_catalog.text))",
    "a domain called xid8": "CREATE DOMAIN pg_temp.xid8 AS pg_catalog.xid8 CHECK (pg_temp.evil(VALUE::pg_catalog.text))",
    "an operator": "CREATE FUNCTION pg_temp.same(a text, b text) RETURNS boolean LANGUAGE sql AS 'SELECT pg_temp.evil(a)';"
    "CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.same)",
    "tables": "CREATE TEMP TABLE runs (run bigint, source text); CREATE TEMP TABLE undo_log (record bigint);"
    "CREATE TEMP TABLE sources (source text); CREATE TEMP TABLE old_rows (a int); CREATE TEMP TABLE new_rows (a int);"
    "CREATE TEMP TABLE pg_class (oid oid); CREATE TEMP TABLE pg_trigger (oid oid)",
    "functions": "CREATE FUNCTION pg_temp.row_to_json(record) RETURNS json LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN '{{}}'; END $$;"
    "CREATE FUNCTION pg_temp.format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN ''; END $$;"
    "CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN now(); END $$",
}
# Each of them lets a function of ours work.
USES = (
    "UPDATE backup_premium_system.refunds SET status = 'x' WHERE id = 1",
    "INSERT INTO backup_premium_system.refunds SELECT -id, owner_id FROM backup_premium_system.refunds LIMIT 0",
    "DELETE FROM backup_premium_system.refunds WHERE id = 2",
    "INSERT INTO backup.misfit_rows (source, table_name, line_hash, copy, line) VALUES ('premium_system', 'refunds', md5('n'), 1, 'n')",
    "DELETE FROM backup.misfit_rows WHERE line = 'n'",
    "SELECT backup.take_source((backup.open_run('premium_system', 'm', 'v')).run)",
    "SELECT backup.save_run((backup.open_run('premium_system', 'm', 'v')).run, '{}', '{}', '[]')",
    "SELECT backup.fail_run((backup.open_run('premium_system', 'm', 'v')).run, 'e')",
    "SELECT backup.prune('premium_system', 30)",
    "SELECT backup.note_restore('premium_system', 1, 'o', 'm', 'p')",
    "SELECT backup.note_drill('premium_system', 1, 1, 1, NULL, 'm')",
    "SELECT backup.openings(ARRAY['backup'])",
    "SELECT backup.is_watched('premium_system', 'backup_premium_system.refunds'::regclass), backup.are_books_watched()",
)


@pytest.mark.parametrize("trap", TRAPS)
def test_nothing_of_a_callers_runs_with_the_owners_rights(writer, saved_bot, trap):
    """`evil` writes down as whom it runs; only what the owner may write is worth anything."""
    saved_bot.query(
        "CREATE TABLE public.ran_as (who text); GRANT ALL ON public.ran_as TO backup_writer; GRANT USAGE ON SCHEMA public TO PUBLIC"
    )
    does = "INSERT INTO public.ran_as VALUES (current_user)"
    with contextlib.closing(psycopg2.connect(writer.url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(EVIL.format(does=does) + TRAPS[trap].format(does=does))
        for use in USES:
            with contextlib.suppress(psycopg2.Error):
                cursor.execute(f"BEGIN; {use}")
                cursor.execute("COMMIT")
            cursor.execute("ROLLBACK")
    assert saved_bot.query("SELECT count(*) FROM public.ran_as WHERE who <> 'backup_writer'") == [(0,)]


def test_every_function_of_ours_looks_for_nothing_in_a_callers_hands(saved_bot):
    """Functions, their settings and their owner; what a role in search_path owns could otherwise be taken for ours."""
    found = saved_bot.query(
        "SELECT p.oid::regprocedure::text, proconfig FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname LIKE 'backup%'"
    )
    assert len(found) > 15
    assert [name for name, settings in found if "search_path=pg_catalog, pg_temp" not in (settings or [])] == []


@pytest.mark.campaign
def test_what_others_put_into_public_is_not_taken_for_postgres_own(saved_bot, server):
    """Until PostgreSQL 14 anybody may create in public: a function that fits better than Postgres' own would be called instead."""
    saved_bot.query("CREATE TABLE public.ran (who text)")
    traps = (
        ("obj_description", "regnamespace, text", "text"),
        ("has_schema_privilege", "text, text", "boolean"),
        ("to_char", "timestamp, text", "text"),
        ("pg_database_size", "name", "bigint"),
        ("jsonb_build_object", "text, bigint", "jsonb"),
        ("starts_with", "text, text", "boolean"),
        ("md5", "text", "text"),
        ("coalesce_", "text", "text"),
    )
    for name, arguments, returns in traps:
        saved_bot.query(
            f"CREATE FUNCTION public.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN NULL; END $$"
        )
    saved_bot.query("ALTER ROLE postgres SET search_path = public, extensions")
    try:
        saved_bot.run("setup_supabase.py").expect(0)
        for script, *flags in (
            ["backup.py"],
            ["backup.py", "--status"],
            ["backup.py", "--verify"],
            ["restore.py", "--list"],
            ["restore.py", "--drill"],
        ):
            saved_bot.run(script, *flags).expect(0)
    finally:
        saved_bot.query("ALTER ROLE postgres RESET search_path")
    assert saved_bot.query("SELECT count(*) FROM public.ran") == [(0,)]


def forged_run(writer, **also):
    """With the writer's password: a run that says it has read the true snapshot, and left other digests."""
    tables = [
        {
            "label": label,
            "rows": rows,
            "misfits": misfits,
            "digest": int(digest) + 1,
            "inserted": 0,
            "updated": 0,
            "deleted": 0,
            "bytes_sent": 0,
            "seconds": 0,
        }
        for label, rows, misfits, digest in writer.query(
            "SELECT table_name, rows, misfits, digest::text FROM backup.sources, backup.left_by(last_run) WHERE sources.source = 'premium_system'"
        )
    ]
    ((hash_, definition, mirrors),) = writer.query(
        "SELECT noted.snapshot_hash, definition, mirrors FROM backup.sources JOIN backup.runs ON runs.run = last_run"
        " JOIN backup.source_schemas USING (source_schema), backup.snapshot_of(last_run) AS noted WHERE sources.source = 'premium_system'"
    )
    ((run,),) = writer.query("SELECT run FROM backup.open_run('premium_system', 'elsewhere', '0')")
    about = {
        "snapshot_hash": hash_,
        "mirrors": mirrors,
        "snapshot_bytes": 1,
        "bytes_sent": 1,
        "rows": 1,
        "machine_time": 0,
        **dict(
            zip(
                ("origin", "machine", "path"),
                writer.query("SELECT origin, origin_machine, origin_path FROM backup.sources WHERE source = 'premium_system'")[0],
                strict=True,
            )
        ),
        **also,
    }
    with contextlib.closing(psycopg2.connect(writer.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup.take_source(%s)", [run])
        cursor.execute("SELECT backup.save_run(%s, %s, %s, %s)", [run, json.dumps(about), definition, json.dumps(tables)])
    return run


@pytest.mark.campaign
def test_a_forged_run_poisons_no_honest_one(writer, saved_bot):
    forged_run(writer)
    sample_bot.live(saved_bot.data, 1)
    writer.backup()
    assert "every row is sent, because the previous snapshot is not the last run's" in writer.log
    honest = writer.backup()["runs"][0]["run"]
    (saved_bot.folder / "snapshots").rename(saved_bot.folder / "elsewhere")  # as on a new machine
    writer.run("restore.py", "--yes", "--to", str(saved_bot.folder / "out"), "--at", str(honest + 1)).expect(0)
    writer.run("restore.py", "--drill").expect(0)


@pytest.mark.campaign
def test_what_a_forged_run_calls_lost_comes_back_all_the_same(writer, saved_bot):
    first, was = (
        saved_bot.query("SELECT last_run FROM backup.sources WHERE source = 'premium_system'")[0][0],
        saved_bot.premium.read_bytes(),
    )
    sample_bot.live(saved_bot.data, 1)
    writer.backup()
    forged_run(writer, lost=["refunds", "payment_history"])
    writer.backup()
    assert ", without payment_history, refunds" in writer.run("restore.py", "--list").expect(0).stdout
    out = saved_bot.folder / "out"
    writer.run("restore.py", "--yes", "--database", "premium_system", "--to", str(out), "--at", str(first)).expect(0)
    (saved_bot.folder / "was.db").write_bytes(was)
    assert compare.differences(saved_bot.folder / "was.db", out / sample_bot.PREMIUM) == []


def test_a_run_is_saved_and_logged_only_in_the_transaction_that_has_the_source(writer, saved_bot):
    ((run,),) = writer.query("SELECT run FROM backup.open_run('premium_system', 'elsewhere', '0')")
    for attempt in (
        f"SELECT backup.save_run({run}, '{{}}', '{{}}', '[]')",
        f"BEGIN; SELECT pg_advisory_xact_lock(backup.source_lock('premium_system')); SELECT backup.save_run({run}, '{{}}', '{{}}', '[]'); COMMIT",
        f"SELECT backup.take_source({run}); SELECT backup.save_run({run}, '{{}}', '{{}}', '[]')",
    )[:2]:
        with pytest.raises(psycopg2.Error):
            writer.query(attempt)
    # A claim in a setting, even of a run that is open, is no run's record.
    writer.query(f"SET hybrid_backup.run = '{run}'; UPDATE backup_premium_system.refunds SET status = 'forged' WHERE id = 1")
    assert saved_bot.query("SELECT run FROM backup.undo_log WHERE mirror = 'refunds'") == [(None,)]
    (warning,) = writer.backup()["warnings"]
    assert "premium_system.refunds: somebody changed the mirror by hand (update of 1 row: id = 1)." in warning
    assert saved_bot.run("backup.py", "--verify").expect(0)


@pytest.mark.parametrize("where", ["in the note", "in Postgres"])
def test_a_digest_that_somebody_has_rewritten_is_not_carried_forward(saved_bot, where):
    if where == "in Postgres":
        saved_bot.query("UPDATE backup.run_tables SET digest = digest + 1 WHERE table_name = 'refunds'")
    else:
        path = saved_bot.folder / "snapshots" / "premium_system.db.json"
        note = json.loads(path.read_text())
        note["tables"]["refunds"][2] += 1
        path.write_text(json.dumps(note))
    saved_bot.sqlite(saved_bot.data / "premium_system.db", "DELETE FROM payment_history WHERE rowid = 1")
    saved_bot.backup()
    assert "what this machine has noted of the last run is not what Postgres has" in saved_bot.log
    saved_bot.backup()
    (saved_bot.folder / "snapshots").rename(saved_bot.folder / "away")
    saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "out")).expect(0)
    assert saved_bot.log.count("what this machine has noted") == 1


def test_a_drill_is_noted_with_who_says_so(writer, saved_bot):
    writer.query(
        "SELECT backup.note_drill('premium_system', 999, 1, 1, NULL, 'm'), backup.note_drill('user_requests', 1, 1, 1, NULL, 'm')"
    )
    assert saved_bot.query("SELECT count(*) FROM backup.drills") == [(0,)]  # no such run, another source's run
    writer.query("SELECT backup.note_drill('premium_system', 1, 1, 1, NULL, 'elsewhere')")
    said = writer.run("backup.py", "--status").expect(0).stdout
    assert "last proven restorable: run 1, " in said
    assert "as backup_writer on elsewhere says" in said


@pytest.mark.campaign
def test_rows_of_a_run_that_was_never_saved_are_a_change_by_hand(writer, saved_bot):
    """Somebody takes the source as a run does, changes rows and commits, and saves nothing."""
    ((run,),) = writer.query("SELECT run FROM backup.open_run('premium_system', 'elsewhere', '0')")
    writer.query(
        f"BEGIN; SELECT backup.take_source({run}); UPDATE backup_premium_system.refunds SET status = 'forged' WHERE id = 1; COMMIT"
    )
    (warning,) = writer.backup()["warnings"]
    assert "premium_system.refunds: somebody changed the mirror by hand (update of 1 row: id = 1)." in warning
    writer.run("backup.py", "--verify").expect(0)
    writer.assert_restorable("--at", "2")


TABLE = {
    "label": "refunds",
    "rows": 1,
    "misfits": 0,
    "digest": 1,
    "inserted": 0,
    "updated": 0,
    "deleted": 0,
    "bytes_sent": 0,
    "seconds": 0,
}
ABOUT = {"mirrors": "{}", "snapshot_hash": "0" * 64, "snapshot_bytes": 1, "rows": 1, "bytes_sent": 1, "machine_time": 1}
UNREADABLE = {
    "nothing": ({}, "{}", []),
    "rows missing": ({name: value for name, value in ABOUT.items() if name != "rows"}, "{}", []),
    "no definition": (ABOUT, "[]", []),
    "a digest that is no number": (ABOUT, "{}", [TABLE | {"digest": "NaN"}]),
    "a broken digest": (ABOUT, "{}", [TABLE | {"digest": 1.5}]),
    "a negative number": (ABOUT, "{}", [TABLE | {"rows": -5}]),
    "a number that no sum holds": (ABOUT, "{}", [TABLE | {"inserted": 2**62, "updated": 2**62}]),
    "seconds without end": (ABOUT, "{}", [TABLE | {"seconds": "Infinity"}]),
    "a time without beginning": (ABOUT | {"machine_time": "-Infinity"}, "{}", []),
    "a table without a name": (ABOUT, "{}", [TABLE | {"label": None}]),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_run_that_nobody_could_read_is_not_saved(writer, what):
    about, definition, tables = UNREADABLE[what]
    ((run,),) = writer.query("SELECT run FROM backup.open_run('premium_system', 'elsewhere', '0')")
    with contextlib.closing(psycopg2.connect(writer.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup.take_source(%s)", [run])
        with pytest.raises(psycopg2.Error, match="says nothing that can be read"):
            cursor.execute("SELECT backup.save_run(%s, %s, %s, %s)", [run, json.dumps(about), definition, json.dumps(tables)])
    writer.run("restore.py", "--list").expect(0)
    writer.run("backup.py", "--status").expect(0)
