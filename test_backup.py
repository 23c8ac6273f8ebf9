#!/usr/bin/env python3
"""Before going live: try everything that a backup and a restore need, on your own target, and leave nothing behind.

usage: python3 test_backup.py [flags]

  python3 test_backup.py                use .env; without settings, an embedded Postgres and sample databases
  python3 test_backup.py --send-alert   send a test through every alert channel that is set, and nothing else

The round trip works in schemas called backup_test_… and in a temporary folder. Your mirrors and your SQLite files are
only read.

flags:
  --env-file PATH   settings from this file instead of .env beside the scripts
  --json            one JSON object on stdout, for machines
  --quiet           print failures only
  --verbose, --version, --help

exit status:
  0  saved        all tests passed
  1  failed       a check failed; the line says what to do
  2  usage        a flag or a setting is wrong
"""

import contextlib

import lib.start  # noqa: F401  first of ours: it hops into .venv
from backup import back_up_all
from lib.base import leftovers, log, script
from lib.postgres.setup import installation
from lib.settings import config
from lib.trying import checks, demo, embedded_postgres, sample_bot, trial


def main(options, console) -> int:
    found = checks.Checks(console)
    if options.send_alert:
        checks.channels(found, config.load(options.env_file).channels)
        return finished(found, console)
    with contextlib.ExitStack() as stack:
        settings = usable_settings(found, options, stack, console)
        # On the disk that has the snapshots: the system's temporary files may be in memory.
        folder = stack.enter_context(leftovers.within(settings.snapshots, "hybrid-backup", trial.SUFFIX))
        log.open_file(folder / "test.log")
        for target_settings in settings.targets:
            check_target(found, settings, target_settings, folder / str(target_settings.number))
    return finished(found, console)


def usable_settings(found, options, stack, console):
    """Load the settings; where there are none at all, start an embedded Postgres and make sample databases."""
    if not options.env_file and not config.is_anything_set():
        console.say("No settings yet: this is a try on an embedded PostgreSQL with sample databases.")
        folder = stack.enter_context(leftovers.temporary("hybrid-backup", trial.SUFFIX))
        server = stack.enter_context(embedded_postgres.running())
        sample_bot.make(folder / "sqlite_data")
        settings = config.load(str(demo.write_env(folder, server.url)))
    else:
        settings = config.load(options.env_file)
    with found.step("Settings") as tell:
        tell(f"{len(settings.sources)} databases, {len(settings.targets)} target, BACKUP_SCHEMA {settings.schema}")
        for warning in settings.warnings + settings.notes:
            tell(warning)
    checks.driver(found)
    return settings


def check_target(found, settings, target_settings, folder) -> None:
    folder.mkdir()
    scratch = trial.scratch_settings(settings, target_settings, folder)
    target = checks.connect(found, target_settings, scratch.schema)
    if not target:
        return
    with target, trial.scratch_schemas(target, scratch):
        checks.rights(found, target)
        checks.sources(found, settings, scratch.snapshots)
        if not found.failures:
            round_trip(found, target, settings, scratch)


def round_trip(found, target, settings, scratch) -> None:
    with found.step("Scratch copy") as tell:
        for name in trial.remove_scratch(target, []):
            tell(f"{name}, which a killed trial had left, was removed")
        tell(trial.copy_sources(settings, scratch))
        trial.set_up_scratch(target, scratch)
    with found.step("Back up") as tell:
        tell(f"{run_backup(scratch).rows:,} rows, compared one by one")
    with found.step("Back up again") as tell:
        run_backup(scratch).expect_changes(0)
        tell("nothing changed")
    with found.step("Change and back up") as tell:
        changed = sum(sample_bot.delete_last_rows(path) for path in scratch.sources.values())
        run_backup(scratch).expect_deleted(changed)
        tell(f"{changed} rows deleted, and they are gone from the mirror")
    with found.step("Restore") as tell:
        tell(f"{trial.restore_and_compare(target, scratch):,} rows, identical to the databases")
    checks.exposure(found, target, installation.schemas(scratch))


def run_backup(scratch):
    return trial.Outcome(back_up_all(scratch, scratch.sources, trial.OPTIONS, trial.silent()))


def finished(found, console) -> int:
    if not found.failures:
        console.say("\n🎉 All Tests Passed!")
    return found.finish()


def flags() -> script.Parser:
    parser = script.Parser(__doc__)
    parser.add_argument("--send-alert", action="store_true")
    return parser


if __name__ == "__main__":
    script.run(main, flags())
