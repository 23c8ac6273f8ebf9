#!/usr/bin/env python3
"""Back up the bot's SQLite databases to Supabase: mirror what changed, prove it,
and say so in one line.

usage: python3 backup.py [SOURCE …] [flags]

  python3 backup.py                 back up every database of SQLITE_DATABASES
  python3 backup.py premium_system  back up one of them
  python3 backup.py --dry-run       say what would change; write nothing
  python3 backup.py --verify        compare every row of the mirrors with the
                                    databases; change nothing
  python3 backup.py --prove         let Postgres compare every mirror with what
                                    the last run has noted of it; from anywhere
  python3 backup.py --status        a verdict, and how each database is doing:
                                    last success and failure, next run, size,
                                    drills; exit 1 where something is wrong
  python3 backup.py --status --max-age 7h
                                    for monitoring: also where the last success
                                    is older
  python3 backup.py --report status.html
                                    the same and more as one HTML file: runs,
                                    tables, size with a forecast, drills; exit 1
                                    only with --max-age, and for the same reason
  python3 backup.py --fleet         one line for every bot on these targets, the
                                    worst first; exit 1 where one is not well;
                                    --report FILE.html: as a page
  python3 backup.py --every 6h      stay and repeat, where there is no cron: now
                                    and then every six hours, until SIGTERM
  python3 backup.py --live 2s       stay, and have each commit in Supabase in
                                    about two seconds, until SIGTERM; cron's
                                    runs go on beside it
  python3 backup.py --edits         which edits made in Supabase would come into
                                    the bot's databases now, and which have
                                    (BACKUP_ACCEPT_EDITS); change nothing
  python3 backup.py --undo-edits 120
                                    take back what run 120 has brought of them,
                                    where nobody has changed it since
  python3 backup.py --demo          the whole story on sample databases and an
                                    embedded Postgres

flags:
  --full             send and compare every row, also of a database whose file
                     has not changed
  --accept-shrink    back up also when a database has lost most of its rows or a
                     table (BACKUP_MAX_SHRINK)
  --accept-exposure  back up also when somebody has opened the private schemas
                     to others
  --accept-moved     back up also when another bot, or this one on another
                     machine or in another folder, made the last backup
  --env-file PATH    settings from this file instead of .env beside the scripts
  --json             one JSON object on stdout, for machines
  --quiet            print failures only
  --verbose          print every table, also when nobody watches
  --version, --help

exit status:
  0  saved        every database is in Supabase, compared row for row
  1  failed       nothing was changed by what failed; the last good backup is as
                  it was
  2  usage        a flag or a setting is wrong
  3  incomplete   something was saved, something needs a person: read the lines
                  on stderr
"""

import functools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # python3 -P and -I leave it out
import lib.start  # noqa: F401  first of ours: it hops into .venv
from lib.backing_up import brake, edits, local_runs, refusals, schedule
from lib.backing_up.attempts import Report, exit_status
from lib.backing_up.mirrored import Mirrored, Seen
from lib.backing_up.options import BackupOptions
from lib.base import log, script, together, words
from lib.base.errors import OtherCounts, Problem
from lib.base.script import Console
from lib.postgres.books import origin, runs, twins
from lib.postgres.books.origin import Origin
from lib.postgres.link.connection import Target
from lib.postgres.link.kept import Reach
from lib.postgres.mirrors import altered, first_load, last_run, merge, plan_mirrors, proof, unseen, upkeep
from lib.postgres.mirrors.doubt import Doubt
from lib.postgres.mirrors.transfer import Transfer
from lib.postgres.mirrors.unseen import Unseen
from lib.reporting import alerts
from lib.settings import config
from lib.settings.config import Settings
from lib.sqlite.compare import find_changes
from lib.sqlite.snapshots import copying
from lib.sqlite.snapshots import snapshot as snapshots
from lib.tables.plan import Plan


