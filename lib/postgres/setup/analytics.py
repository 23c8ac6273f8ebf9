"""Views for people who query the backup, for the sources that sql/analytics/ knows."""

from pathlib import Path

from psycopg2 import sql

from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import SQL, from_file, statement
from lib.postgres.setup import installation
from lib.settings.config import Settings


def install(target: Target, settings: Settings) -> str:
    """Create the views, and say for which sources; where a mirror is not as they need it, they are left out."""
    known = [name for name in settings.sources if _file(name).exists()]
    if not known:
        return "none for these databases"
    schema = installation.analytics_schema(target.schema)
    if schema in installation.mirror_schemas(settings):
        return f"left out: the schema {schema} belongs to a database of that name"
    comment = f"Hybrid backup: analytics, BACKUP_SCHEMA {target.schema}"
    with target.transaction():
        installation.refuse_foreign(target, {schema: comment})
        installation.together(target, _views_of("000_schema", schema, schema), installation.claim(schema, comment))
    return "; ".join(_views(target, name, schema) for name in known)


def _views(target: Target, name: str, schema: str) -> str:
    try:
        with target.transaction():
            views = _views_of(name, schema, installation.mirror_schema(target.schema, name))
            installation.together(target, views, statement("views_as_invoker", schema_name=sql.Literal(schema)))
            target.statement("make_private", {"mirror_schema": schema})
    except Problem as problem:
        return f"left out for {name}: {problem.what}"
    return f"{name}: see the schema {schema}"


def _views_of(name: str, schema: str, mirrors: str) -> sql.Composed:
    return from_file(_file(name), analytics=sql.Identifier(schema), mirrors=sql.Identifier(mirrors))


def _file(name: str) -> Path:
    return SQL / "analytics" / f"{name}.sql"
