#!/usr/bin/env python3
"""First install: check everything, create what the backup needs in Supabase, close
it to others, make the first backup.

usage: python3 setup_supabase.py [flags]

  python3 setup_supabase.py         check, create or upgrade, secure, first
                                    backup; run it again at any time
  python3 setup_supabase.py --check
                                    check only; change nothing
  python3 setup_supabase.py --ddl PATH.db
                                    print the sql/tables/ file for another
                                    database
  python3 setup_supabase.py --writer-role
                                    also make a role that can back up but cannot
                                    destroy history, and show its password
  python3 setup_supabase.py --editor-role
                                    also make a role that can change in Supabase
                                    what BACKUP_ACCEPT_EDITS names and nothing
                                    else, and show its password
  python3 setup_supabase.py --viewer-role
                                    also make a role that sees how every bot on
                                    this target is doing (backup.py --fleet) and
                                    no row of any, and show its password
  python3 setup_supabase.py --watch https://hooks.example/key
                                    let Supabase itself look every 15 minutes
                                    whether backups come, and each night whether
                                    the mirrors are as they were left, and post
                                    what is wrong there; --watch off ends that
  python3 setup_supabase.py --schedule cron --install
                                    back up every six hours, check and drill:
                                    puts lines into the user's crontab, or
                                    replaces them; --remove takes them out;
                                    neither: prints them
  python3 setup_supabase.py --schedule systemd | sudo sh
                                    the same with systemd: prints what writes
                                    the units; --remove: what removes them
  python3 setup_supabase.py --schedule systemd --live | sudo sh
                                    and live backups beside it, by a process
                                    that is always there (with cron as well)

flags:
  --env-file PATH    settings from this file instead of .env beside the scripts
  --json             one JSON object on stdout, for machines
  --quiet            print failures only
  --verbose, --version, --help

exit status:
  0  saved        everything is in place, and the first backup is in Supabase
  1  failed       a check failed; it says what to do, then run this again
  2  usage        a flag or a setting is wrong
  3  incomplete   a target or a database failed, and the others are set up and
                  backed up: read the lines with a ❌ and those on stderr
"""

import sys
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # python3 -P and -I leave it out
import lib.start  # noqa: F401  first of ours: it hops into .venv
from backup import back_up
from lib.backing_up import crontab, timetable
from lib.backing_up.options import BackupOptions
from lib.backing_up.timetable import Deployment
from lib.base import log, script, together
from lib.base.errors import Problem, SettingsError
from lib.postgres.books import origin
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import ddl
from lib.postgres.setup import analytics, installation
from lib.settings import accepted, channels, config, paths
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.files import not_there
from lib.sqlite.snapshots import previous
from lib.sqlite.snapshots import snapshot as snapshots
from lib.tables.mirror_names import VIEWER, editor_name, writer_name
from lib.trying import checks
from lib.trying.checks import Checks

OFF = "off"


@dataclass(frozen=True)
class Options:
    """What was asked for besides checking: a change in Supabase, roles."""

    may_change: bool
    makes_writer: bool
    makes_editor: bool
    makes_viewer: bool
    watch: str | None


def main(flags: Namespace, console: script.Console) -> int:
    if flags.ddl:
        return print_ddl(paths.typed("--ddl", flags.ddl), console)
    if flags.remove:
        return set_schedule(Deployment.at(config.file_of(flags.env_file)), flags, console)
    if flags.watch not in (None, OFF):
        channels.refuse_url("--watch", flags.watch)
    settings = config.load(flags.env_file)
    if flags.schedule:
        return set_schedule(replace(Deployment.of(settings), is_live=flags.live), flags, console)
    settings.warnings.extend(log.open_file(settings.log))
    for warning in settings.warnings + settings.notes:
        console.warn(warning)
    checked = Checks(console)
    options = Options(not flags.check, flags.writer_role, flags.editor_role, flags.viewer_role, flags.watch)
    there = checks.files(checked, settings)
    targets = settings.targets if there.sources else []
    is_sound = any([set_up(checked, there, target_settings, options) for target_settings in targets])
    if flags.check or not is_sound:
        return checked.finish()
    console.say("The first backup:")
    console.is_watched = True
    console.besides = checked.told | {"outcome": "incomplete"} if checked.failures else {}
    status = back_up(settings, settings.sources, BackupOptions(), console)  # also of what is not sound: it is told to all
    return script.INCOMPLETE if checked.failures else status


def print_ddl(path: Path, console: script.Console) -> int:
    """Print the mirrors that setup would make for a database."""
    with not_there.typed(path):
        written = ddl.for_file(path)
    console.say(written)
    console.result({"outcome": "saved", "ddl": written})
    return script.SAVED


def set_schedule(deployment: Deployment, flags: Namespace, console: script.Console) -> int:
    """Print the schedule of this folder, or put it into the user's crontab, or take it out."""
    if (names := config.in_environment()) and not flags.remove:
        console.warn(f"neither cron nor systemd hands on the environment: write into .env {', '.join(names)}")
    if flags.schedule == "systemd":
        if flags.install:
            raise SettingsError(
                "systemd's units are root's to install.", "python3 setup_supabase.py --schedule systemd | sudo sh"
            )
        said = timetable.systemd_remove(deployment) if flags.remove else timetable.systemd_install(deployment)
    elif flags.install:
        crontab.install(deployment)
        if crontab.has_by_hand(deployment):
            console.warn("the crontab has other lines, too, that back this up: take them out with  crontab -e")
        said = f"✅ in the crontab of {deployment.user}:\n{timetable.cron_lines(deployment)}"
    elif flags.remove:
        was_there = crontab.remove(deployment)
        said = f"✅ {'removed from' if was_there else 'nothing of it was in'} the crontab of {deployment.user}"
    else:
        said = timetable.cron_lines(deployment)
    console.say(said.rstrip("\n"))
    console.result({"outcome": "saved", "schedule": flags.schedule, "text": said})
    return script.SAVED


