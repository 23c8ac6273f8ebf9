"""What a run works on, as one record: nearly every step needs most of it."""

from typing import NamedTuple

from lib.postgres.books.hand_edits import HandEdit
from lib.postgres.books.runs import Run
from lib.postgres.link.connection import Target
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Source
from lib.tables.results import LastSaved


class Transfer(NamedTuple):
    """A snapshot on its way into a source's mirrors, and the run that brings it.

    `last` is what Postgres tells of the last saved run, `edits` what people have changed in the mirrors since.
    """

    target: Target
    source: Source
    snapshot: Snapshot
    run: Run
    last: LastSaved
    edits: list[HandEdit]

    @property
    def edited(self) -> set[str]:
        """Return the names of the mirrors that people have changed."""
        return {edit.mirror for edit in self.edits}
