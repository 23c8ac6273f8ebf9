"""The settings: from the environment, then from .env beside the scripts; every problem is reported at once."""

import functools
import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lib.base import causes, owners
from lib.base.errors import SettingsError, typed
from lib.settings import accepted, channels, dotenv, limits, paths, retention, targets
from lib.settings.accepted import NONE, Accepted
from lib.settings.channels import Channels
from lib.settings.retention import Retention
from lib.settings.targets import TargetSettings
from lib.start import REPOSITORY

DEFAULTS = {
    "SQLITE_DATABASES": "sqlite_data/premium_system.db,sqlite_data/user_requests.db",
    "BACKUP_SCHEMA": "backup",
    **retention.DEFAULTS,
    "BACKUP_MAX_SHRINK": "50",
    "BACKUP_CHECK": "full",
    "BACKUP_MAX_DATABASE_MB": "500",
    "BACKUP_MAX_SCHEMA_MB": "0",
    "BACKUP_LOG": "supabase_backup.log",
}
SHOWN_LINES = 3
# In place of a check's name.
UNCHECKED = "unchecked"
MEGABYTE = 1_000_000
OURS = re.compile(r"BACKUP_|SUPABASE_DB_")
KNOWN = re.compile(
    rf"SUPABASE_DB_URL(_\d+)?|SUPABASE_DB_({'|'.join(targets.PARTS)})|{'|'.join(DEFAULTS)}|{retention.DAILY}|{accepted.NAME}"
)


@dataclass(frozen=True)
class Settings:
    """All settings; `sources` are {name: the file's path}, `folder` is that of the settings file. No limit in MB is 0."""

    targets: list[TargetSettings]
    sources: dict[str, Path]
    schema: str
    retention: Retention
    max_shrink: int
    check: str
    log: Path
    folder: Path
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    max_database_mb: int = 500
    max_schema_mb: int = 0
    channels: Channels = field(default_factory=Channels)
    file: str = ".env"
    is_live: bool = False
    accepted: Accepted = NONE

    @property
    def first_check(self) -> str:
        """Return which check a copy gets from the start: that of a live batch is left to the next ordinary run."""
        return UNCHECKED if self.is_live else self.check

    def accepts_edits(self, target: int) -> bool:
        """Whether edits made on a target, given its number, may come back: there can be only one such target."""
        return bool(self.accepted.items) and target == 1

    @property
    def max_database_bytes(self) -> int:
        """Return what the plan allows; no limit is 0."""
        return self.max_database_mb * MEGABYTE

    @property
    def max_schema_bytes(self) -> int:
        """Return what the operator allows this bot's own schemas; no limit is 0."""
        return self.max_schema_mb * MEGABYTE

    @property
    def snapshots(self) -> Path:
        """Return the folder of what is noted for the next run."""
        return self.folder / owners.SNAPSHOTS

    def snapshot_of(self, source: str, target: int = 1) -> Path:
        """Return where the previous snapshot of a source for a target is kept; several settings files may share the folder."""
        return self.record(source, f"{'' if target == 1 else f'.target-{target}'}.db")

    def snapshots_of(self, source: str) -> list[Path]:
        """Return where those may be that are kept of a source for any target, also for one that had another number."""
        others = self.record(glob.escape(source), ".target-*.db.json").name
        return [self.snapshot_of(source), *(path.with_suffix("") for path in self.snapshots.glob(others))]

    @functools.cached_property  # a live process asks each second
    def noted_runs(self) -> Path:
        """Return where this machine notes its own runs."""
        return self.record("runs", ".jsonl")

    def record(self, name: str, suffix: str) -> Path:
        """Return where something is noted for the next run."""
        return self.snapshots / f"{name}{'' if self.file == '.env' else f'.{self.file}'}{suffix}"


class WrongSettings(SettingsError):
    """Some settings are wrong; `settings` are what could be read: whom to tell is among them, as a rule."""

    def __init__(self, settings: Settings, what: str, remedy: str):
        super().__init__(what, remedy, "Nothing was read or written.")
        self.settings = settings


