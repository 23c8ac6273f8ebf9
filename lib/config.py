"""The settings: from the environment, then from .env beside the scripts; every problem is reported at once."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from lib import dotenv, redact
from lib.errors import SettingsError
from lib.start import REPOSITORY

DEFAULTS = {
    "SQLITE_DATABASES": "sqlite_data/premium_system.db,sqlite_data/user_requests.db",
    "BACKUP_SCHEMA": "backup",
    "BACKUP_KEEP_DAYS": "30",
    "BACKUP_MAX_SHRINK": "50",
    "BACKUP_CHECK": "full",
    "BACKUP_LOG": "supabase_backup.log",
}
PARTS = ("HOST", "PORT", "NAME", "USER", "PASSWORD", "SSLMODE", "SSLROOTCERT")
OURS = re.compile(r"BACKUP_|SUPABASE_DB_")
KNOWN = re.compile(rf"SUPABASE_DB_URL(_\d+)?|SUPABASE_DB_({'|'.join(PARTS)})|{'|'.join(DEFAULTS)}")
SAMPLE = re.compile(r"YOUR[_-]|\[YOUR|<[a-z-]+>", re.IGNORECASE)
SAFE_SSLMODES = ("require", "verify-ca", "verify-full")
SSLMODES = ("disable", "allow", "prefer", *SAFE_SSLMODES)
CERTIFICATE = "prod-ca-2021.crt"
URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:/?\[\]@]*)(?::(?P<port>\d+))?(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class TargetSettings:
    """How to reach one Postgres database; `repr` never shows the password."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    sslmode: str
    sslrootcert: str
    number: int = 1

    @property
    def is_local(self) -> bool:
        return is_local(self.host)

    @property
    def is_verified(self) -> bool:
        return self.sslmode == "verify-full"


@dataclass(frozen=True)
class Settings:
    targets: list[TargetSettings]
    sources: dict[str, Path]
    schema: str
    keep_days: int
    max_shrink: int
    check: str
    log: Path
    folder: Path
    warnings: list[str] = field(default_factory=list)

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    def snapshot_of(self, source: str, target: int = 1) -> Path:
        """Return where the previous snapshot of a source for a target is kept."""
        return self.snapshots / (f"{source}.db" if target == 1 else f"{source}.target-{target}.db")


def is_anything_set() -> bool:
    """Whether there is a .env, or a target in the environment."""
    return (REPOSITORY / ".env").exists() or any(name.startswith("SUPABASE_DB_") for name in os.environ)


def chosen(settings: Settings, names: list[str]) -> dict[str, Path]:
    """Return the sources that the command line names, or all."""
    for name in names:
        if name not in settings.sources:
            known = ", ".join(settings.sources)
            raise SettingsError(
                f"there is no source {name}; SQLITE_DATABASES has {known}.", f"name one of {known}, or none for all"
            )
    return {name: settings.sources[name] for name in names or settings.sources}


def chosen_target(settings: Settings, number: int) -> TargetSettings:
    for target in settings.targets:
        if target.number == number:
            return target
    raise SettingsError(f"there is no target {number}.", f"set SUPABASE_DB_URL_{number}, or leave --target out")


def is_local(host: str) -> bool:
    """Loopback and Unix sockets: nothing leaves the machine."""
    return host in ("localhost", "::1") or host.startswith(("127.", "/"))


def load(env_file: str | None = None) -> Settings:
    """Read and check every setting; raise one SettingsError that names all that is wrong."""
    path = Path(env_file).expanduser().absolute() if env_file else REPOSITORY / ".env"
    problems: list[str] = []
    values = DEFAULTS | _file_values(path, problems, bool(env_file)) | dict(os.environ)
    values = {name: value.strip() for name, value in values.items() if value.strip() or name in DEFAULTS}
    problems += _unknown_names(values)
    settings = Settings(
        targets=_targets(values, path.parent, problems),
        sources=_sources(values, path.parent, problems),
        schema=_schema(values, problems),
        keep_days=_number(values, "BACKUP_KEEP_DAYS", range(1, 36501), problems),
        max_shrink=_number(values, "BACKUP_MAX_SHRINK", range(101), problems),
        check=_choice(values, "BACKUP_CHECK", ("full", "quick"), problems),
        log=path.parent / values["BACKUP_LOG"],
        folder=path.parent,
        warnings=_readable_by_others(path),
    )
    if problems:
        raise SettingsError(_as_list(problems, path), _remedy(path), "Nothing was read or written.")
    return settings


def _file_values(path: Path, problems: list[str], is_required: bool) -> dict[str, str]:
    if not path.exists():
        if is_required:
            problems.append(f"{path} does not exist.")
        return {}
    try:
        values, malformed = dotenv.read(path)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read: {error}.")
        return {}
    problems += [f"{path.name} line {number} is not NAME=value." for number in malformed]
    return values


def _unknown_names(values: Iterable[str]) -> list[str]:
    unknown = sorted(name for name in values if OURS.match(name) and not KNOWN.fullmatch(name))
    return [f"{name} is not a setting of Hybrid backup; is it misspelt?" for name in unknown]


