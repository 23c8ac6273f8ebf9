#!/usr/bin/env python3
"""Rebuild the bot's SQLite databases from Supabase, check every row, and only then
put them in place.

usage: python3 restore.py [flags]

  python3 restore.py                show the plan and ask
  python3 restore.py --yes          do not ask: for the emergency
  python3 restore.py --database premium_system --yes
                                    one database only
  python3 restore.py --to /tmp/look
                                    into another folder; the bot's files stay as
                                    they are
  python3 restore.py --list         show the newest 20 restore points (or --last
                                    100, or all --since 2026-11-01), and what
                                    earlier restores replaced
  python3 restore.py --keep 117 "before the migration"
                                    for ever; --release 117: no longer
  python3 restore.py --at 117       every database as run 117 left it; also --at
                                    "2026-11-20 12:00" (UTC unless an offset is
                                    given), 2026-11-20, yesterday, 14:05, "2
                                    hours ago"; a time means its end
  python3 restore.py --table refunds --at yesterday
                                    put one table's rows back into the present
                                    database, the rest untouched; with --where
                                    id=7 only these rows
  python3 restore.py --find payment_history --where owner_id=123 --at yesterday
                                    some rows as they were then, or now; --where
                                    several times, with = != < > <= >= ~ (has
                                    in it), NULL; --csv FILE
  python3 restore.py --history premium_subscriptions --where id=7
                                    every version of these rows: when, by whom,
                                    from what to what; --since WHEN
  python3 restore.py --export out   everything into a new folder, for other
                                    tools; --format csv, sql or db; --at WHEN
  python3 restore.py --dry-run      show what would change, table by table;
                                    write nothing
  python3 restore.py --undo         put back the files that the last restore
                                    replaced; --undo FILE: this one of --list
  python3 restore.py --local        from the newest snapshot on this machine (or
                                    that of --target N), without the network
  python3 restore.py --drill        rehearse: rebuild everything in a temporary
                                    folder, compare, record the result

Stop the bot first. The file that is replaced is kept as
NAME.before-restore-<UTC time>.

flags:
  --accept-moved     restore also what another bot, or this one on another
                     machine or in another folder, has backed up
  --target N         restore from this target (SUPABASE_DB_URL_2 is 2); else
                     from the one with the newest backup
  --env-file PATH    settings from this file instead of .env beside the scripts
  --json             one JSON object on stdout, for machines
  --quiet            print failures only
  --verbose          print every table
  --version, --help

exit status:
  0  saved        every database was rebuilt, checked and put in place (or there
                  was nothing to do)
  1  failed       the files are as they were
  2  usage        a flag or a setting is wrong, or nobody was there to ask
  3  incomplete   some databases were restored, some were not: read the lines on
                  stderr
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Sequence, Sized
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent))  # python3 -P and -I leave it out
import lib.start  # noqa: F401  first of ours: it hops into .venv
from lib.base import leaving, log, script, together
from lib.base.errors import SettingsError, SourceError
from lib.base.script import Console
from lib.base.words import beginning, moment
from lib.postgres.books import points
from lib.postgres.link.connection import Target
from lib.postgres.mirrors.saved_state import SavedState
from lib.postgres.setup import installation
from lib.reporting import alerts
from lib.restoring import best_target, drill, exports, found_rows, local_state, one_table, rebuild, rows_shown, steps
from lib.restoring.options import RestoreOptions
from lib.restoring.rebuild import Rebuilt
from lib.restoring.report import Report
from lib.settings import config, paths
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.replacing import real_files
from lib.tables.plan import folded

Given = TypeVar("Given")


def main(options: RestoreOptions, console: Console) -> int:
    leaving.with_asked(options.asked)
    settings = alerts.loaded(options.env_file, console) if options.drill else config.load(options.env_file)
    report = Report(console, options)
    sources = config.chosen(settings, [options.database] if options.database else [])
    for warning in log.open_file(settings.log):
        console.warn(warning)
    steps.refuse_no_folder(settings, options.to)
    if options.undo:
        return put_back_replaced(sources, options, report)
    if options.local:
        return restore_local(settings, sources, options, report)
    targets = config.chosen_targets(settings, options.target)
    if options.drill:
        rehearse = functools.partial(drill.rehearse_all, settings, targets, sources, console)
        return alerts.told(settings, alerts.DRILL, console, rehearse)
    best_target.refuse_run_of_any(options.run, targets)
    with (
        steps.or_locally(settings, sources, targets, options),
        Target(chosen_target(settings, targets, sources, report), settings.schema) as target,
    ):
        installation.require(target)
        if options.list or options.keep or options.release:
            return tell_points(target, sources, options, report)
        if options.of_rows or options.export:
            return look(target, settings, sources, options, report, console)
        return restore(target, settings, sources, options, report)


def chosen_target(settings: Settings, targets: list[TargetSettings], sources: dict[str, Path], report: Report) -> TargetSettings:
    """Return the only target, or the best of several, and say why it is that one."""
    if len(targets) == 1:
        return targets[0]
    candidates = best_target.ask(settings, targets, sources)
    best = best_target.newest(candidates)
    report.candidates(candidates, best)
    best_target.refuse_future(best)
    report.chosen(best.target)
    return best.target


def look(
    target: Target, settings: Settings, sources: dict[str, Path], options: RestoreOptions, report: Report, console: Console
) -> int:
    """Write everything for other tools, or tell of single rows; no database is touched."""
    with target.transaction("REPEATABLE READ READ ONLY"):
        states = saved_states(target, sources, options, report)
        if options.export:
            return exports.write_all(target, settings, states, options, report)
        return rows_shown.tell(target, states, options, console)


def tell_points(target: Target, sources: dict[str, Path], options: RestoreOptions, report: Report) -> int:
    """List the restore points, or keep one for ever, or let one age again."""
    if options.keep:
        kept = points.keep(target, [*sources], options.keep, options.kept_for)
        report.warnings(points.not_kept_apart(target, moment(options.keep)[0], kept))
        return report.kept(target.settings, kept, "is kept for ever")
    if options.release:
        return report.kept(target.settings, points.release(target, [*sources], options.release), "is kept no longer than others")
    places = destinations(sources, "", report)
    return report.points(target.settings, *steps.restore_points(target, places, options), steps.all_safety_copies(places))


def restore(target: Target, settings: Settings, sources: dict[str, Path], options: RestoreOptions, report: Report) -> int:
    """Rebuild every file beside its destination, and swap them only when all of them have been checked."""
    places = destinations(sources, options.to, report)
    with contextlib.ExitStack() as until_swapped:
        with target.transaction("REPEATABLE READ READ ONLY"):
            states = saved_states(target, places, options, report)
            if options.replaces_the_bots_files and not options.accept_moved:
                steps.refuse_other_bots(target, settings, states, places)
            conditions = found_rows.conditions_in(states, options.table, options.where)
            report.plan(target.settings, states, places)
            require_answer(states, options)
            files: Sequence[Rebuilt] = until_swapped.enter_context(
                rebuild.all_rebuilt(target, states, places, settings, report.rebuilding)
            )
        # What takes a person's time begins here, where nothing is open in Postgres any more.
        if (options.dry_run or options.table) and not conditions:
            compare(files, sources, options.table, report)
        if options.table:
            files = patched = [one_table.put_back(built, sources[built.source], options.table, conditions) for built in files]
            report.rows_put_back(patched)
            report.warnings(warning for file in patched for warning in file.table.warnings)
        replaced = put_in_place(files, report) if agreed(files, options) else []
    for built in replaced if options.replaces_the_bots_files else []:
        with report.attempted():
            target.with_reconnects(functools.partial(steps.note, target, settings, built))
    return report.close()


def saved_states(target: Target, places: dict[str, Path], options: RestoreOptions, report: Report) -> dict[str, SavedState]:
    """Return what is to be rebuilt: every source as a run has left it, or the one table that was named."""
    at = moment(options.at) if options.at else None
    if at:
        points.refuse_to_come(target, options.at, at[0], beginning(options.at))
    if table := options.table or options.of_rows:
        with steps.or_gone(target, places, table, options):
            states = one_table.of_one_source({name: steps.saved_or_not(target, name, at) for name in places}, table)
    else:
        states = of_each(places, lambda name: steps.saved(target, name, at), report)
    report.warnings(points.not_kept_apart(target, at[0] if at else None, ((name, state.run) for name, state in states.items())))
    return states


def compare(files: Sequence[Rebuilt], sources: dict[str, Path], table: str, report: Report) -> None:
    """Say what would change, table by table, or in the one that was named, which goes into a copy of the bot's database."""
    for built in files:
        with report.attempted():
            differences, unreadable = steps.differences(built, sources[built.source] if table else built.place)
            report.unreadable(built.source, unreadable)
            report.differences(built.source, [change for change in differences if folded(table) in ("", folded(change.table))])


