#!/usr/bin/env python3
"""Back up the bot's SQLite databases to Supabase: mirror what changed, prove it, and say so in one line.

usage: python3 backup.py [SOURCE …] [flags]

  python3 backup.py                     back up every database in SQLITE_DATABASES
  python3 backup.py premium_system      back up one of them
  python3 backup.py --dry-run           say what would change; write nothing
  python3 backup.py --verify            compare every row of the mirrors with the databases; change nothing
  python3 backup.py --status            how each database is doing: last success and failure, next run, size, drills
  python3 backup.py --status --max-age 7h   for monitoring: exit 1 when the last success is older
  python3 backup.py --report status.html   the same and more as one HTML file: runs, tables, size with a forecast, drills
  python3 backup.py --every 6h          stay and repeat, where there is no cron: now and then every six hours, until SIGTERM
  python3 backup.py --demo              the whole story on sample databases and an embedded Postgres

flags:
  --full            send and compare every row, also of a database whose file has not changed
  --accept-shrink   back up also when a database has lost most of its rows or a table (BACKUP_MAX_SHRINK)
  --accept-exposure back up also when somebody has opened the private schemas to others
  --accept-moved    back up also when another bot, or this one on another machine or in another folder, made the last backup
  --env-file PATH   settings from this file instead of .env beside the scripts
  --json            one JSON object on stdout, for machines
  --quiet           print failures only
  --verbose         print every table, also when nobody watches
  --version, --help

exit status:
  0  saved        every database is in Supabase, compared row for row
  1  failed       nothing was changed by what failed; the last good backup is as it was
  2  usage        a flag or a setting is wrong
  3  incomplete   something was saved, something needs a person: read the lines on stderr
"""

import functools
import time

import lib.start  # noqa: F401  first of ours: it hops into .venv
from lib.backing_up import brake, local_runs, schedule
from lib.backing_up.attempts import Report
from lib.base import disk, log, script
from lib.base.errors import Problem
from lib.base.words import seconds
from lib.postgres.books import origin, plan_limit, privacy, runs
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import altered, first_load, last_run, merge, plan_mirrors, proof, upkeep
from lib.postgres.mirrors.doubt import Doubt
from lib.reporting import alerts
from lib.settings import config
from lib.sqlite.compare import find_changes
from lib.sqlite.snapshots import copying
from lib.sqlite.snapshots import snapshot as snapshots


def main(options, console) -> int:
    if options.demo:
        from lib.trying import demo  # what an ordinary backup does not need is not loaded

        return demo.tell(console)
    settings = config.load(options.env_file)
    sources = config.chosen(settings, options.source)
    log.open_file(settings.log)
    if options.status:
        from lib.reporting import status

        return status.show(settings, sources, options.max_age, console)
    if options.report:
        from lib.reporting import page as page

        return page.write(settings, sources, options.report, console)
    if options.dry_run or options.verify:
        from lib.backing_up import dry_run

        compare = functools.partial(rehearse, options) if options.dry_run else dry_run.differences
        return dry_run.show(settings, sources, compare, console)
    if options.every:
        schedule.repeat(seconds(options.every), lambda: back_up(settings, sources, options, console), console)
    return back_up(settings, sources, options, console)


def back_up(settings, sources, options, console) -> int:
    """Back up every source to every target, and return the exit status."""
    started, begun = time.monotonic(), alerts.start(settings.channels)
    with alerts.crashes_told(settings, begun):
        report = back_up_all(settings, sources, options, console)
    undelivered = alerts.tell(settings, report.attempts, report.judged()[1], begun)
    for warning in undelivered + local_runs.note(settings, report.attempts, report.warnings):
        report.warn(warning)
    return report.close(time.monotonic() - started)


def back_up_all(settings, sources, options, console) -> Report:
    """One target or source that fails does not stop the others."""
    report = Report(console)
    for warning in settings.warnings:
        report.warn(warning)
    for note in settings.notes:
        report.note(note)
    for target_settings in settings.targets:
        with (
            report.attempted(target_settings, *sources),
            copied_ahead(settings, sources, target_settings) as ahead,
            Target(target_settings, settings.schema) as target,
        ):
            for name in sources:
                with report.attempted(target_settings, name):
                    attempt = functools.partial(back_up_source, target, settings, name, ahead, options, report)
                    report.add(target_settings, target.with_reconnects(attempt))
    return report


def copied_ahead(settings, sources, target_settings) -> copying.Ahead:
    """Copy the sources one by one, also while the target is being connected to."""
    kept = {name: settings.snapshot_of(name, target_settings.number) for name in sources}

    def has_room(*names):
        found = [sources[name] for name in names if sources[name].exists()]
        return disk.has_room(settings.snapshots, sum(map(copying.size_of, found)))

    return copying.Ahead(
        {
            name: functools.partial(copying.copy, path, settings.snapshots, settings.check, kept[name])
            for name, path in sources.items()
        },
        has_room,
    )