def is_anything_set() -> bool:
    """Whether there is a .env, or a target in the environment."""
    return (REPOSITORY / ".env").exists() or any(name.startswith("SUPABASE_DB_") for name in os.environ)


def in_environment() -> list[str]:
    """Return the names of the settings that the environment holds: what starts by itself does not get them."""
    return sorted(name for name in os.environ if KNOWN.fullmatch(name) or name in channels.NAMES)


def chosen(settings: Settings, names: list[str]) -> dict[str, Path]:
    """Return the sources that the command line names, or all."""
    meant = {name: paths.called(name, settings.sources) for name in names}
    for name in meant:
        if not meant[name]:
            known = ", ".join(settings.sources)
            path = paths.expanded(name, Path())
            if why := "is a folder, not a database" if path.is_dir() else paths.why_none(name):
                raise SettingsError(f"{name!r} {why}.", f"name one of {known}, or none for all")
            gone = f"{name} does not exist, and " if os.sep in name and not os.path.exists(path) else ""
            add = f"add its path to SQLITE_DATABASES in {settings.file}, then run  python3 setup_supabase.py"
            remedy = add if path.is_file() else f"name one of {known}, or none for all"
            raise SettingsError(f"{gone}there is no source {name}; SQLITE_DATABASES has {known}.", remedy)
    return {name: settings.sources[name] for name in meant.values() or settings.sources}


def chosen_targets(settings: Settings, number: int | None) -> list[TargetSettings]:
    """Return the target that the command line names, or all."""
    if named := [target for target in settings.targets if number in (None, target.number)]:
        return named
    known = ", ".join(str(target.number) for target in settings.targets)
    raise SettingsError(f"there is no target {number}.", f"name one of {known}, or leave --target out")


def file_of(env_file: str | None) -> Path:
    """Return where the settings are, or should be."""
    return Path.cwd() / paths.typed("--env-file", env_file) if env_file else REPOSITORY / ".env"


def load(env_file: str | None = None) -> Settings:
    """Read and check every setting; raise one WrongSettings that names all that is wrong.

    An alert channel that cannot be used is a warning: it must not stop a backup.
    """
    path, problems = file_of(env_file), [*limits.problems]
    in_file = _file_values(path, problems, bool(env_file))
    unread = problems[:] if in_file is None else []
    settings = _read(in_file or {}, path, problems)
    if unread:  # what else is wrong is only a consequence
        raise WrongSettings(settings, _as_list(unread, path), _remedy_unread(path))
    if problems:
        raise WrongSettings(settings, _as_list([*problems, *settings.channels.wrong], path), _remedy(path, problems))
    return settings


def _read(in_file: dict[str, str], path: Path, problems: list[str]) -> Settings:
    values = DEFAULTS | in_file | dict(os.environ)
    values = {name: value.strip() for name, value in values.items() if value.strip() or name in DEFAULTS}
    problems += _unknown_names(values)
    # A note, which is not in each of cron's mails.
    notes = owners.changeable_by_others(dict.fromkeys((REPOSITORY, REPOSITORY / "lib", REPOSITORY / ".venv", path.parent, path)))
    postgres, told = targets.read(values, path.parent, problems, notes), channels.read(values)
    sources = paths.databases(values["SQLITE_DATABASES"], path.parent, problems)
    return Settings(
        targets=postgres,
        sources=sources,
        schema=_schema(values, problems),
        retention=retention.read(values, problems),
        max_shrink=_number(values, "BACKUP_MAX_SHRINK", range(101), problems),
        check=_choice(values, "BACKUP_CHECK", ("full", "quick"), problems),
        log=paths.log(values["BACKUP_LOG"], path, list(sources.values()), problems),
        folder=path.parent,
        warnings=[*_open_to_others(path), *targets.unverified(postgres), *told.wrong],
        max_database_mb=_number(values, "BACKUP_MAX_DATABASE_MB", range(10**7), problems),
        max_schema_mb=_number(values, "BACKUP_MAX_SCHEMA_MB", range(10**7), problems),
        channels=told,
        file=path.name,
        notes=notes,
        accepted=accepted.read(values, problems),
    )


