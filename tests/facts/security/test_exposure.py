"""Nobody gets in: the Data API roles try everything on everything, the advisor finds nothing, and every run looks again."""

import contextlib

import psycopg2
import pytest
from psycopg2 import sql

from lib.trying import sample_bot
from tests.stand_ins.supabase import as_admin

OUTSIDERS = ("anon", "authenticated", "service_role")
RELATIONS = """
    SELECT nspname, relname, relkind::text, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum DESC LIMIT 1)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname LIKE 'backup%' AND relkind IN ('r', 'v', 'S', 'm', 'p')
"""
FUNCTIONS = """
    SELECT p.oid::regprocedure::text, proretset, array_to_string(ARRAY(
        SELECT 'NULL::' || format_type(kind, NULL) FROM unnest(proargtypes) AS kind), ', '), nspname, proname,
        prorettype = 'trigger'::regtype
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname LIKE 'backup%'
"""
ON_TABLES = (
    "SELECT * FROM {it}",
    "SELECT count(*) FROM {it}",
    "SELECT {column} FROM {it}",
    "COPY {it} TO STDOUT",
    "INSERT INTO {it} DEFAULT VALUES",
    "INSERT INTO {it} OVERRIDING SYSTEM VALUE SELECT * FROM {it}",
    "UPDATE {it} SET {column} = {column}",
    "DELETE FROM {it}",
    "TRUNCATE {it} CASCADE",
    "LOCK TABLE {it}",
    "CREATE TABLE pg_temp.mine (a bigint REFERENCES {it})",
    "CREATE TRIGGER mine BEFORE DELETE ON {it} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE mine AS ON DELETE TO {it} DO INSTEAD NOTHING",
    "CREATE POLICY mine ON {it} USING (true)",
    "ALTER TABLE {it} DISABLE ROW LEVEL SECURITY",
    "DROP TABLE {it}",
    "COMMENT ON TABLE {it} IS ''",
)
ON_SEQUENCES = ("SELECT * FROM {it}", "SELECT nextval({text})", "SELECT currval({text})", "SELECT setval({text}, 1)")
IN_SCHEMAS = ("CREATE TABLE {it}.mine (a int)", "CREATE VIEW {it}.mine AS SELECT 1", "DROP SCHEMA {it} CASCADE")


@pytest.fixture
def full_bot(saved_bot):
    """A deployment with everything: a writer role, a mirror that a run made by itself, a source that came later, setup run again."""
    saved_bot.run("setup_supabase.py", "--writer-role").expect(0)
    sample_bot.live(saved_bot.data, 3)
    saved_bot.sqlite(
        saved_bot.premium, "CREATE TABLE gifts (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO gifts VALUES (1, 'Cap')"
    )
    saved_bot.sqlite(saved_bot.requests, "ALTER TABLE message_owners ADD COLUMN note TEXT")
    assert saved_bot.changes()
    saved_bot.sqlite(saved_bot.data / "shop.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)")
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/premium_system.db,sqlite_data/user_requests.db,sqlite_data/shop.db")
    saved_bot.run("setup_supabase.py").expect(0)
    return saved_bot


def attempts(bot):
    """Return every attempt on every object, as SQL."""
    for schema, name, kind, column in bot.query(RELATIONS):
        it = sql.Identifier(schema, name)
        parts = {"it": it, "column": sql.Identifier(column), "text": sql.Literal(f'"{schema}"."{name}"')}
        for attempt in ON_SEQUENCES if kind == "S" else ON_TABLES:
            yield sql.SQL(attempt).format(**parts)
    for _, _, arguments, schema, name, is_trigger in bot.query(FUNCTIONS):
        call = "CREATE TRIGGER x AFTER DELETE ON pg_temp.own EXECUTE FUNCTION {}()" if is_trigger else "SELECT {}({})"
        yield sql.SQL(call).format(sql.Identifier(schema, name), sql.SQL(arguments))
    for (schema,) in bot.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup%'"):
        for attempt in IN_SCHEMAS:
            yield sql.SQL(attempt).format(it=sql.Identifier(schema))


