"""Read a source's mirrors as they are, and do for them what a plan says and what setup does for every mirror."""

from lib.postgres.link.connection import Target
from lib.tables.mirror_names import writer_name
from lib.tables.plan import Mirror, Plan, Source

# What may stand in a mirror's place with rows of its own; ONLY a table can be read without those that inherit from it.
NOT_TABLES = ("is a view", "is a materialized view", "is a foreign table", "is divided into partitions")


def read(target: Target, source: Source) -> dict[str, Mirror]:
    found = target.statement("read_mirrors", {"mirror_schema": source.mirror_schema, "source": source.name})
    return {name: _mirror(name, columns, constraints or {}, *about) for name, columns, constraints, *about in found}


def _mirror(name: str, columns: dict[str, dict], constraints: dict[str, dict], *about) -> Mirror:
    key = next((tuple(found["columns"]) for found in constraints.values() if found["type"] == "p"), ())
    unique = {name: tuple(found["columns"]) for name, found in constraints.items() if found["type"] == "u"}
    return Mirror(name, columns or {}, key, unique, *about)


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
    watch(target, source, made)
    target.statement("make_private", {"mirror_schema": source.mirror_schema})
    target.statement("let_write", {"mirror_schema": source.mirror_schema, "writer": writer_name(target.schema)})


def watch(target: Target, source: Source, names: list[str]) -> None:
    """Let the undo log see every change of these mirrors."""
    if names:
        target.statement("watch_mirrors", {"source": source.name, "mirror_schema": source.mirror_schema, "names": names})
