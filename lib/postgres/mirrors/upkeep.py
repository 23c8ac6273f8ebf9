"""Read a source's mirrors as they are, and do for them what a plan says and what setup does for every mirror."""

from psycopg2 import sql

from lib.postgres.books import described
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import statement
from lib.tables.mirror_names import writer_name
from lib.tables.plan import Mirror, Plan, Source

# What may stand in a mirror's place with rows of its own; ONLY a table can be read without those that inherit from it.
NOT_TABLES = ("is a view", "is a materialized view", "is a foreign table", "is divided into partitions")


def only(mirror: Mirror) -> sql.SQL:
    """Return ONLY where the mirror is a table."""
    return sql.SQL("" if mirror.oddity in NOT_TABLES else "ONLY")


def read(target: Target, source: Source) -> dict[str, Mirror]:
    """Return whatever stands in the mirror schema, by name; what is no mirror has an `oddity`."""
    name, schema = sql.Literal(source.name), sql.Literal(source.mirror_schema)
    ((found,),) = target.statement("read_mirrors", source=name, mirror_schema=schema)
    return described.mirrors(found)


def mend(target: Target, planned: Plan, source: Source, present: dict[str, Mirror]) -> dict[str, Mirror]:
    """Run the plan's DDL, let the undo log see all changes; return the mirrors as they are now."""
    unwatched = [name for name, mirror in present.items() if not mirror.is_watched]
    if planned.ddl:
        target.rows("\n".join(planned.ddl))
        secure(target, source, unwatched + [table.mirror for table in planned.tables if table.label in planned.mended])
        return read(target, source)
    if source.may_alter:
        watch(target, source, unwatched)
    return present


def secure(target: Target, source: Source, made: list[str]) -> None:
    """Do for mirrors that were made what setup does: close them, let the undo log see them and the writer role write."""
    steps = [statement(name, schema=sql.Identifier(target.schema)) for name in ("watch_mirrors", "make_private", "let_write")]
    values = {"source": source.name, "mirror_schema": source.mirror_schema, "names": made, "writer": writer_name(target.schema)}
    target.rows(sql.SQL(";\n").join(steps), values)


def watch(target: Target, source: Source, names: list[str]) -> None:
    """Let the undo log see every change of these mirrors."""
    if names:
        target.statement("watch_mirrors", {"source": source.name, "mirror_schema": source.mirror_schema, "names": names})
