#!/usr/bin/env python3
"""Before going live: try everything that a backup and a restore need, on your own
target, and leave nothing behind.

usage: python3 test_backup.py [flags]

  python3 test_backup.py            use .env; without settings, an embedded
                                    Postgres and sample databases
  python3 test_backup.py --send-alert
                                    send a test through every alert channel that
                                    is set, and nothing else

The round trip works in schemas called backup_test_… and in a temporary folder.
Your mirrors and your SQLite files are only read.

flags:
  --env-file PATH    settings from this file instead of .env beside the scripts
  --json             one JSON object on stdout, for machines
  --quiet            print failures only
  --verbose, --version, --help

exit status:
  0  saved        all tests passed
  1  failed       a check failed; the line says what to do
  2  usage        a flag or a setting is wrong
"""

import contextlib
import sys
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # python3 -P and -I leave it out
import lib.start  # noqa: F401  first of ours: it hops into .venv
from backup import back_up_all
from lib.base import leftovers, log, script, together
from lib.postgres.link.connection import Target
from lib.postgres.setup import installation
from lib.settings import config
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.trying import checks, demo, embedded_postgres, sample_bot, trial
from lib.trying.checks import Checks


def main(flags: Namespace, console: script.Console) -> int:
    checked = Checks(console)
    if flags.send_alert:
        checks.channels(checked, config.load(flags.env_file).channels)
        return finished(checked)
    with contextlib.ExitStack() as stack:
        settings = usable_settings(checked, flags.env_file, stack)
        # On the disk that has the snapshots: the system's temporary files may be in memory.
        folder = stack.enter_context(leftovers.within(settings.snapshots, "hybrid-backup", trial.SUFFIX))
        log.open_file(folder / "test.log")
        checks.files(checked, settings)
        for target_settings in [] if checked.failures else settings.targets:
            check_target(checked, settings, target_settings, folder / str(target_settings.number))
    return finished(checked)


def usable_settings(checked: Checks, env_file: str | None, stack: contextlib.ExitStack) -> Settings:
    """Load the settings; where there are none at all, start an embedded Postgres and make sample databases."""
    if not env_file and not config.is_anything_set():
        checked.console.say("No settings yet: this is a try on an embedded PostgreSQL with sample databases.")
        folder = stack.enter_context(leftovers.temporary("hybrid-backup", trial.SUFFIX))
        server = stack.enter_context(embedded_postgres.running())
        sample_bot.make(folder / "sqlite_data")
        settings = config.load(str(demo.write_env(folder, server.url)))
    else:
        settings = config.load(env_file)
    with checked.step("Settings") as tell:
        tell(f"{len(settings.sources)} databases, {len(settings.targets)} target, BACKUP_SCHEMA {settings.schema}")
        for warning in settings.warnings + settings.notes:
            tell(warning)
    checks.driver(checked)
    return settings


def check_target(checked: Checks, settings: Settings, target_settings: TargetSettings, folder: Path) -> None:
    """Check one target, in schemas and a folder of its own."""
    checked.begin()
    folder.mkdir()
    scratch = trial.scratch_settings(settings, target_settings, folder)
    target = checks.connect(checked, target_settings, scratch.schema)
    if not target:
        return
    with target, trial.scratch_schemas(target, scratch):
        checks.rights(checked, target)
        checks.abilities(checked, target)
        checks.sources(checked, settings, scratch.snapshots)
        if checked.is_sound:
            round_trip(checked, target, settings, scratch)


def round_trip(checked: Checks, target: Target, settings: Settings, scratch: Settings) -> None:
    """Back up, change, back up again, restore and compare."""
    with checked.step("Scratch copy") as tell:
        for name in trial.remove_scratch(target, []):
            tell(f"{name}, which a killed trial had left, was removed")
        tell(trial.copy_sources(settings, scratch))
        trial.set_up_scratch(target, scratch)
    with checked.step("Back up") as tell:
        tell(f"{run_backup(scratch).rows:,} rows, compared one by one")
    with checked.step("Back up again") as tell:
        run_backup(scratch).expect_changes(0)
        tell("nothing changed")
    with checked.step("Change and back up") as tell:
        changed = sum(sample_bot.delete_last_rows(path) for path in scratch.sources.values())
        run_backup(scratch).expect_deleted(changed)
        tell(f"{changed} rows deleted, and they are gone from the mirror")
    with checked.step("Restore") as tell:
        tell(f"{trial.restore_and_compare(target, scratch):,} rows, identical to the databases")
    checks.exposure(checked, target, installation.schemas(scratch))


def run_backup(scratch: Settings) -> trial.Outcome:
    """Back up the scratch sources; raise the first Problem."""
    return trial.Outcome(back_up_all(scratch, scratch.sources, trial.OPTIONS, trial.silent()))


def finished(checked: Checks) -> int:
    if not checked.failures:
        checked.console.say("\n🎉 All Tests Passed!")
    return checked.finish()


def flags() -> script.Parser:
    parser = script.Parser(__doc__, together.TRIAL)
    parser.add_argument("--send-alert", action="store_true")
    return parser


if __name__ == "__main__":
    script.run(main, flags())
