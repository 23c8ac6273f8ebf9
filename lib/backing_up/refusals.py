"""What a backup refuses before and after it has merged, and what a rehearsal says it would refuse."""

from lib.backing_up import brake
from lib.backing_up.mirrored import Mirrored
from lib.backing_up.options import BackupOptions
from lib.base.errors import MayPass, Problem, typed
from lib.postgres.books import origin, plan_limit, privacy, runs
from lib.postgres.books.origin import Origin
from lib.postgres.mirrors.transfer import Transfer
from lib.postgres.mirrors.unseen import Unseen
from lib.settings.config import Settings
from lib.sqlite.files import other_names
from lib.sqlite.replacing import safety_copies
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Plan
from lib.tables.results import LastSaved


def refuse_to_begin(transfer: Transfer, settings: Settings, ours: Origin, options: BackupOptions) -> None:
    """Refuse what cannot fit, what cannot be compared any more, and what somebody must accept first; note warnings."""
    run, snapshot = transfer.run, transfer.snapshot
    run.warnings += [] if run.committed else _near_limits(transfer, settings)
    runs.refuse_outrun(snapshot, run.source)
    refuse_unjudged(transfer, settings)
    refuse_unless_accepted(run.source, transfer.told.openings, ours, transfer.last, options)


def _near_limits(transfer: Transfer, settings: Settings) -> list[str]:
    """Return warnings of what is nearly full; raise Problem where what is to be added cannot fit."""
    is_first = transfer.last["run"] is None
    return plan_limit.refuse_or_warn(transfer.target, transfer.run, transfer.snapshot, settings, is_first=is_first)


def refuse_unjudged(transfer: Transfer, settings: Settings) -> None:
    """Raise MayPass where somebody has edited since edits were judged: the next attempt judges that, too."""
    if transfer.told.is_edited and settings.accepts_edits(transfer.target.settings.number):
        raise MayPass(f"{transfer.source.name} was edited while it was being backed up.", "wait until that has ended")


def refuse_restored(snapshot: Snapshot, name: str) -> None:
    """Raise MayPass where a restore has replaced the file since it was copied; the next attempt copies what is there now."""
    if safety_copies.has(snapshot.copy.source, snapshot.copy.file):
        raise MayPass(f"{name} was restored while it was being backed up.", "wait until that has ended")


def refuse_written_elsewhere(snapshot: Snapshot) -> None:
    """Raise Problem where a program has the file open by another name: neither sees the other's locks, and both would write."""
    if snapshot.copy.journal_mode == "wal" and other_names.is_open(snapshot.copy.source):
        what = f"{snapshot.copy.source.name}: no edit is brought in while a program has the file open by another name."
        raise Problem(what, other_names.REMEDY)


def refuse_unless_accepted(name: str, openings: list[str], ours: Origin, last: LastSaved, options: BackupOptions) -> None:
    """Refuse where others can get in, or where the last backup is another bot's, unless it was said that this is right."""
    if not options.accept_exposure:
        privacy.refuse_exposure(openings, name)
    if not options.accept_moved:
        origin.refuse_other(name, ours, last, f"python3 backup.py {typed(name)} --accept-moved")


def refuse_replacement(transfer: Transfer, plan: Plan, missed: Unseen, settings: Settings, *, are_as_left: bool) -> None:
    """Refuse another database in the place of the bot's, unless it is known why the rows are others than before.

    Where people have edited the mirrors, it is not, unless these `are_as_left` by the last run again.
    """
    if are_as_left and not (transfer.last["is_restored"] or missed.suspects or missed.changed):
        brake.refuse_replacement(transfer.told, transfer.run.tables, plan, settings.max_shrink)


def no_room(transfer: Transfer, settings: Settings) -> list[str]:
    """Return why a backup would not begin, before anything is brought: afterwards the mirrors have it."""
    try:
        _near_limits(transfer, settings)
    except Problem as problem:
        return [problem.what]
    return []


def foreseen(transfer: Transfer, settings: Settings, options: BackupOptions, ours: Origin, mirrored: Mirrored) -> list[str]:
    """Return why a backup that has room would stop, first things first; a rehearsal is not, because somebody wants to see."""
    told, plan = transfer.told, mirrored.plan
    try:
        refuse_unless_accepted(told.source.name, told.openings, ours, told.last, options)
        if not options.accept_shrink:
            brake.refuse_sudden_loss(told, transfer.snapshot, plan, settings.max_shrink)
            refuse_replacement(transfer, plan, mirrored.unseen, settings, are_as_left=not transfer.edits)
    except Problem as problem:
        return [problem.what]
    return []
