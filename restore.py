#!/usr/bin/env python3
"""Rebuild the bot's SQLite databases from Supabase, check every row, and only then put them in place.

usage: python3 restore.py [flags]

  python3 restore.py                    show the plan and ask
  python3 restore.py --yes              do not ask: for the emergency
  python3 restore.py --database premium_system --yes
                                        one database only
  python3 restore.py --to /tmp/look     into another folder; the bot's files stay as they are
  python3 restore.py --list             show what can be restored
  python3 restore.py --dry-run          show the plan; write nothing

Stop the bot first. The file that is replaced is kept as NAME.before-restore-<UTC time>.

flags:
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
from lib import cli, config, log, rebuild
from lib.errors import SettingsError
from lib.postgres.connection import Target
from lib.reporting import restoring


def main(options, console) -> int:
    settings = config.load(options.env_file)
    sources = config.chosen(settings, [options.database] if options.database else [])
    log.open_file(settings.log)
    with Target(settings.targets[0], settings.schema) as target:
        if options.list:
            return restoring.list_states(target, sources, console)
        return restore(target, destinations(sources, options.to), options, console)


def restore(target, places, options, console) -> int:
    """Rebuild every file beside its destination, and swap them only when all of them have been checked."""
    report = restoring.Report(target, console)
    with target.transaction("REPEATABLE READ READ ONLY"):
        states = report.available_states(places)
        if not states:
            return report.close()
        report.plan(states, places)
        if options.dry_run or not agreed(options, console):
            return report.nothing_done()
        with rebuild.all_rebuilt(target, states, places, console) as files:
            for name, built in files.items():
                with report.failures_reported():
                    report.replaced(states[name], places[name], rebuild.put_in_place(built, places[name]), built.missing)
    return report.close()


def destinations(sources, folder) -> dict[str, Path]:
    if not folder:
        return sources
    return {name: Path(folder).expanduser() / path.name for name, path in sources.items()}


def agreed(options, console) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise SettingsError("nobody is here to answer.", "python3 restore.py --yes", "The files were not touched.")
    return cli.ask("Replace the files with the rebuilt ones?")


def flags() -> cli.Parser:
    parser = cli.Parser(__doc__)
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--database")
    parser.add_argument("--to")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    return parser


if __name__ == "__main__":
    cli.run(main, flags())
