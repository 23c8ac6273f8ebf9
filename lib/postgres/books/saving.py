"""What is saved of a run besides its rows."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lib.postgres.books.runs import Run
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.digest import md5_of
from lib.tables.plan import Definition, Plan
from lib.tables.results import TableResult


def definition(snapshot: Snapshot, planned: Plan) -> str:
    """Return, as JSON, all that a restore needs to know besides the rows."""
    stored: Definition = {
        "pragmas": snapshot.schema.pragmas | {"journal_mode": snapshot.copy.journal_mode},
        "objects": snapshot.schema.objects,
        "tables": planned.as_json(),
    }
    return json.dumps(stored)


def definition_hash(snapshot: Snapshot, planned: Plan) -> str:
    """Return the hash of the definition and of its mirrors, as Postgres has it of those that it knows."""
    return md5_of(definition(snapshot, planned) + _mirrors(planned))


def _mirrors(planned: Plan) -> str:
    return json.dumps({table.label: table.mirror or None for table in planned.tables})


def to_save(
    run: Run, snapshot: Snapshot, planned: Plan, about: Mapping[str, object], known_definition: str | None
) -> dict[str, object]:
    """Return what is to be saved of a run, with what there is to say `about` it.

    `about` is the origin as told, {"compared_all": whether every row was compared, "lost": labels of what was changed unseen}.
    `known_definition` is the hash of the definition that the last run saved, as Postgres has it: the same need not travel again.
    """
    text, mirrors = definition(snapshot, planned), _mirrors(planned)
    text_hash = md5_of(text + mirrors)
    is_known = text_hash == known_definition
    named = {"definition_hash": text_hash} if is_known else {"mirrors": mirrors}
    return {
        "run": run.run,
        "source": run.source,
        "definition": None if is_known else text,
        "snapshot": json.dumps({**_read_by(run, snapshot), **about, **named}),
        "tables": json.dumps([_to_save(table) for table in run.tables if not table.is_known]),
    }


def _read_by(run: Run, snapshot: Snapshot) -> dict[str, object]:
    return {
        "snapshot_hash": snapshot.copy.hash,
        "snapshot_bytes": snapshot.used_bytes,
        "rows": run.rows,
        "bytes_sent": sum(table.bytes_sent for table in run.tables),
        "machine_time": time.time(),
    }


def _to_save(table: TableResult) -> dict[str, Any]:
    """Return what is saved of a table; what is nought need not travel."""
    return {name: value for name, value in asdict(table).items() if value and name != "table"}