def restore_local(settings: Settings, sources: dict[str, Path], options: RestoreOptions, report: Report) -> int:
    """Put the previous snapshots in place: they are on this machine, and need no network."""
    places, targets = destinations(sources, options.to, report), config.chosen_targets(settings, options.target)
    states = of_each(places, lambda name: steps.snapshot_here(settings, name, targets), report)
    report.snapshots(states, places)
    require_answer(states, options)
    with local_state.all_copied(states, places) as files:
        if options.dry_run:
            compare(files, sources, "", report)
        if agreed(files, options):
            put_in_place(files, report)
    return report.close()


def put_back_replaced(sources: dict[str, Path], options: RestoreOptions, report: Report) -> int:
    """Exchange each file with the one that the last restore replaced."""
    places = destinations(sources, options.to, report)
    looked_for = of_each(places, lambda name: steps.safety_copy(places[name], options.undo_file), report)
    copies = {name: copy for name, copy in looked_for.items() if copy}
    report.safety_copies(copies, places)
    if not report.failures:
        with report.attempted(SourceError):
            steps.refuse_none(copies, options.undo_file)
    require_answer(copies, options)
    if agreed(copies, options):
        for name, copy in copies.items():
            with report.attempted():
                report.put_back(name, places[name], copy, steps.put_back(copy, places[name]))
    return report.close()


