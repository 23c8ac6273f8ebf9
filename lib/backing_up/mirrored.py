"""What bringing a snapshot into its mirrors has come to."""

from enum import Enum
from typing import NamedTuple

from lib.postgres.books import origin, privacy, runs
from lib.postgres.books.origin import Origin
from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.transfer import Transfer
from lib.postgres.mirrors.unseen import Unseen
from lib.settings.config import Settings
from lib.tables.plan import Mirror, Plan


class Seen(Enum):
    """What has been seen of the rows that were not sent: what is noted of them, their number as well, or each of them."""

    NOTED, COUNTED, COMPARED = range(3)


class Mirrored(NamedTuple):
    """Mirrors that hold what the snapshot holds.

    By which plan they do, and what each is now; which ones people had altered, what the undo log may have missed of that, and
    what has been seen of their rows; what was said when they were saved.
    """

    plan: Plan
    mirrors: dict[str, Mirror]
    altered: Altered
    unseen: Unseen
    seen: Seen
    said: tuple[str, ...] = ()

    @property
    def is_compared(self) -> bool:
        return self.seen is Seen.COMPARED

    @property
    def warnings(self) -> list[str]:
        return [*self.altered.warnings, *self.plan.warnings, *self.said]

    def what_others_did(self, transfer: Transfer, openings: list[str], ours: Origin) -> list[str]:
        """Return warnings of who else can get in, and of what others have done to the mirrors."""
        source, last = transfer.source, transfer.last
        exposed = [privacy.as_sentence(openings)] if openings else []
        by_hand = [edit.as_sentence(source.name) for edit in transfer.edits]
        return [*exposed, *origin.other_machine(source.name, ours, last), *by_hand, *self.unseen.warnings(source, last)]

    def saved(self, transfer: Transfer, settings: Settings, ours: Origin) -> "Mirrored":
        """Save the run and commit it; raise OtherCounts where the rows, counted only now, are others."""
        about = ours.as_told | {"compared_all": self.is_compared, "lost": sorted(self.unseen.changed)}
        stored = runs.to_save(transfer.run, transfer.snapshot, self.plan, about, transfer.last["definition_hash"])
        stored["keep_days"], before = settings.keep_days, ["refuse_other_counts"] if self.seen is Seen.NOTED else []
        return self._replace(said=tuple(runs.save(transfer.target, transfer.run, stored, before)))
