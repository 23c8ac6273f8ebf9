"""Create or upgrade what a deployment owns in Postgres; running it again changes nothing."""

import io
import json
import secrets
from pathlib import Path
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from lib.base.errors import Problem, typed
from lib.base.words import plural
from lib.postgres.books import origin, setup_version
from lib.postgres.books.origin import Origin
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import DIGEST_CELL, SQL, from_file, how_it_is, row_hash, setup_files, statement, text
from lib.postgres.mirrors import altered, plan_mirrors, upkeep
from lib.settings.accepted import DELETE, INSERT, NONE, TRIGGERS
from lib.settings.accepted import NAME as ACCEPTED
from lib.settings.config import Settings
from lib.sqlite.snapshots import previous
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.mirror_names import VIEWER, editor_name, mirror_name, writer_name
from lib.tables.plan import Mirror, Plan, Source

# An error without what somebody's function, or Postgres, is quoted with.
QUOTING_NOTHING = "regexp_replace(error, ' says: .*', ' says more there.')"
# What a statement asks about, where setup makes a function of it.
OF_SOURCE, IN_SCHEMA = sql.SQL("of_source"), sql.SQL("in_schema")


def mirror_schema(schema: str, source: str) -> str:
    """Return the name of the schema of one source's mirrors."""
    return mirror_name(f"{schema}_{source}")


def mirror_schemas(settings: Settings) -> list[str]:
    return [mirror_schema(settings.schema, source) for source in settings.sources]


def analytics_schema(schema: str) -> str:
    """Return the name of the schema of the views for people."""
    return f"{schema}_analytics"


def schemas(settings: Settings) -> list[str]:
    """Return every schema that the deployment owns; there are views for some sources only."""
    return [settings.schema, *mirror_schemas(settings), analytics_schema(settings.schema)]


def install(target: Target) -> None:
    """Apply sql/setup/ in order, in the caller's transaction."""
    comment = setup_version.comment(target.schema)
    if not setup_version.refuse_newer(target):
        refuse_foreign(target, {target.schema: comment})
    parts = {"schema": sql.Identifier(target.schema), "schema_name": sql.Literal(target.schema)}
    parts |= {name: statement(name, schema=parts["schema"]) for name in ("our_triggers", "lacks")}
    parts |= {"digest_cells": sql.Literal(json.dumps(DIGEST_CELL)), "row_hash": sql.Literal(text("row_hash").format(line="%s"))}
    parts |= {"misfit_hash": row_hash(sql.SQL("line"))}
    parts |= {name: statement(name, schema=parts["schema"], of_source=OF_SOURCE) for name in ("pace", "proof")}
    parts |= {"deployment_health": _shown(parts["schema"])}
    parts |= {"mirrors": statement("read_mirrors", schema=parts["schema"], source=OF_SOURCE, mirror_schema=IN_SCHEMA)}
    after = [statement("views_as_invoker", schema_name=parts["schema_name"]), claim(target.schema, comment)]
    together(target, *(from_file(path, **parts) for path in setup_files()), *after)
    target.statement("let_keep_books", {"writer": writer_name(target.schema)})
    let_view(target)


def refuse_other_bot(target: Target, name: str, ours: Origin) -> None:
    """Raise Problem where the source's mirrors are another bot's: they must not be altered for this one."""
    for _, _, last in target.statement("find_source", {"source": name}):
        origin.refuse_other(name, ours, last, f"python3 backup.py {typed(name)} --accept-moved")


def install_source(target: Target, name: str, snapshot: Snapshot) -> str:
    """Create the mirrors of one source, and say what was done.

    They come from sql/tables/NAME.sql; what no file names is made from the source's own declarations.
    """
    source = Source(name, mirror_schema(target.schema, name))
    refuse_foreign(target, {source.mirror_schema: _comment(target, name)})
    create = statement(
        "create_mirror_schema",
        schema=sql.Identifier(target.schema),
        source=sql.Literal(name),
        mirror_schema=sql.Identifier(source.mirror_schema),
        mirror_schema_text=sql.Literal(source.mirror_schema),
    )
    together(target, create, claim(source.mirror_schema, _comment(target, name)))
    before = upkeep.read(target, source)
    if hand_written(name).exists():
        target.rows(hand_written(name).read_text(encoding="utf-8"))
    present = altered.mended(target, source, snapshot, upkeep.read(target, source)).mirrors
    plan = plan_mirrors.plan(snapshot, present, source)
    now = upkeep.mend(target, plan, source, present)
    upkeep.secure(target, source, list(now))
    return _described(before, now, plan)


def retire(target: Target, settings: Settings) -> None:
    """Note which sources the settings name, and which of this very folder they do not any more; others may be other settings'."""
    target.statement("take_back", {"sources": [*settings.sources]})
    others: dict[str, str] = dict(target.statement("other_sources", {"sources": [*settings.sources]}))
    notes = {name: previous.read(settings.snapshot_of(name, target.settings.number)) for name in others}
    if gone := [name for name, note in notes.items() if note.get("origin") == others[name]]:
        target.statement("retire", {"sources": gone})


def create_writer(target: Target, settings: Settings) -> str:
    """Create the role that can back up but cannot remove history, or give it a new password, and return that."""
    writer = writer_name(target.schema)
    password = _create_role(target, writer)
    target.statement("let_keep_books", {"writer": writer})
    for schema in mirror_schemas(settings):
        target.statement("let_write", {"mirror_schema": schema, "writer": writer})
    return password


