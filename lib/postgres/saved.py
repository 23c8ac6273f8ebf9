"""What a target holds of a source: the state that a restore rebuilds."""

import json
from dataclasses import dataclass

from psycopg2 import sql

from lib import plan as plans
from lib.digest import Digest
from lib.errors import SourceError
from lib.plan import Source, TablePlan
from lib.postgres.connection import Target
from lib.postgres.statements import names, read_cells, statement


@dataclass(frozen=True)
class SavedState:
    """A source as a run left it; `digests` is keyed by table."""

    source: Source
    run: int
    finished_at: str
    rows: int
    definition: dict
    tables: list[TablePlan]
    digests: dict[str, Digest]


def read_state(target: Target, source: str) -> SavedState:
    """Read the newest saved state; raise SourceError where there is none."""
    found = target.run("saved_state", {"source": source})
    if not found:
        raise SourceError(f"{target.host} holds no backup of {source}.", "python3 backup.py --status")
    run, finished_at, rows, mirror_schema, definition, tables = found[0]
    digests = {name: Digest(left["rows"], int(left["digest"])) for name, left in (tables or {}).items()}
    definition = json.loads(definition)
    planned = plans.from_json(definition["tables"])
    return SavedState(Source(source, mirror_schema), run, finished_at, rows, definition, planned, digests)


def read_mirror(target: Target, state: SavedState, table: TablePlan, writer: object) -> None:
    """Send the mirror's rows to the writer, in the order in which SQLite stores them."""
    order = [column.mirror_name for column in table.columns if column.is_rowid] or [column.mirror_name for column in table.key]
    mirror = sql.Identifier(state.source.mirror_schema, table.mirror)
    target.copy_out(statement("read_mirror", cells=read_cells(table), mirror=mirror, order=names(order)), writer)


def read_misfits(target: Target, state: SavedState, table: TablePlan, writer: object) -> None:
    query = statement(
        "read_misfits",
        schema=sql.Identifier(target.schema),
        source=sql.Literal(state.source.name),
        table=sql.Literal(table.label),
    )
    target.copy_out(query, writer)