def _file_values(path: Path, problems: list[str], is_required: bool) -> dict[str, str] | None:
    """Return what the file says; None where it is there and cannot be read."""
    if closed := owners.closed((path.parent, path)):
        problems.append(f"this user cannot read {closed}.")
        return None
    if not path.exists():
        if is_required:
            problems.append(f"{path} does not exist.")
        return {}
    if not path.is_file() and not path.is_dir():  # whoever reads a pipe waits for ever
        problems.append(f"{path} is not a file.")
        return None
    try:
        values, malformed = dotenv.read(path)
    except dotenv.NoText:
        problems.append(f"{path} is no text: is it the file with the settings?")
        return None
    except UnicodeDecodeError as error:
        problems.append(f"{path} cannot be read: {causes.said_by(error)}.")
        values, malformed = dotenv.parse(path.read_text(encoding="utf-8", errors="replace"))  # whom to tell may be among them
    except OSError as error:
        problems.append(f"{path} cannot be read: {causes.said_by(error)}.")
        return None
    problems += _no_settings(path.name, malformed)
    too_late = sorted(name for name in values if re.fullmatch(limits.NAME.format(".*"), name))
    problems += [f"{name} belongs into the environment, not into {path.name}: it is read before any file." for name in too_late]
    return values


def _no_settings(file: str, lines: list[int]) -> list[str]:
    said = [f"{file} line {number} is not NAME=value." for number in lines[:SHOWN_LINES]]
    more = len(lines) - len(said)
    return [*said, f"{file} has {more} more such lines: is it the file with the settings?"] if more else said


def _unknown_names(values: Iterable[str]) -> list[str]:
    unknown = sorted(name for name in values if OURS.match(name) and not KNOWN.fullmatch(name))
    return [f"{name} is not a setting of Hybrid backup; is it misspelt?" for name in unknown]


def _schema(values: dict[str, str], problems: list[str]) -> str:
    schema = values["BACKUP_SCHEMA"]
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,29}", schema) or schema in ("public", "information_schema") or schema[:3] == "pg_":
        problems.append(f"BACKUP_SCHEMA {schema!r}: use 1 to 30 of a-z, 0-9 and _, not public, nothing of Postgres' own.")
    return schema


def _number(values: dict[str, str], name: str, allowed: range, problems: list[str]) -> int:
    value = values[name]
    if value.isascii() and value.isdigit() and int(value) in allowed:
        return int(value)
    problems.append(f"{name} {value!r} is not a whole number from {allowed.start} to {allowed.stop - 1}.")
    return allowed.start


def _choice(values: dict[str, str], name: str, allowed: tuple[str, ...], problems: list[str]) -> str:
    if values[name] not in allowed:
        problems.append(f"{name} {values[name]!r} is none of {', '.join(allowed)}.")
    return values[name]


def _open_to_others(path: Path) -> list[str]:
    if os.name == "posix" and os.path.exists(path) and path.stat().st_mode & 0o077:
        return [f"{path} can be read by other users of this machine: chmod 600 {typed(path)}"]
    return []


def _as_list(problems: list[str], path: Path) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} settings need attention ({path}):" + "".join(f"\n- {problem}" for problem in problems)


def _remedy_unread(path: Path) -> str:
    closed = owners.closed((path.parent, path))
    if not closed:
        return f"see what it is, or name another one with --env-file:  ls -ld {typed(path)}"
    return owners.to_read(closed)


def _remedy(path: Path, problems: list[str]) -> str:
    """Return where to mend it: what the environment says goes before the file, and is not mended there."""
    outside = {name for name in os.environ for problem in problems if re.match(rf"{re.escape(name)}\b", problem)}
    said = f"correct in the environment, which goes before {path.name}: {', '.join(sorted(outside))}" if outside else ""
    if outside and all(re.split(r"\W", problem)[0] in outside for problem in problems):
        return said
    if path.exists():
        mend = f"edit {path}; every setting is explained in {REPOSITORY / '.env.example'}"
    else:
        mend = f"cp {typed(REPOSITORY / '.env.example')} {typed(path)} && chmod 600 {typed(path)}, then fill in its first lines"
    return f"{mend}\n     {said}" if said else mend
