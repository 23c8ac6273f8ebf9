"""What Postgres tells a run before it begins, in one answer (sql/setup/950_told.sql)."""

from typing import Any, NamedTuple

from lib.postgres.books import described
from lib.postgres.books.hand_edits import HandEdit
from lib.postgres.link.connection import Target
from lib.sqlite.snapshots import previous
from lib.sqlite.snapshots.previous import Note
from lib.tables.digest import md5_of
from lib.tables.plan import Mirror, Source
from lib.tables.results import LastSaved


class Told(NamedTuple):
    """What is told of a source.

    `openings` are ways in for others, `last` is the last saved run, `edits` are what people have changed in the mirrors since;
    `is_edited` is whether some of it has not been judged, `is_accepting` whether any may come back, as far as is noted there.
    `mirrors` are as they are now, by name; `before` is how many rows each of the bot's tables had after the last saved run, or as
    it was restored, by label, and `good` the same when the source's file was last checked: live batches leave that to later runs.
    """

    source: Source
    openings: list[str]
    last: LastSaved
    edits: list[HandEdit]
    is_edited: bool
    is_accepting: bool
    mirrors: dict[str, Mirror]
    before: dict[str, int]
    good: dict[str, int]


def known(note: Note) -> dict[str, str]:
    """Return the hashes of what this machine has noted: what has the same ones does not travel."""
    return {"known_mirrors": described.hash_of(described.as_noted(note.get("mirrors", {}))), "known_tables": hash_of_tables(note)}


def hash_of_tables(note: Note) -> str:
    """Return what Postgres makes of the rows, misfits and digest of every table."""
    tables = sorted(note.get("tables", {}).items())
    lines = (f"{rows} {misfits} {digest} {label}" for label, (rows, misfits, digest, _) in tables)
    return md5_of("\n".join(lines))


def of(target: Target, source: str, answer: dict[str, Any], note: Note) -> Told:
    """Return what an answer tells, with what it leaves out because it is as noted."""
    mirrors, before, good = answer["mirrors"], answer["before"], answer["before"]
    if mirrors is None:
        mirrors = described.as_noted(note.get("mirrors", {}))
    if before is None:
        before = {label: left[0] for label, left in note.get("tables", {}).items() if not label.startswith("sqlite_")}
        checked = previous.last_checked(note)
        good = checked["rows"] if checked else before
    return Told(
        Source(source, answer["mirror_schema"], answer["may_alter"]),
        answer["openings"],
        answer["last"] | {"belongs_to": target.identity},
        [HandEdit(*edit) for edit in answer["edits"]],
        answer["is_edited"],
        answer["is_accepting"],
        described.mirrors(mirrors),
        before,
        good,
    )