def got_in(bot, role):
    """Return the attempts that were not refused for want of rights, with what else was wrong with them, or nothing."""
    found = {}
    with contextlib.closing(psycopg2.connect(bot.url)) as connection:
        cursor = connection.cursor()
        cursor.execute(sql.SQL("SET ROLE {}; CREATE TEMP TABLE own (a int)").format(sql.Identifier(role)))
        for attempt in attempts(bot):
            cursor.execute("SAVEPOINT before")
            try:
                if attempt.as_string(connection).startswith("COPY"):
                    cursor.copy_expert(attempt, open("/dev/null", "wb"))  # noqa: SIM115
                else:
                    cursor.execute(attempt)
                found[attempt.as_string(connection)] = ""
            except psycopg2.errors.InsufficientPrivilege:
                pass
            except psycopg2.Error as error:
                found[attempt.as_string(connection)] = str(error)
            cursor.execute("ROLLBACK TO SAVEPOINT before")
    return found


def test_the_data_apis_roles_get_nothing_by_anything(full_bot):
    assert sum(1 for _ in attempts(full_bot)) > 350
    for role in OUTSIDERS:
        assert got_in(full_bot, role) == {}, role
    # Each object is closed by itself, not only by its schema.
    for (schema,) in full_bot.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup%'"):
        full_bot.query(f"GRANT USAGE ON SCHEMA {schema} TO anon, authenticated, service_role")
    for role in OUTSIDERS:
        assert [attempt for attempt, error in got_in(full_bot, role).items() if not error] == [], role
    # The owner is refused nothing for its syntax: a typing error above is not taken for safety.
    owners = got_in(full_bot, "postgres")
    assert [error for error in owners.values() if "syntax error" in error] == []
    assert len([error for error in owners.values() if not error]) > 200


def test_they_can_list_nothing_of_ours_through_the_information_schema(full_bot):
    with contextlib.closing(psycopg2.connect(full_bot.url)) as connection, connection.cursor() as cursor:
        for role in OUTSIDERS:
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            for view, column in (
                ("tables", "table_schema"),
                ("columns", "table_schema"),
                ("routines", "routine_schema"),
                ("sequences", "sequence_schema"),
                ("schemata", "schema_name"),
            ):
                cursor.execute(f"SELECT count(*) FROM information_schema.{view} WHERE {column} LIKE 'backup%'")
                assert cursor.fetchone() == (0,), (role, view)