def set_up(checked: Checks, settings: Settings, target_settings: TargetSettings, options: Options) -> bool:
    """Check one target; unless only checking, create what is missing and close it to others; return whether it is sound."""
    checked.begin()
    target = checks.connect(checked, target_settings, settings.schema)
    if not target:
        return False
    with target:
        checks.rights(checked, target)
        checks.sources(checked, settings, settings.snapshots)
        if checked.is_sound:
            checks.room(checked, settings)
        if checked.is_sound and options.may_change:
            create(checked, target, settings)
        if checked.is_sound and options.makes_writer:
            create_writer(checked, target, settings)
        if checked.is_sound and options.makes_editor and target_settings.number == 1:
            create_editor(checked, target, settings)
        if checked.is_sound and options.makes_viewer:
            create_viewer(checked, target)
        if checked.is_sound and options.watch:
            set_watch(checked, target, options.watch)
        if checked.is_sound:
            checks.installed(checked, target)
        if checked.is_sound and not options.may_change:
            checks.fits(checked, target, settings)
        if checked.is_sound:
            checks.exposure(checked, target, installation.schemas(settings))
    return checked.is_sound


def create(checked: Checks, target: Target, settings: Settings) -> None:
    """Create or upgrade the bookkeeping, the mirrors of every source and the views."""
    with checked.step(f"Bookkeeping in the schema {settings.schema}"), target.transaction():
        installation.install(target)
        installation.retire(target, settings)
    for name, path in settings.sources.items():
        with (
            checked.step(f"Mirrors of {name}") as tell,
            snapshots.taken(path, settings.snapshots, settings.check) as snapshot,
            target.transaction(),
        ):
            noted = previous.read(settings.snapshot_of(name, target.settings.number))
            installation.refuse_other_bot(target, name, origin.of(settings, name, noted))
            tell(installation.install_source(target, name, snapshot))
    if checked.is_sound:
        with checked.step("Analytics views") as tell:
            tell(analytics.install(target, settings))
    if checked.is_sound and settings.accepted.items and target.settings.number == 1:
        with checked.step("Edits that come back") as tell, target.transaction():
            installation.let_edit(target, settings)
            tell(f"{', '.join(settings.accepted.items)}: who can write these in Supabase writes into the bot's database")
    elif checked.is_sound:
        installation.let_edit(target, settings)


def create_writer(checked: Checks, target: Target, settings: Settings) -> None:
    """Make the role for everyday use, and show its password this once."""
    name, setting = writer_name(target.schema), target.settings.setting
    with checked.step("Writer role") as tell, target.transaction():
        password = installation.create_writer(target, settings)
        tell(f"{name} can back up and restore, and cannot remove history")
    if checked.is_sound:
        show_password(checked, target, name, password, f"Put this user and password into {setting} in .env")


def create_editor(checked: Checks, target: Target, settings: Settings) -> None:
    """Make the role for people who edit, and show its password this once."""
    name = editor_name(target.schema)
    with checked.step("Editor role") as tell, target.transaction():
        password = installation.create_editor(target, settings)
        tell(f"{name} can change what {accepted.NAME} names, and nothing else")
    if checked.is_sound:
        show_password(checked, target, name, password, "Let people who edit connect with this user and password")


def create_viewer(checked: Checks, target: Target) -> None:
    """Make the role for whoever watches over all bots, and show its password this once."""
    with checked.step("Viewer role") as tell, target.transaction():
        password, unseen = installation.create_viewer(target)
        tell(f"{VIEWER} sees how every deployment of this user's is doing, and no row of any")
        if unseen:
            tell(f"but not yet {', '.join(unseen)}: run setup there, or let their owner do it")
    if checked.is_sound:
        said = f"Put this user and password into {target.settings.setting} in the .env of whoever calls backup.py --fleet"
        show_password(checked, target, VIEWER, password, said)


def set_watch(checked: Checks, target: Target, url: str) -> None:
    """Switch the watch on the server on or off."""
    with checked.step("Watch on the server") as tell:
        if lacking := installation.lacks_for_watch(target):
            raise Problem(
                f"the watch needs {' and '.join(lacking)}.",
                "switch them on in the dashboard, Database, Extensions; or, as the user postgres in the SQL editor:  "
                + " ".join(f"CREATE EXTENSION {name};" for name in lacking),
            )
        with target.transaction():
            installation.set_watch(target, None if url == OFF else url)
        tell("off" if url == OFF else "every 15 minutes; what is wrong is posted once a day")


def show_password(checked: Checks, target: Target, role: str, password: str, what_to_do: str) -> None:
    """Show who connects how; behind a pooler the user's name has the project."""
    user = ".".join([role, *target.settings.user.split(".")[1:]])
    checked.console.say(f"     {what_to_do}; they are not shown again:\n     {user}:{password}")


def flags() -> script.Parser:
    parser = script.Parser(__doc__, together.SETUP)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--ddl", metavar="PATH.db")
    parser.add_argument("--writer-role", action="store_true")
    parser.add_argument("--editor-role", action="store_true")
    parser.add_argument("--viewer-role", action="store_true")
    parser.add_argument("--watch", metavar="URL")
    parser.add_argument("--schedule", choices=("cron", "systemd"))
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--remove", action="store_true")
    return parser


if __name__ == "__main__":
    script.run(main, flags())