def main(options: BackupOptions, console: Console) -> int:
    """Do what the flags ask for, and return the exit status."""
    if options.demo:
        from lib.trying import demo  # what an ordinary backup does not need is not loaded

        return demo.tell(console)
    settings = alerts.loaded(options.env_file, console)
    sources = config.chosen(settings, list(options.source))
    settings.warnings.extend(log.open_file(settings.log))
    if options.status or options.report or options.fleet:
        return show_state(settings, sources, options, console)
    if options.dry_run or options.verify:
        from lib.backing_up import dry_run, rehearsal

        compare = functools.partial(rehearsal.rehearse, bring, options) if options.dry_run else dry_run.differences
        look = functools.partial(dry_run.show, settings, sources, compare, console)
        return exit_status(look()) if options.dry_run else alerts.told(settings, alerts.COMPARISON, console, look)
    if options.prove:
        from lib.backing_up import proving

        return alerts.told(settings, alerts.PROOF, console, functools.partial(proving.show, settings, console))
    if options.edits or options.undo_edits:
        from lib.backing_up import edits_shown

        if options.edits:
            return edits_shown.show(settings, sources, console)
        changed = edits_shown.take_back(settings, words.run(options.undo_edits or ""), options, console)
        return back_up(settings, {name: settings.sources[name] for name in changed}, options, console)
    if options.live:
        from lib.live import turns

        work = functools.partial(back_up_all, options=options, console=console)
        turns.stay(settings, sources, words.seconds(options.live, turns.LONGEST), work, console)
    if options.every:
        schedule.repeat(words.seconds(options.every), lambda: back_up(settings, sources, options, console), console)
    return back_up(settings, sources, options, console)


def show_state(settings: Settings, sources: dict[str, Path], options: BackupOptions, console: Console) -> int:
    """Show how these sources are doing, or every deployment; on the console or as a page."""
    if options.fleet:
        from lib.reporting import fleet

        return fleet.show(settings, options.max_age, options.report, console)
    if options.report:
        from lib.reporting import page

        return page.write(settings, sources, options.report, options.max_age, console)
    from lib.reporting import status

    return status.show(settings, sources, options.max_age, console)


def back_up(settings: Settings, sources: dict[str, Path], options: BackupOptions, console: Console) -> int:
    """Back up every source to every target, and return the exit status."""
    started, begun = time.monotonic(), alerts.start(settings.channels)
    with alerts.end_told(settings, alerts.BACKUP, begun):
        report = back_up_all(settings, sources, options, console)
    report.fail(local_runs.stuck(settings, report.attempts))
    for warning in [*local_runs.note(settings, report.attempts, report.warnings), *alerts.tell(settings, report, begun)]:
        report.warn(warning)
    return report.close(time.monotonic() - started)


def back_up_all(
    settings: Settings, sources: dict[str, Path], options: BackupOptions, console: Console, reach: Reach = Target
) -> Report:
    """One target or source that fails does not stop the others."""
    report, seen = Report.of(settings, console), twins.Seen()
    for target_settings in settings.targets:
        previous = {name: settings.snapshot_of(name, target_settings.number) for name in sources}
        with (
            local_runs.end_noted(settings, sources, report.attempts),
            report.attempted(target_settings, *sources),
            copying.Ahead(sources, settings.snapshots, settings.first_check, previous) as ahead,
            reach(target_settings, settings.schema) as target,
        ):
            twins.refuse(target, seen)
            for name in sources:
                with report.attempted(target_settings, name):
                    attempt = functools.partial(back_up_source, target, settings, name, ahead, options, report)
                    if run := target.with_reconnects(attempt):
                        report.add(target_settings, run)
    return report


def back_up_source(
    target: Target, settings: Settings, name: str, ahead: copying.Ahead, options: BackupOptions, report: Report
) -> runs.Run | None:
    """Snapshot, plan, merge, verify, commit: all of it or nothing; but a first load is committed now and then.

    A live batch of which nothing is new is no run.
    """
    run = runs.Run(0, name, target.host, number=target.settings.number, is_live=settings.is_live)
    with (
        runs.closed(target, run),
        edits.brought_back(target, settings, run, ahead, options),
        snapshots.being_checked(ahead.copy_of(name)) as snapshot,
    ):
        previous = snapshot.copy.previous
        if snapshot.copy.is_unchecked and snapshot.copy.hash == previous.hash and not run.edits:
            return None
        ours = origin.of(settings, name, previous.told)
        while run.outcome == "running":
            with runs.taken(target, run, previous.note) as told:
                transfer = Transfer(target, snapshot, run, told)
                refusals.refuse_to_begin(transfer, settings, ours, options)
                try:
                    mirrored = bring_and_save(transfer, settings, ours, options, report)
                except OtherCounts as found:
                    mirrored = bring_and_save(merge.undone(transfer, found), settings, ours, options, report)
                run.warnings += mirrored.warnings
            run.committed = len(run.tables)
        doubts = snapshot.copy.finish_check()
        noted = last_run.noted(transfer, mirrored.plan, mirrored.mirrors, mirrored.is_compared)
        not_kept = snapshot.keep_as(previous.place, {**noted, **ours.as_told, "doubts": doubts})
    for warning in [*snapshot.copy.warnings, *run.warnings, *previous.not_told(doubts), *not_kept]:
        report.warn(target.settings.named(warning))
    return run