def back_up_source(target, settings, name, ahead, options, report):
    """Snapshot, plan, merge, verify, commit: all of it or nothing; but a first load is committed now and then."""
    run, source = runs.open_run(target, name)
    with runs.closed(target, run), snapshots.being_checked(ahead.copy_of(name)) as snapshot:
        warnings, previous = plan_limit.refuse_or_warn(target, run, snapshot, settings.max_database_bytes), snapshot.copy.previous
        while run.outcome == "running":
            with target.transaction():
                openings, last = runs.lock_source(target, run, source)
                runs.refuse_outrun(snapshot, name)
                ours = origin.of(settings.sources[name], previous.told)
                refuse_unless_accepted(name, openings, ours, last, options)
                edits = runs.hand_edits(target, name)
                plan, now, changed, unseen, is_compared = bring(
                    target, source, snapshot, run, last, edits, settings, options, report
                )
                doubts = snapshot.copy.finish_check()
                warnings += changed.warnings + plan.warnings
                runs.refuse_outrun(snapshot, name)
                if first_load.is_whole(run, plan):
                    about = ours.as_told | {"compared_all": is_compared, "lost": sorted(unseen.changed)}
                    warnings += runs.save(target, run, snapshot, plan, settings.keep_days, about, last["definition_hash"])
        noted = last_run.noted(run, snapshot, plan, now | changed.left_aside(source), is_compared, last)
        kept = snapshot.keep_as(previous.place, doubts=doubts, **ours.as_told, **noted)
    warnings += [doubt for doubt in doubts if doubt not in previous.note.get("doubts", [])]  # what stays is said once
    exposed = [privacy.as_sentence(openings)] if openings else []
    exposed += origin.other_machine(name, ours, last)
    by_hand = [runs.as_sentence(name, *edit) for edit in edits]
    for warning in [*warnings, *exposed, *by_hand, *unseen.warnings(source, last), *kept]:
        report.warn(warning)
    return run


def rehearse(options, target, settings, source, snapshot, report):
    """Do what a backup does, in a transaction that will be rolled back, and say what that was; the brake stops no rehearsal."""
    from lib.backing_up import dry_run

    run, last = runs.Run(0, source.name, target.host, 0), runs.read_last(target, source)
    edits, options.accept_shrink = runs.hand_edits(target, source.name), True
    bring(target, source, snapshot, run, last, edits, settings, options, report)
    runs.refuse_outrun(snapshot, source.name)
    return dry_run.changes(run.tables, source)


def bring(target, source, snapshot, run, last, edits, settings, options, report):
    """Mend the mirrors, and make them equal to the snapshot.

    Return the plan, the mirrors as they are now, what had been altered, what was unseen, and whether every row was compared.
    """
    note, edited, present = snapshot.copy.previous.note, {mirror for mirror, *_ in edits}, upkeep.read(target, source)
    changed = altered.mended(target, source, snapshot, present, last_run.noted_mirrors(last, note))
    plan = plan_mirrors.plan(snapshot, changed.mirrors, source)
    before = {} if options.accept_shrink else brake.refuse_sudden_loss(target, source, snapshot, plan, settings.max_shrink)
    now = upkeep.mend(target, plan, source, changed.mirrors)
    look = functools.partial(last_run.unseen, target, source, plan, present, note, edited, last)
    rows = functools.partial(bring_rows, target, source, snapshot, plan, run, last)
    unseen = look(changed)
    try:
        is_compared = rows(unseen, options.full or edits or unseen.suspects, report)
    except Problem as problem:
        now = altered.clear(target, source, plan, changed, now, problem)
        unseen = unseen.also(look(changed))
        is_compared = rows(unseen, True, report)
    if not (last["is_restored"] or edits or unseen.suspects or unseen.changed):
        brake.refuse_replacement(source, before, run.tables, plan, settings.max_shrink)
    return plan, now, changed, unseen, is_compared


def refuse_unless_accepted(name, openings, ours, last, options) -> None:
    """Refuse where others can get in, or where the last backup is another bot's, unless it was said that this is right."""
    if not options.accept_exposure:
        privacy.refuse_exposure(openings, name)
    if not options.accept_moved:
        origin.refuse_other(name, ours, last, f"python3 backup.py {name} --accept-moved")


def bring_rows(target, source, snapshot, plan, run, last, unseen, must_send_all, report) -> bool:
    """Send what differs from the last run, or every row where that cannot be relied on; return whether every row was compared."""
    if last["run"] is None:
        return first_load.bring(target, source, snapshot, plan, run, report.note)
    is_due = last_run.is_comparison_due(snapshot)
    if unseen.reason:
        report.note(f"{source.name}: every row is sent, because {unseen.reason}.")
    if not must_send_all:
        try:
            known = last_run.left(snapshot, plan, last)
            confirm = functools.partial(last_run.confirm, target, source, plan.tables, known)
            compare = functools.partial(proof.compare, target, source, snapshot, plan.tables) if is_due else merge.rely
            parts = find_changes.since(known, snapshot, plan.tables)
            run.tables = merge.merge(target, source, snapshot, plan.tables, parts, confirm, compare)
            return is_due
        except Doubt as doubt:
            report.note(f"{source.name}: every row is sent, because {doubt}.")
            unseen.changed |= doubt.changed
    run.tables = merge.merge(target, source, snapshot, plan.tables, find_changes.every_row(snapshot, plan.tables))
    return True


def flags() -> script.Parser:
    parser = script.Parser(__doc__)
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
    parser.add_argument("--report", metavar="FILE.html")
    parser.add_argument("--demo", action="store_true")
    return parser


if __name__ == "__main__":
    script.run(main, flags())