def _targets(values: dict[str, str], folder: Path, problems: list[str]) -> list[TargetSettings]:
    urls = sorted(
        (int(name.removeprefix("SUPABASE_DB_URL").lstrip("_") or 1), name)
        for name in values
        if re.fullmatch(r"SUPABASE_DB_URL(_\d+)?", name)
    )
    parts = [f"SUPABASE_DB_{part}" for part in PARTS[:5] if f"SUPABASE_DB_{part}" in values]
    if parts and any(number == 1 for number, _ in urls):
        problems.append(f"SUPABASE_DB_URL and {', '.join(parts)} both say where the target is; keep one of them.")
    targets = [_from_url(values, name, number, folder, problems) for number, name in urls]
    if not any(number == 1 for number, _ in urls):
        targets.insert(0, _from_parts(values, folder, problems))
    return [target for target in targets if target]


def _from_parts(values: dict[str, str], folder: Path, problems: list[str]) -> TargetSettings | None:
    required = [f"SUPABASE_DB_{part}" for part in ("HOST", "USER", "PASSWORD")]
    missing = [name for name in required if name not in values]
    if missing == required:
        problems.append(
            "SUPABASE_DB_URL is not set: the connection string of your Supabase project\n"
            "  (or SUPABASE_DB_HOST, SUPABASE_DB_USER and SUPABASE_DB_PASSWORD)."
        )
    else:
        problems += [f"{name} is not set." for name in missing]
    if missing:
        return None
    found = {part: values.get(f"SUPABASE_DB_{part}", "") for part in PARTS}
    return _target("SUPABASE_DB_", found, values, 1, folder, problems)


def _from_url(values: dict, name: str, number: int, folder: Path, problems: list[str]) -> TargetSettings | None:
    match = URL.fullmatch(values[name])
    if not match or not match["host"] or not match["user"] or not match["password"]:
        if match and match["password"]:
            redact.remember(match["password"])
        problems.append(f"{name} is not of the form postgresql://USER:PASSWORD@HOST:5432/postgres.")
        return None
    query = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
    odd = sorted(set(query) - {"sslmode", "sslrootcert"})
    problems += [f"{name} has the option {option!r}; only sslmode and sslrootcert are known." for option in odd]
    found = {part: unquote(match[part.lower()] or "") for part in PARTS[:5]}
    found["HOST"] = found["HOST"].strip("[]")
    found |= {part: query.get(part.lower(), "") for part in PARTS[5:]}
    return _target(name, found, values, number, folder, problems)


def _target(name: str, found: dict, values: dict, number: int, folder: Path, problems: list[str]) -> TargetSettings:
    redact.remember(found["PASSWORD"])
    problems += [
        f"{name}{part if name.endswith('_') else ''} still holds the sample's text; put your project's value there."
        for part in ("HOST", "USER", "PASSWORD")
        if SAMPLE.search(found[part])
    ]
    port = found["PORT"] or "5432"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        problems.append(f"{name}: the port {port!r} is not a number from 1 to 65535.")
        port = "5432"
    sslmode, sslrootcert = _tls(name, found, values, folder, problems)
    return TargetSettings(
        found["HOST"],
        int(port),
        found["NAME"] or "postgres",
        found["USER"],
        found["PASSWORD"],
        sslmode,
        sslrootcert,
        number,
    )


def _tls(name: str, found: dict, values: dict, folder: Path, problems: list[str]) -> tuple[str, str]:
    """Choose `verify-full` where a certificate is at hand; refuse to send a password over an open network."""
    mode = found["SSLMODE"] or values.get("SUPABASE_DB_SSLMODE", "")
    certificate = found["SSLROOTCERT"] or values.get("SUPABASE_DB_SSLROOTCERT", "")
    local = is_local(found["HOST"])
    if not certificate and (folder / CERTIFICATE).exists():
        certificate = CERTIFICATE
    if certificate and certificate != "system":
        certificate = str(folder / certificate)
        if not Path(certificate).is_file():
            problems.append(f"SUPABASE_DB_SSLROOTCERT: there is no file {certificate}.")
    if mode and mode not in SSLMODES:
        problems.append(f"{name}: sslmode {mode!r} is none of {', '.join(SSLMODES)}.")
    elif mode and mode not in SAFE_SSLMODES and not local:
        problems.append(f"{name}: sslmode {mode!r} would let others read the password; use require or verify-full.")
    if mode.startswith("verify") and not certificate:
        problems.append(f"{name}: sslmode {mode} needs the server's certificate: set SUPABASE_DB_SSLROOTCERT.")
    return mode or _default_sslmode(certificate, local), certificate


def _default_sslmode(certificate: str, local: bool) -> str:
    if local:
        return "prefer"
    return "verify-full" if certificate else "require"


def _sources(values: dict[str, str], folder: Path, problems: list[str]) -> dict[str, Path]:
    paths = [folder / Path(part.strip()).expanduser() for part in values["SQLITE_DATABASES"].split(",") if part.strip()]
    if not paths:
        problems.append("SQLITE_DATABASES names no file.")
    sources: dict[str, Path] = {}
    for path in paths:
        if path.stem.lower() in map(str.lower, sources):
            problems.append(f"SQLITE_DATABASES names two sources called {path.stem}; rename one of the files.")
        sources[path.stem] = path
    return sources


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


def _readable_by_others(path: Path) -> list[str]:
    if os.name == "posix" and path.exists() and path.stat().st_mode & 0o077:
        return [f"{path} can be read by other users of this machine: chmod 600 {path}"]
    return []


def _as_list(problems: list[str], path: Path) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} settings need attention ({path}):" + "".join(f"\n- {problem}" for problem in problems)


def _remedy(path: Path) -> str:
    if path.exists():
        return f"edit {path}; every setting is explained in {REPOSITORY / '.env.example'}"
    return f"cp {REPOSITORY / '.env.example'} {path} && chmod 600 {path}, then fill in its first lines"