# The rules of Supabase's advisor (https://github.com/supabase/splinter) that an object of ours could break, at WARN or ERROR,
# each as a query of our own; `api` stands for the Data API's roles.
ADVISOR = {
    "a function without a search_path of its own": """
        SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace::regnamespace::text LIKE 'backup%'
        AND NOT coalesce(array_to_string(proconfig, ','), '') LIKE '%search_path=%'""",
    "a view with the rights of its owner": """
        SELECT oid::regclass FROM pg_class WHERE relkind = 'v' AND relnamespace::regnamespace::text LIKE 'backup%'
        AND current_setting('server_version_num')::int >= 150000
        AND NOT coalesce(reloptions::text, '') ~ 'security_invoker=(on|true|1)'""",
    "a table without row level security": """
        SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text LIKE 'backup%'
        AND NOT relrowsecurity""",
    "a policy that lets everybody in": """
        SELECT polrelid::regclass, polname FROM pg_policy WHERE 0 = ANY (polroles)
        OR polroles && ARRAY(SELECT oid FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'))""",
    "two policies where one would do": """
        SELECT polrelid::regclass, role FROM pg_policy CROSS JOIN unnest(polroles) AS role
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "two indexes alike": """
        SELECT indrelid::regclass, indkey::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace::regnamespace::text LIKE 'backup%' GROUP BY indrelid, indkey::text, indclass::text, indexprs::text, indpred::text
        HAVING count(*) > 1""",
    "a function with its owner's rights that the Data API may call": """
        SELECT oid::regprocedure, rolname FROM pg_proc CROSS JOIN (
            SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) AS api
        WHERE prosecdef AND pronamespace::regnamespace::text LIKE 'backup%' AND has_function_privilege(rolname, oid, 'EXECUTE')""",
    "an object in an exposed schema": """
        SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'extensions'::regnamespace)""",
    "a column of a type that an upgrade cannot keep": """
        SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace::regnamespace::text LIKE 'backup%' AND format_type(atttypid, NULL) LIKE 'reg%'""",
    "a table without a primary key": """
        SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'backup%'
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'p')""",
    "an index that is not valid": """
        SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid""",
}


@pytest.mark.campaign
def test_supabases_advisor_finds_nothing_of_ours(full_bot):
    assert {rule: found for rule, query in ADVISOR.items() if (found := full_bot.query(query))} == {}


HELD = "SELECT md5(string_agg(row::text, ',' ORDER BY id)) FROM backup_premium_system.payment_history AS row"
OPENED = {
    "GRANT USAGE ON SCHEMA backup_premium_system TO anon": "anon has USAGE on schema backup_premium_system",
    "GRANT SELECT ON backup_premium_system.refunds TO PUBLIC": "PUBLIC has SELECT on table backup_premium_system.refunds",
    "GRANT SELECT (id) ON backup_premium_system.refunds TO authenticated": "authenticated has SELECT on column backup_premium_system.refunds.id",
    "GRANT TRUNCATE ON backup.runs TO service_role": "service_role has TRUNCATE on table backup.runs",
    "GRANT USAGE ON SEQUENCE backup.runs_run_seq TO anon": "anon has USAGE on sequence backup.runs_run_seq",
    "GRANT EXECUTE ON FUNCTION backup.prune(text, integer, interval, interval) TO anon": "anon has EXECUTE on function backup.prune",
    "ALTER TABLE backup_premium_system.refunds DISABLE ROW LEVEL SECURITY": "row level security is off on backup_premium_system.refunds",
}


@pytest.mark.campaign
@pytest.mark.parametrize("opening", OPENED)
def test_a_run_refuses_when_somebody_opened_it_and_setup_closes_it_again(saved_bot, opening):
    saved_bot.query(opening)
    sample_bot.live(saved_bot.data, 4)
    counts = saved_bot.query(HELD)
    done = saved_bot.run("backup.py", "premium_system").expect(1)
    assert f"Error: others can get in: {OPENED[opening]}." in done.stderr
    assert "Nothing was changed in Supabase; the last good backup is run 1, " in done.stderr
    assert "Try: python3 setup_supabase.py  closes that again" in done.stderr
    assert "python3 backup.py premium_system --accept-exposure" in done.stderr
    assert saved_bot.query(HELD) == counts
    accepted = saved_bot.backup("premium_system", "--accept-exposure")
    assert OPENED[opening] in "".join(accepted["warnings"])
    assert OPENED[opening] in saved_bot.run("setup_supabase.py", "--check").expect(1).stdout
    saved_bot.run("setup_supabase.py").expect(0)
    assert saved_bot.backup()["warnings"] == []


def test_a_role_that_an_outsider_may_become_is_one_too(saved_bot, server):
    as_admin(server, "CREATE ROLE analyst; GRANT analyst TO authenticated")
    try:
        saved_bot.query("GRANT USAGE ON SCHEMA backup_premium_system TO analyst")
        done = saved_bot.run("backup.py").expect(3)
        assert "authenticated, as analyst, has USAGE on schema backup_premium_system" in done.stderr
        saved_bot.query("REVOKE USAGE ON SCHEMA backup_premium_system FROM analyst")
    finally:
        as_admin(server, "DROP ROLE analyst")


def test_looking_costs_no_round_trip(saved_bot):
    """The lock's answer brings it along: a run that has nothing to send is as it was."""
    assert all(run["round_trips"] <= 12 for run in saved_bot.backup()["runs"])


def test_a_restore_goes_on_in_any_case(saved_bot):
    saved_bot.query("GRANT USAGE ON SCHEMA backup TO anon")
    saved_bot.assert_restorable()


def test_exposing_a_schema_by_mistake_opens_nothing(saved_bot):
    """USAGE alone, and even SELECT, meet row level security without a policy; service_role passes it, and has no rights."""
    saved_bot.query("GRANT USAGE ON SCHEMA backup_premium_system TO anon, authenticated, service_role")
    saved_bot.query("GRANT SELECT ON ALL TABLES IN SCHEMA backup_premium_system TO anon, authenticated")
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as connection, connection.cursor() as cursor:
        for role in ("anon", "authenticated"):
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            cursor.execute("SELECT count(*) FROM backup_premium_system.refunds")
            assert cursor.fetchone() == (0,)
