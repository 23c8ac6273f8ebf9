"""Edits that people have made in the mirrors, as Postgres tells them, and what became of them, as it is kept there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lib.base.errors import Locked
from lib.base.printable import short
from lib.postgres.link.connection import Target
from lib.sqlite.editing.change import ALREADY, APPLIED, CONFLICT, MERGED, REFUSED, Outcome

MOST_SHOWN = 20
# So many that did not come are told one by one.
MOST_TOLD = 5
OUTCOMES = (APPLIED, MERGED, CONFLICT, REFUSED)


@dataclass(frozen=True)
class Edit:
    """A row of a mirror that was edited; without a `key` it is the sum of what was done to a mirror.

    `record` is the oldest undo record of it, `base` and `theirs` are the row before and now, as JSON; it is about `columns` alone
    where there are any. `transactions` have done it; those of `left_in` have given another key to the row. `is_older` than the
    last restore that was noted there, at `restored_at`; `table_rows` is how many rows the last run has left there.
    """

    mirror: str
    record: int
    key: str | None = None
    rows: int = 1
    base: str | None = None
    theirs: str | None = None
    made_at: str | None = None
    made_by: str | None = None
    transactions: Sequence[str] = ()
    left_in: Sequence[str] = ()
    is_older: bool = False
    restored_at: str | None = None
    table_rows: int = 0
    undoes: int | None = None
    columns: Sequence[str] = ()


class Pending(NamedTuple):
    """The edits of a source that nobody has judged, oldest first, up to an undo record.

    `since` says from which record on each item is accepted, `last` is the newest edit that was judged, `place` the deployment.
    """

    found: list[Edit]
    since: dict[str, int]
    up_to: int
    last: int
    place: str


class Judged(NamedTuple):
    """What became of an edit: `columns` are SQLite's names of those that an update has changed."""

    edit: Edit
    columns: list[str]
    outcome: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        kept = {name: getattr(self.edit, name) for name in KEPT}
        return kept | {"columns": self.columns, "outcome": self.outcome, "reason": self.reason}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> "Judged":
        """Return what was kept; raise KeyError where that is not all of it."""
        edit = Edit(**{name: kept[name] for name in KEPT})
        return cls(edit, kept["columns"], kept["outcome"], kept["reason"])

    @property
    def shown(self) -> dict[str, Any]:
        """Return what `--json` shows of it, without any value."""
        row = {"table": self.edit.mirror, "key": json.loads(self.edit.key) if self.edit.key else None, "columns": self.columns}
        return row | {"made_by": self.edit.made_by, "outcome": self.outcome, "reason": self.reason}

    @property
    def values(self) -> dict[str, tuple[Any, Any]]:
        """Return what stood in each column before, and what stands there now, as JSON has it; of a whole row every one."""
        base, theirs = (json.loads(line) if line else {} for line in (self.edit.base, self.edit.theirs))
        return {name: (base.get(name), theirs.get(name)) for name in self.columns or {**base, **theirs}}

    @property
    def is_in(self) -> bool:
        """Whether the bot's file has it."""
        return Outcome(self.outcome).is_in

    def as_sentence(self, *, is_pending: bool = False) -> str:
        """Return what is told of it, or would be: which row, and no value."""
        by = f"{what_was_done(self.edit, self.columns)} {'back' if self.edit.undoes else f'in Supabase by {self.edit.made_by}'}"
        ends = {
            CONFLICT: f"in conflict with the bot ({self.reason}): the bot's row {'would stand' if is_pending else 'stands'}",
            REFUSED: f"which {'would be' if is_pending else 'was'} refused ({self.reason}): the bot's database stands",
        }
        is_in = f"which {'a run would bring into' if is_pending else 'is now in'} the bot's database"
        return f"{self.edit.mirror}{_which(self.edit)}: {by}, {ends.get(self.outcome, is_in)}."


KEPT = ("mirror", "record", "key", "base", "theirs", "made_at", "made_by", "undoes")


def told(source: str, judged: Sequence[Judged]) -> list[str]:
    """Return as warnings what did not come."""
    said = [f"{source}.{one.as_sentence()}" for one in judged if not one.is_in]
    more = len(said) - MOST_TOLD
    return said if more <= 0 else [*said[:MOST_TOLD], f"{source}: {more} more edits did not come:  python3 backup.py --edits"]


def what_was_done(edit: Edit, columns: Sequence[str]) -> str:
    """Return what happened to the row."""
    if edit.key is None:
        return f"{edit.rows:,} rows were changed"
    if edit.base is None or edit.theirs is None:
        return "the row was added" if edit.base is None else "the row was deleted"
    return f"{', '.join(columns)} {'was' if len(columns) == 1 else 'were'} changed"


def _which(edit: Edit) -> str:
    named = json.loads(edit.key) if edit.key else {}
    return f" {', '.join(f'{name} = {short(str(value))}' for name, value in named.items())}" if named else ""


def look(target: Target, source: str, items: Sequence[str]) -> bool:
    """Say which edits are accepted, and return whether people have made any that nobody has judged."""
    ((is_edited,),) = target.statement("look_for_edits", {"source": source, "items": list(items)})
    return bool(is_edited)


def edited(target: Target, sources: Sequence[str]) -> list[str]:
    """Return the sources that people have edited since they were last judged."""
    return target.ask("edited", {"sources": list(sources)}) or []


def pending(target: Target, source: str) -> Pending:
    """Take the source in this transaction, and return its edits; raise Locked where another run has it."""
    ((answer,),) = target.statement("pending_edits", {"source": source})
    if answer is None:
        raise Locked(f"{source} is being backed up already.", "wait until it has ended")
    return Pending([Edit(**edit) for edit in answer["found"]], answer["since"], answer["up_to"], answer["last"], answer["place"])


def keep(target: Target, source: str, judged: Sequence[Judged], up_to: int) -> None:
    """Keep what became of all edits of the source up to an undo record."""
    kept = json.dumps([one.as_json() for one in judged])
    target.statement("judge_edits", {"source": source, "judged": kept, "up_to": up_to})


def of_run(target: Target, run: int) -> dict[str, list[Edit]]:
    """Return by source, newest first, what takes back the edits that a run has sent."""
    found: dict[str, list[Edit]] = {}
    values = {"run": run, "already": ALREADY.reason}
    for source, mirror, number, key, base, theirs, columns in target.statement("edits_of_run", values):
        back = Edit(mirror, 0, key, base=theirs, theirs=base, undoes=number, columns=columns)
        found.setdefault(source, []).append(back)
    return found


def newest(target: Target, sources: Sequence[str]) -> list[tuple[str, int | None, Judged]]:
    """Return the newest edits that were judged, with their source and the run that has sent what became of them."""
    return _judged(target, {"sources": list(sources), "most": MOST_SHOWN, "unsent": False})


def counted(target: Target, sources: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by source how many edits came to which outcome, as long as that is kept."""
    return dict(target.statement("count_edits", {"sources": list(sources)}))


def unsent(target: Target, source: str) -> list[Judged]:
    """Return what the next saved run will have sent, oldest first."""
    found = _judged(target, {"sources": [source], "most": None, "unsent": True})
    return [judged for _, _, judged in reversed(found)]


def _judged(target: Target, values: dict[str, Any]) -> list[tuple[str, int | None, Judged]]:
    rows = target.statement("judged_edits", values)
    return [(source, run, Judged(Edit(**edit), columns, outcome, reason)) for source, run, edit, columns, outcome, reason in rows]
