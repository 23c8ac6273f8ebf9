"""The note of edits that may be in the bot's file while Postgres does not know it: what a crash leaves in it is settled first."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lib.backing_up.edit_rules import known_change
from lib.base import private_file
from lib.base.errors import Problem
from lib.postgres.books.edits import Judged, Pending
from lib.postgres.link.connection import Target
from lib.settings.config import Settings
from lib.sqlite.editing import compare_and_set
from lib.sqlite.editing.change import CONFLICT, Change
from lib.tables.plan import TablePlan

GONE = "it may have come before a crash, and the row is another one now"


class Left(NamedTuple):
    """What had become of all edits up to an undo record; `last` was the newest edit that Postgres knew."""

    judged: list[Judged]
    up_to: int
    last: int

    def settled(self, copy: Path, plans: Mapping[str, TablePlan]) -> list[Judged]:
        """Return what became of them, given a copy of the bot's file: what is not in it is a conflict."""
        meant = [known_change(plans, replace(one.edit, columns=one.columns)) for one in self.judged if one.is_in]
        are_in = iter(compare_and_set.are_in(copy, [change for change in meant if isinstance(change, Change)]))
        stays = iter(isinstance(change, Change) and next(are_in) for change in meant)
        return [one._replace(outcome=CONFLICT, reason=GONE) if one.is_in and not next(stays) else one for one in self.judged]


class EditNote:
    """The note of one source, as far as it is of this target."""

    def __init__(self, settings: Settings, target: Target, name: str):
        self._path, self._place = settings.record(name, ".edits.json"), target.identity

    def read(self) -> Left | None:
        """Return what may have come before a crash; a note that is damaged says nothing."""
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            kept = json.loads(private_file.read(self._path) or b"{}")
            if kept["place"] == self._place:
                return Left([Judged.of_json(one) for one in kept["judged"]], kept["up_to"], kept["last"])
        return None

    def write(self, judged: Sequence[Judged], pending: Pending) -> None:
        """Note what will be in the file; raise Problem where that is not possible."""
        told = {"place": self._place, "judged": [one.as_json() for one in judged], "up_to": pending.up_to, "last": pending.last}
        for warning in private_file.write_note(self._path, json.dumps(told), "no edit is brought in without it."):
            raise Problem(warning)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def of_what_comes(self) -> Iterator[None]:
        """Where bringing ends with an error, nothing has come; but a signal may come after it did."""
        try:
            yield
        except Exception:
            self.remove()
            raise
