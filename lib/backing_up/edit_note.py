"""The note of edits that may be in the bot's file while Postgres does not know it: what a crash leaves in it is settled first.

Each deployment has a note of its own. It is written right before the file is, and again when that has been done.
"""

import contextlib
import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lib.backing_up.edit_rules import known_change
from lib.base import private_file
from lib.base.errors import Problem
from lib.postgres.books.edits import OUTCOMES, Judged, Pending
from lib.settings.config import Settings
from lib.sqlite.editing import compare_and_set
from lib.sqlite.editing.change import ALREADY, Change
from lib.tables.plan import TablePlan


class Left(NamedTuple):
    """What had become of all edits up to an undo record; `last` was the newest edit that Postgres knew.

    `has_come` where it is certain that the file was written.
    """

    judged: list[Judged]
    up_to: int
    last: int
    has_come: bool

    def is_in(self, copy: Path, plans: Mapping[str, TablePlan]) -> bool:
        """Whether the bot's file, of which this is a copy, was written.

        It was as a whole, or not at all: a row that is as before says more than one that the bot may have made so itself.
        """
        brought = [one for one in self.judged if one.is_in and one.reason != ALREADY.reason]
        meant = [known_change(plans, replace(one.edit, columns=one.columns)) for one in brought]
        found = compare_and_set.are_in(copy, [change for change in meant if isinstance(change, Change)])
        return True in found and False not in found


class EditNote:
    """The note of one source for the deployment from which edits are pending."""

    def __init__(self, settings: Settings, name: str, place: str):
        self._path, self._text = settings.record(name, f".edits-{place}.json"), b""

    def read(self) -> Left | None:
        """Return what may have come before a crash; a note that is damaged says nothing."""
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            self._text = private_file.read(self._path)
            return _left(**json.loads(self._text or b"{}"))
        return None

    def write(self, judged: Sequence[Judged], pending: Pending, *, has_come: bool) -> None:
        """Note what will be in the file, or is in it; raise Problem where that is not possible."""
        told = {"judged": [one.as_json() for one in judged], "up_to": pending.up_to, "last": pending.last, "has_come": has_come}
        self._text = json.dumps(told).encode()
        for warning in private_file.write_note(self._path, self._text.decode(), "no edit is brought in without it."):
            raise Problem(warning)

    @contextlib.contextmanager
    def of_what_comes(self) -> Iterator[None]:
        """Where bringing ends with an error, nothing has come; but a signal may come after it did."""
        try:
            yield
        except Exception:
            self.remove()
            raise

    def remove(self) -> None:
        """Forget what was read or written, unless another run has noted something since; what stays tells nothing new."""
        with contextlib.suppress(OSError, ValueError):
            if private_file.read(self._path) == self._text:
                self._path.unlink()


def are_any(settings: Settings, name: str) -> bool:
    """Whether there is a note of a source for any deployment."""
    pattern = settings.record(glob.escape(name), ".edits-*.json")
    return any(True for _ in pattern.parent.glob(pattern.name))


def _left(judged: list[dict[str, Any]], up_to: int, last: int, has_come: bool) -> Left:
    """Return what is noted; raise ValueError where that is not whole."""
    found = [Judged.of_json(one) for one in judged]
    are_whole = all(one.outcome in OUTCOMES and type(one.edit.record) is int for one in found)
    if not (found and are_whole and type(up_to) is type(last) is int and type(has_come) is bool):
        raise ValueError("it is damaged")
    return Left(found, up_to, last, has_come)