def put_in_place(files: Sequence[Rebuilt], report: Report) -> list[Rebuilt]:
    """Swap the files in, and return those that were; one that cannot be does not stop the others."""
    replaced = []
    for built in files:
        with report.attempted():
            report.put_in_place(built, steps.put_in_place(built))
            replaced.append(built)
    return replaced


def of_each(names: Iterable[str], step: Callable[[str], Given], report: Report) -> dict[str, Given]:
    """Take a step for each source; one that cannot be restored does not stop the others."""
    gave = {}
    for name in names:
        with report.attempted(SourceError):
            gave[name] = step(name)
    return gave


def destinations(sources: dict[str, Path], folder: str, report: Report) -> dict[str, Path]:
    """Return the files to replace: where the sources really are, or their names in another folder."""
    places = {}
    for name, source in sources.items():
        path = paths.expanded(folder, Path()) / source.name if folder else source
        places[name] = real_files.behind(path)
        report.link(path, places[name])
    real_files.refuse_shared(places)
    if folder and {*places.values()} & {real_files.behind(source) for source in sources.values()}:
        raise SettingsError(f"{folder} has the bot's own files; --to is for another folder.", "leave --to out to replace them")
    return places


def require_answer(things: Sized, options: RestoreOptions) -> None:
    """Raise SettingsError where something would be replaced, and nobody can be asked; before any long work."""
    is_asked = sys.stdin.isatty() and not (options.json or options.quiet)  # these two show no plan to agree to
    if things and not (is_asked or options.yes or options.dry_run):
        raise SettingsError("nobody is here to answer.", leaving.again("--yes"), "The files were not touched.")


def agreed(things: Sized, options: RestoreOptions) -> bool:
    """Ask, unless that was forbidden or there is nothing to put in place; a dry run never does."""
    return bool(things) and not options.dry_run and (options.yes or script.ask("Replace the files?"))


def flags() -> script.Parser:
    parser = script.Parser(__doc__, together.RESTORE)
    for flag in ("--yes", "--list", "--dry-run", "--local", "--drill", "--accept-moved"):
        parser.add_argument(flag, action="store_true")
    for flag in ("--database", "--to", "--at", "--table", "--since", "--release", "--find", "--history", "--csv", "--export"):
        parser.add_argument(flag, default="")
    parser.add_argument("--where", action="append")
    parser.add_argument("--format", choices=exports.FORMATS)
    parser.add_argument("--keep", nargs=2)
    parser.add_argument("--undo", nargs="?", const="")
    parser.add_argument("--target", type=int)
    parser.add_argument("--last", type=int)
    return parser


if __name__ == "__main__":
    script.run(lambda written, console: main(RestoreOptions.of(written), console), flags())
