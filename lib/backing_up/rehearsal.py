"""What `--dry-run` does: all that a backup does up to where it would be saved, in a transaction that is rolled back."""

from collections.abc import Callable
from dataclasses import replace

from lib.backing_up import dry_run, refusals
from lib.backing_up.attempts import Report
from lib.backing_up.dry_run import Told
from lib.backing_up.mirrored import Mirrored
from lib.backing_up.options import BackupOptions
from lib.postgres.books import origin, runs
from lib.postgres.link.connection import Target
from lib.postgres.mirrors.transfer import Transfer
from lib.settings.config import Settings
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.plan import Source

# What mends the mirrors, and makes them equal to the snapshot.
Bring = Callable[[Transfer, Settings, BackupOptions, Report], Mirrored]


def rehearse(
    bring: Bring, options: BackupOptions, target: Target, settings: Settings, source: Source, snapshot: Snapshot, report: Report
) -> list[Told]:
    """Do what a backup does, in a transaction that will be rolled back, and say what that was, and what a backup would refuse."""
    told, database_bytes = runs.look(target, source.name, snapshot.copy.previous.note)
    told = told._replace(source=replace(told.source, is_rehearsal=True))
    run = runs.Run(0, source.name, target.host, database_bytes, target.settings.number)
    transfer = Transfer(target, snapshot, run, told)
    no_room = refusals.no_room(transfer, settings)
    mirrored = bring(transfer, settings, replace(options, accept_shrink=True), report)
    runs.refuse_outrun(snapshot, source.name)
    ours = origin.of(settings, source.name, snapshot.copy.previous.told)
    for refusal in no_room or refusals.foreseen(transfer, settings, options, ours, mirrored):
        report.warn(target.settings.named(f"a backup would refuse this: {refusal}"))
    accepted = told.openings if options.accept_exposure else []
    damage = snapshot.copy.previous.damage(source.name)
    for warning in [*mirrored.warnings, *damage, *mirrored.what_others_did(transfer, accepted, ours)]:
        report.warn(target.settings.named(f"a backup would do this, and say: {warning}"))
    return dry_run.changes(target, run.tables, source)