def bring_and_save(transfer: Transfer, settings: Settings, ours: Origin, options: BackupOptions, report: Report) -> Mirrored:
    """Make the mirrors equal to the snapshot, and save a run that is whole; raise OtherCounts where they were not as noted."""
    mirrored, snapshot = bring(transfer, settings, options, report), transfer.snapshot
    if snapshot.copy.is_unchecked and mirrored.must_be_checked(transfer):
        snapshot.copy.begin_check(settings.check)
    snapshot.copy.finish_check()
    refusals.refuse_restored(snapshot, transfer.source.name)
    runs.refuse_outrun(snapshot, transfer.source.name)
    return mirrored.saved(transfer, settings, ours) if first_load.is_whole(transfer.run, mirrored.plan) else mirrored


def bring(transfer: Transfer, settings: Settings, options: BackupOptions, report: Report) -> Mirrored:
    """Mend the mirrors, and make them equal to the snapshot; raise Problem where it looks as if that were wrong."""
    target, source, snapshot, told = transfer.target, transfer.source, transfer.snapshot, transfer.told
    noted = last_run.noted_mirrors(told.last, snapshot.copy.previous.note)
    changed = altered.mended(target, source, snapshot, told.mirrors, noted)
    plan = plan_mirrors.plan(snapshot, changed.mirrors, source)
    if not options.accept_shrink:
        brake.refuse_sudden_loss(told, snapshot, plan, settings.max_shrink)
    recounted = unseen.recounted(transfer, plan)
    now = upkeep.mend(target, plan, source, changed.mirrors)
    missed = unseen.look(transfer, plan, changed)
    missed.changed |= recounted
    are_as_left = edits.are_put_back(transfer, settings, plan, changed)
    must_send_all = options.full or bool(missed.suspects or transfer.others) or not are_as_left
    try:
        seen = bring_rows(transfer, plan, missed, must_send_all, report)
    except Problem as problem:
        changed = altered.clear(target, source, plan, changed, now, problem)
        now = changed.mirrors
        missed = missed.also(unseen.look(transfer, plan, changed))
        seen = bring_rows(transfer, plan, missed, True, report)
    if not options.accept_shrink:
        refusals.refuse_replacement(transfer, plan, missed, settings, are_as_left=are_as_left)
    return Mirrored(plan, now | changed.left_aside(source), changed, missed, seen)


def bring_rows(transfer: Transfer, plan: Plan, missed: Unseen, must_send_all: bool, report: Report) -> Seen:
    """Send what differs from the last run, or every row where that cannot be relied on."""
    run, name, snapshot, tables = transfer.run, transfer.source.name, transfer.snapshot, plan.tables
    if transfer.last["run"] is None:
        first_load.bring(transfer, plan, report.note)
        return Seen.COMPARED
    if reason := transfer.others.what if transfer.others else missed.reason:
        report.note(f"{name}: every row is sent, because {reason}.")
    if not must_send_all:
        is_due = last_run.is_comparison_due(snapshot) and not snapshot.copy.is_unchecked
        compare = functools.partial(proof.compare, transfer, tables) if is_due else merge.rely
        try:
            known = last_run.left(snapshot, plan, transfer.last)
            if last_run.is_noted(known, transfer, tables) and not is_due:
                run.tables = [known.left[table.label] for table in tables]
                return Seen.NOTED
            changes = find_changes.since(known, snapshot, tables)
            run.tables = merge.changed_rows(transfer, tables, changes, known, compare)
            return Seen.COMPARED if is_due else Seen.COUNTED if any(not one.is_known for one in run.tables) else Seen.NOTED
        except Doubt as doubt:
            report.note(f"{name}: every row is sent, because {doubt}.")
            missed.changed |= doubt.changed
    run.tables = merge.every_row(transfer, tables, find_changes.every_row(snapshot, tables))
    return Seen.COMPARED


def flags() -> script.Parser:
    parser = script.Parser(__doc__, together.BACKUP)
    parser.add_argument("source", nargs="*")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--accept-shrink", action="store_true")
    parser.add_argument("--accept-exposure", action="store_true")
    parser.add_argument("--accept-moved", action="store_true")
    parser.add_argument("--status", action="store_true")
    parser.add_argument("--max-age")
    parser.add_argument("--every")
    parser.add_argument("--live")
    parser.add_argument("--edits", action="store_true")
    parser.add_argument("--undo-edits", metavar="RUN")
    parser.add_argument("--report", metavar="FILE.html")
    parser.add_argument("--fleet", action="store_true")
    parser.add_argument("--prove", action="store_true")
    parser.add_argument("--demo", action="store_true")
    return parser


if __name__ == "__main__":
    script.run(lambda written, console: main(BackupOptions.of(written), console), flags())
