#!/usr/bin/env python3
"""Rebuild the bot's SQLite databases from Supabase, check every row, and only then put them in place.

usage: python3 restore.py [flags]

  python3 restore.py                    show the plan and ask
  python3 restore.py --yes              do not ask: for the emergency
  python3 restore.py --database premium_system --yes
                                        one database only
  python3 restore.py --to /tmp/look     into another folder; the bot's files stay as they are
  python3 restore.py --list             show what can be restored, and the files that earlier restores replaced
  python3 restore.py --at 117           every database as run 117 left it; also --at "2026-11-20 12:00" (UTC unless an
                                        offset is given), --at 2026-11-20, --at yesterday; a time means its end
  python3 restore.py --table refunds --at yesterday
                                        put one table's rows back into the present database, the rest untouched
  python3 restore.py --dry-run          show what would change, table by table; write nothing
  python3 restore.py --undo             put back the files that the last restore replaced; --undo FILE: this one of --list
  python3 restore.py --local            from the newest snapshot on this machine (or that of --target N), without the network
  python3 restore.py --drill            rehearse: rebuild everything in a temporary folder, compare, record the result

Stop the bot first. The file that is replaced is kept as NAME.before-restore-<UTC time>.

flags:
  --accept-moved    restore also what another bot, or this one on another machine or in another folder, has backed up
  --target N        restore from this target (SUPABASE_DB_URL_2 is 2); else from the one with the newest backup
  --env-file PATH   settings from this file instead of .env beside the scripts
  --json            one JSON object on stdout, for machines
  --quiet           print failures only
  --verbose         print every table
  --version, --help

exit status:
  0  saved        every database was rebuilt, checked and put in place (or there was nothing to do)
  1  failed       the files are as they were
  2  usage        a flag or a setting is wrong, or nobody was there to ask
  3  incomplete   some databases were restored, some were not: read the lines on stderr
"""

import sys
from pathlib import Path

import lib.start  # noqa: F401  first of ours: it hops into .venv
from lib.base import log, script
from lib.base.errors import SettingsError
from lib.postgres.books import origin, runs
from lib.postgres.link.connection import Target
from lib.postgres.setup import installation
from lib.restoring import best_target, drill, rebuild, steps
from lib.settings import config
from lib.sqlite.replacing import real_files
from lib.sqlite.snapshots import previous


def main(options, console) -> int:
    settings = config.load(options.env_file)
    sources = config.chosen(settings, [options.database] if options.database else [])
    log.open_file(settings.log)
    report = steps.Report(console)
    if options.undo is not None:
        return put_back_replaced(sources, report, options, console)
    if options.local:
        return restore_local(settings, sources, report, options, console)
    if options.drill:
        return drill.rehearse_all(settings, config.chosen_targets(settings, options.target), sources, console)
    with Target(best_target.of_target(settings, sources, options.target, console), settings.schema) as target:
        installation.require(target)
        if options.list:
            return steps.list_points(target, real_files.behind(sources, console), console)
        return restore(target, settings, sources, report, options, console)


def restore(target, settings, sources, report, options, console) -> int:
    """Rebuild every file beside its destination, and swap them only when all of them have been checked."""
    places = destinations(sources, options.to, console)
    with target.transaction("REPEATABLE READ READ ONLY"):
        states = report.available_states(target, places, options.at)
        if options.table:
            states = report.with_table(states, options.table)
        if not options.to and not options.dry_run and not options.accept_moved:
            refuse_other_bots(target, settings, states, places)
        report.plan(target, states, places)
        if options.dry_run or options.table:
            with rebuild.all_rebuilt(target, states, places, settings, console) as files:
                report.differences(files, sources, options.table)
                if options.table and (options.dry_run or agreed(options, console)):
                    report.brought(rebuild.with_table(files, sources, options.table))
                    if not options.dry_run:
                        report.put_in_place(files, states, places)
            return report.close()
        if not states or not agreed(options, console):
            return report.close()
        with rebuild.all_rebuilt(target, states, places, settings, console) as files:
            report.put_in_place(files, states, places)
    if not options.to:
        report.note(target, settings)
    return report.close()


def refuse_other_bots(target, settings, states, places) -> None:
    """A bot whose database is here must not get another one's; a new machine, where there is none, is given what there is."""
    for name in states:
        if places[name].exists():
            ours = origin.of(settings.sources[name], previous.read(settings.snapshot_of(name, target.settings.number)))
            _, last = runs.find_source(target, name)
            origin.refuse_other(name, ours, last, "python3 restore.py --accept-moved")


def restore_local(settings, sources, report, options, console) -> int:
    """Put the previous snapshots in place: they are on this machine, and need no network."""
    places = destinations(sources, options.to, console)
    found = report.available_snapshots(settings, places, options.target)
    if not found or options.dry_run or not agreed(options, console):
        return report.close()
    with rebuild.all_copied(found, places) as files:
        report.put_in_place(files, found, places)
    return report.close()


def put_back_replaced(sources, report, options, console) -> int:
    """Exchange each file with the one that the last restore replaced."""
    places = destinations(sources, None, console)
    found = report.available_copies(places, options.undo)
    if not found or options.dry_run or not agreed(options, console):
        return report.close()
    report.exchange(found, places)
    return report.close()


def destinations(sources, folder, console) -> dict[str, Path]:
    if folder:
        sources = {name: Path(folder).expanduser() / path.name for name, path in sources.items()}
    return real_files.behind(sources, console)


def agreed(options, console) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise SettingsError("nobody is here to answer.", "python3 restore.py --yes", "The files were not touched.")
    return script.ask("Replace the files?")


def flags() -> script.Parser:
    parser = script.Parser(__doc__)
    for flag in ("--yes", "--list", "--dry-run", "--local", "--drill", "--accept-moved"):
        parser.add_argument(flag, action="store_true")
    for flag in ("--database", "--to", "--at", "--table"):
        parser.add_argument(flag)
    parser.add_argument("--undo", nargs="?", const="")
    parser.add_argument("--target", type=int)
    return parser


if __name__ == "__main__":
    script.run(main, flags())