def create_editor(target: Target, settings: Settings) -> str:
    """Create the role that can edit what is accepted and nothing else, or give it a new password, and return that."""
    password = _create_role(target, editor_name(target.schema))
    let_edit(target, settings)
    return password


def create_viewer(target: Target) -> tuple[str, list[str]]:
    """Create the role that sees how all deployments are doing and no row, or give it a new password.

    Return that, and the deployments that it does not see.
    """
    password = _create_role(target, VIEWER)
    target.statement("be_viewer", role=sql.Identifier(VIEWER))
    return password, let_view(target)


def let_view(target: Target) -> list[str]:
    """Let the viewer role, where there is one, see all deployments of this user's; return those that it does not see."""
    viewer = sql.Literal(VIEWER)
    unseen = target.statement("let_view", viewer=viewer, deployments=statement("deployments", viewer=viewer))
    return [schema for (schema,) in unseen]


def _shown(schema: sql.Composable) -> sql.Composed:
    """Return what a deployment shows of itself to others: what Postgres says, which may quote a row, is none of it."""
    health = how_it_is(schema, sql.SQL("asked.source"), sql.SQL(QUOTING_NOTHING))
    return statement("deployment_health", schema=schema, health=health)


def lacks_for_watch(target: Target) -> list[str]:
    """Return the extensions that the watch on the server needs, and that are not there."""
    return [name for (name,) in target.statement("lacks_for_watch")]


def set_watch(target: Target, url: str | None) -> None:
    """Let Postgres look every 15 minutes, and post to this address what is wrong; with none, let it look no more."""
    target.statement("forget_watch")
    if url:
        line = '"' + url.replace('"', '""') + '"\n'
        target.copy_in(statement("copy_watch_url", schema=sql.Identifier(target.schema)), io.BytesIO(line.encode()))
    target.statement("set_watch")


def _create_role(target: Target, role: str) -> str:
    password = secrets.token_urlsafe(24)
    # Only its SCRAM verifier travels: Supabase's log keeps every DDL statement.
    verifier = sql.Literal(encrypt_password(password, role, target.connection, "scram-sha-256"))
    target.statement("create_role", role_name=sql.Literal(role), role=sql.Identifier(role), password=verifier)
    return password


def let_edit(target: Target, settings: Settings) -> None:
    """Note which edits come back from here, and let the editor role make exactly these; raise Problem for unknown names."""
    accepted = settings.accepted if target.settings.number == 1 else NONE
    allowed = [_allowed(table, set(what)) for table, what in accepted.tables.items()]
    unknown: list[set[str]] = []
    for name in settings.sources:
        values = {"source": name, "items": list(accepted.items), "mirror_schema": mirror_schema(target.schema, name)}
        values |= {"sources": [*settings.sources], "editor": editor_name(target.schema), "allowed": json.dumps(allowed)}
        unknown.append({item for (item,) in target.statement("let_edit", values)})
    if nowhere := sorted(set.intersection(*unknown)):
        raise Problem(f"{ACCEPTED} names what no database has: {', '.join(nowhere)}.", "correct it in .env")


def _allowed(table: str, what: set[str]) -> dict[str, Any]:
    columns = sorted(mirror_name(name) for name in what - {INSERT, DELETE, TRIGGERS})
    return {"mirror": mirror_name(table), "columns": columns, "insert": INSERT in what, "delete": DELETE in what}


def _described(before: dict[str, Mirror], after: dict[str, Mirror], plan: Plan) -> str:
    created = plural(len(after) - len(before), "mirror")
    made = f"{created} created" if len(after) > len(before) else "nothing to create"
    changed = f", {plural(len(plan.ddl), 'change')} from the database's own declarations" if plan.ddl else ""
    return f"{made}{changed}, {plural(len(after), 'mirror')} in all"


def require(target: Target) -> None:
    """Raise Problem where setup has not been run."""
    if not setup_version.refuse_newer(target):
        raise Problem(f"{target.host}: the target has not been set up (no schema {target.schema}).", "python3 setup_supabase.py")


def hand_written(source: str) -> Path:
    """Return where the mirrors of a source may be written by hand."""
    return SQL / "tables" / f"{source}.sql"


def _comment(target: Target, source: str) -> str:
    return f"Hybrid backup: mirrors of the source {source}, BACKUP_SCHEMA {target.schema}"


def refuse_foreign(target: Target, expected: dict[str, str]) -> None:
    """Raise Problem where a schema, of {name: comment}, is there with another comment."""
    for name, comment, owner in target.statement("schema_owner", {"schemas": list(expected)}):
        if comment != expected[name]:
            said = f"it says {comment!r}" if comment else f"it belongs to {owner}"
            raise Problem(
                f"the schema {name} exists and is not this deployment's: {said}.",
                "choose another BACKUP_SCHEMA in .env",
                "Nothing was changed in Supabase.",
            )


def claim(name: str, comment: str) -> sql.Composed:
    """Return what says in a schema's comment whose it is."""
    return statement("claim_schema", claimed=sql.Identifier(name), comment=sql.Literal(comment))


def together(target: Target, *steps: sql.Composed) -> None:
    """Run statements in one round trip."""
    target.rows(sql.SQL(";\n").join(steps))
