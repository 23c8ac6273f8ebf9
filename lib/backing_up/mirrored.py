"""What bringing a snapshot into its mirrors has come to."""

from enum import Enum
from typing import NamedTuple

from lib.postgres.books import edits, origin, privacy, runs, saving
from lib.postgres.books.origin import Origin
from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.transfer import Transfer
from lib.postgres.mirrors.unseen import Unseen
from lib.settings.config import Settings
from lib.sqlite.snapshots import previous
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

    def must_be_checked(self, transfer: Transfer) -> bool:
        """Whether more has happened than that some rows of known tables have changed since a run whose file was checked."""
        copy, is_doubtful = transfer.snapshot.copy, transfer.snapshot.is_doubtful
        is_new = saving.definition_hash(transfer.snapshot, self.plan) != transfer.last["definition_hash"]
        return is_doubtful or self.is_compared or bool(self.plan.ddl) or is_new or not previous.last_checked(copy.previous.note)

    def what_others_did(self, transfer: Transfer, openings: list[str], ours: Origin) -> list[str]:
        """Return warnings of who else can get in, and of what others have done to the mirrors."""
        source, last = transfer.source, transfer.last
        exposed = [privacy.as_sentence(openings)] if openings else []
        by_hand = [edit.as_sentence(source.name) for edit in transfer.edits]
        if transfer.run.edits:
            by_hand = [*edits.told(source.name, transfer.run.edits), *(by_hand if not transfer.told.is_accepting else [])]
        elif source.is_rehearsal and transfer.told.is_edited and transfer.told.is_accepting:
            by_hand = [f"{source.name}: edits made in Supabase are judged first, see  python3 backup.py --edits"]
        return [*exposed, *origin.other_machine(source.name, ours, last), *by_hand, *self.unseen.warnings(source, last)]

    def saved(self, transfer: Transfer, settings: Settings, ours: Origin) -> "Mirrored":
        """Save the run and commit it; raise OtherCounts where the rows, counted only now, are others."""
        about = ours.as_told | {"compared_all": self.is_compared, "lost": sorted(self.unseen.changed)}
        about |= {"is_live": True} if settings.is_live else {}
        others, copy = self.what_others_did(transfer, transfer.told.openings, ours), transfer.snapshot.copy
        about["warnings"] = len([*settings.warnings, *copy.warnings, *transfer.run.warnings, *self.warnings, *others])
        stored = saving.to_save(transfer.run, transfer.snapshot, self.plan, about, transfer.last["definition_hash"])
        before = ["refuse_other_counts"] if self.seen is Seen.NOTED else []
        transfer.run.is_compared = self.is_compared
        stored |= settings.retention._asdict()
        return self._replace(said=(*others, *runs.save(transfer.target, transfer.run, stored, before)))
