"""What a run works on, as one record: nearly every step needs most of it."""

from typing import NamedTuple

from lib.base.errors import OtherCounts
from lib.postgres.books.hand_edits import HandEdit
from lib.postgres.books.runs import Run
from lib.postgres.books.told import Told
from lib.postgres.link.connection import Target
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Source
from lib.tables.results import LastSaved


class Transfer(NamedTuple):
    """A snapshot on its way into a source's mirrors, and the run that brings it, with what that was told before it began.

    `others` are the numbers of rows that were found at last not to be as the last run had left them.
    """

    target: Target
    snapshot: Snapshot
    run: Run
    told: Told
    others: OtherCounts | None = None

    @property
    def source(self) -> Source:
        return self.told.source

    @property
    def last(self) -> LastSaved:
        return self.told.last

    @property
    def edits(self) -> list[HandEdit]:
        return self.told.edits

    @property
    def edited(self) -> set[str]:
        """Return the names of the mirrors that people have changed."""
        return {edit.mirror for edit in self.edits}
