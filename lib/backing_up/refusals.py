"""What a backup refuses before and after it has merged, and what a rehearsal says it would refuse."""

from lib.backing_up import brake
from lib.backing_up.mirrored import Mirrored
from lib.backing_up.options import BackupOptions
from lib.base.errors import Problem, typed
from lib.postgres.books import origin, plan_limit, privacy
from lib.postgres.books.origin import Origin
from lib.postgres.mirrors.transfer import Transfer
from lib.postgres.mirrors.unseen import Unseen
from lib.settings.config import Settings
from lib.tables.plan import Plan
from lib.tables.results import LastSaved


def refuse_unless_accepted(name: str, openings: list[str], ours: Origin, last: LastSaved, options: BackupOptions) -> None:
    """Refuse where others can get in, or where the last backup is another bot's, unless it was said that this is right."""
    if not options.accept_exposure:
        privacy.refuse_exposure(openings, name)
    if not options.accept_moved:
        origin.refuse_other(name, ours, last, f"python3 backup.py {typed(name)} --accept-moved")


def refuse_replacement(transfer: Transfer, plan: Plan, missed: Unseen, before: dict[str, int], settings: Settings) -> None:
    """Refuse another database in the place of the bot's, unless it is known why the rows are others than before."""
    if not (transfer.last["is_restored"] or transfer.edits or missed.suspects or missed.changed):
        brake.refuse_replacement(transfer.source, before, transfer.run.tables, plan, settings.max_shrink)


def foreseen(
    transfer: Transfer, settings: Settings, options: BackupOptions, openings: list[str], ours: Origin, mirrored: Mirrored
) -> list[str]:
    """Return why a backup would stop, first things first; a rehearsal is not stopped, because somebody wants to see."""
    source, plan = transfer.source, mirrored.plan
    try:
        plan_limit.refuse_or_warn(transfer.target, transfer.run, transfer.snapshot, settings.max_database_bytes)
        refuse_unless_accepted(source.name, openings, ours, transfer.last, options)
        if not options.accept_shrink:
            before = brake.refuse_sudden_loss(transfer.target, source, transfer.snapshot, plan, settings.max_shrink)
            refuse_replacement(transfer, plan, mirrored.unseen, before, settings)
    except Problem as problem:
        return [problem.what]
    return []
