"""The targets among the settings: from a connection string or its parts, each with TLS that verifies the server if it can."""

import ipaddress
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from lib.base import redact
from lib.settings import paths, url_options

PARTS = ("HOST", "PORT", "NAME", "USER", "PASSWORD", "SSLMODE", "SSLROOTCERT")
SAMPLE = re.compile(r"YOUR[_-]|\[YOUR|<[a-z-]+>", re.IGNORECASE)
SAFE_SSLMODES = ("require", "verify-ca", "verify-full")
SSLMODES = ("disable", "allow", "prefer", *SAFE_SSLMODES)
CHANNEL_BINDINGS = ("disable", "prefer", "require")
CERTIFICATE = "prod-ca-2021.crt"
# A name, an address or a socket's folder: no list, which libpq would try one by one, and no connection string.
HOST = re.compile(r"/[^,\s]*|[^/,@\s\\]+")
# As ORMs write it, too: postgresql+psycopg2://. A password may hold anything, hence the first @ that the rest can follow.
URL = re.compile(
    r"(?i:postgres(?:ql)?(?:\+\w+)?)://(?:(?P<user>[^:@/]*)(?::(?P<password>.*?))?@)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:/?\[\]@]*)(?::(?P<port>\d+))?(?:/(?P<name>[^?/@]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)


# Session and transaction mode, and the way past the pooler, lead to one database.
SUPABASE, POOLER = re.compile(r"db\.([a-z0-9]+)\.supabase\.(?:co|com)"), ".pooler.supabase.com"


@dataclass(frozen=True)
class TargetSettings:
    """How to reach one Postgres database, one of `count`; `repr` never shows the password."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    sslmode: str
    sslrootcert: str
    number: int = 1
    channel_binding: str = ""
    count: int = 1

    @property
    def setting(self) -> str:
        """Return the name of the setting that holds its connection string."""
        return "SUPABASE_DB_URL" if self.number == 1 else f"SUPABASE_DB_URL_{self.number}"

    @property
    def place(self) -> str:
        """Return where something was, or was not, changed; which target that is, `named` says."""
        return "in Supabase" if self.count == 1 else "there"

    def named(self, text: str) -> str:
        """Return what is told of this target, with its number where there are several."""
        return text if self.count == 1 else f"target {self.number}: {text}"

    @property
    def database(self) -> tuple[str, ...]:
        """Return which database this is, as far as that can be read from the way there."""
        host = "this machine" if self.is_local else self.host.lower().rstrip(".")
        project = self.user.partition(".")[2]
        if direct := SUPABASE.fullmatch(host):
            return direct[1], self.name
        if host.endswith(POOLER) and project:
            return project, self.name
        return host, str(self.port), self.name, project

    @property
    def label(self) -> str:
        """Return the host, and the number of a further target."""
        return self.host if self.number == 1 else f"{self.host} (target {self.number})"

    @property
    def is_local(self) -> bool:
        return is_local(self.host)

    def with_source(self, source: str) -> str:
        """Return what a source on this target is called where both matter."""
        return f"{source} → {self.label}"


def read(values: dict[str, str], folder: Path, problems: list[str], notes: list[str]) -> list[TargetSettings]:
    """Return the targets; problems are collected, and notes of what was understood otherwise than it is written."""
    urls = sorted(
        (int(name.removeprefix("SUPABASE_DB_URL").lstrip("_") or 1), name)
        for name in values
        if re.fullmatch(r"SUPABASE_DB_URL(_\d+)?", name)
    )
    parts = [f"SUPABASE_DB_{part}" for part in PARTS[:5] if f"SUPABASE_DB_{part}" in values]
    if parts and any(number == 1 for number, _ in urls):
        problems.append(f"SUPABASE_DB_URL and {', '.join(parts)} both say where the target is; keep one of them.")
    targets = [_from_url(values, name, number, folder, problems, notes) for number, name in urls]
    if not any(number == 1 for number, _ in urls):
        targets.insert(0, _from_parts(values, folder, problems))
    found = [target for target in targets if target]
    problems += _twins(urls, found)
    return [replace(target, count=len(found)) for target in found]


def _twins(urls: list[tuple[int, str]], targets: list[TargetSettings]) -> list[str]:
    """Return what is wrong where two settings are the same target, or the same database."""
    names = {number: name for number, name in reversed(urls)}
    pairs = [(names[number], name, number) for number, name in urls if names[number] != name]
    twice = [f"{one} and {other} are both target {number}; give each its own number." for one, other, number in pairs]
    first = {target.database: target for target in reversed(targets)}
    same = [
        f"SUPABASE_DB_URL_{target.number} is the database of target {first[target.database].number}: two backups there are one."
        for target in targets
        if first[target.database].number != target.number
    ]
    return twice + same


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
    parts = {part: values.get(f"SUPABASE_DB_{part}", "") for part in PARTS}
    return _target("SUPABASE_DB_", parts, values, 1, folder, problems)


def _from_url(
    values: dict[str, str], name: str, number: int, folder: Path, problems: list[str], notes: list[str]
) -> TargetSettings | None:
    match = URL.fullmatch(values[name])
    if "@" in values[name]:  # whatever else it is, this may be the password
        redact.remember(values[name].rpartition("@")[0].partition("://")[2].partition(":")[2])
    if not match or not match["host"] or not match["user"] or not match["password"]:
        problems.append(f"{name} is not of the form postgresql://USER:PASSWORD@HOST:5432/postgres.")
        return None
    redact.remember(unquote(match["password"]))
    if "@" in (match["query"] or ""):
        problems.append(f"{name} has an @ behind the ?, or a ? in the password: write %40 for the one, %3F for the other.")
        return None
    parts = dict.fromkeys(PARTS, "") | {part: unquote(match[part.lower()] or "") for part in PARTS[:5]}
    parts["HOST"] = parts["HOST"].strip("[]")
    parts = url_options.read(name, parts, match["query"] or "", problems, notes)
    return _target(name, parts, values, number, folder, problems)


def _target(
    name: str, parts: dict[str, str], values: dict[str, str], number: int, folder: Path, problems: list[str]
) -> TargetSettings:
    redact.remember(parts["PASSWORD"])
    sample = {name + part if name.endswith("_") else name for part in ("HOST", "USER", "PASSWORD") if SAMPLE.search(parts[part])}
    problems += [f"{setting} still holds the sample's text; put your project's value there." for setting in sorted(sample)]
    if not HOST.fullmatch(parts["HOST"]):
        problems.append(f"{name}{'HOST' if name.endswith('_') else ''}: the host is not one name or address.")
    port = parts["PORT"] or "5432"
    if not is_port(port):
        problems.append(f"{name}: the port {port!r} is not a number from 1 to 65535.")
        port = "5432"
    sslmode, sslrootcert = _tls(name, parts, values, folder, problems)
    return TargetSettings(
        parts["HOST"],
        int(port),
        parts["NAME"] or "postgres",
        parts["USER"],
        parts["PASSWORD"],
        sslmode,
        sslrootcert,
        number,
        _channel_binding(name, parts, problems),
    )


def _channel_binding(name: str, parts: dict[str, str], problems: list[str]) -> str:
    wanted = parts.get("CHANNEL_BINDING", "")
    if wanted not in ("", *CHANNEL_BINDINGS):
        problems.append(f"{name}: channel_binding {wanted!r} is none of {', '.join(CHANNEL_BINDINGS)}.")
    return wanted


def _tls(name: str, parts: dict[str, str], values: dict[str, str], folder: Path, problems: list[str]) -> tuple[str, str]:
    """Return (sslmode, sslrootcert): `verify-full` where a certificate is at hand; no password over an open network."""
    mode = parts["SSLMODE"] or values.get("SUPABASE_DB_SSLMODE", "")
    certificate = parts["SSLROOTCERT"] or values.get("SUPABASE_DB_SSLROOTCERT", "")
    local = is_local(parts["HOST"])
    if not certificate and not local and os.path.exists(folder / CERTIFICATE):
        certificate = CERTIFICATE
    if certificate and certificate != "system":
        certificate = str(paths.expanded(certificate, folder))
        if not Path(certificate).is_file():
            problems.append(f"SUPABASE_DB_SSLROOTCERT: there is no file {certificate}.")
    if mode and mode not in SSLMODES:
        problems.append(f"{name}: sslmode {mode!r} is none of {', '.join(SSLMODES)}.")
    elif mode and mode not in SAFE_SSLMODES and not local:
        problems.append(f"{name}: sslmode {mode!r} would let others read the password; use require or verify-full.")
    if mode.startswith("verify") and not certificate:
        problems.append(f"{name}: sslmode {mode} needs the server's certificate: set SUPABASE_DB_SSLROOTCERT.")
    return mode or ("verify-full" if certificate else "prefer" if local else "require"), certificate


def is_port(text: str) -> bool:
    """Whether it is a number from 1 to 65535."""
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def is_local(host: str) -> bool:
    """Loopback and Unix sockets: nothing leaves the machine."""
    try:
        return host == "localhost" or host.startswith("/") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unverified(targets: list[TargetSettings]) -> list[str]:
    """Return a warning for each target whose server could be anybody."""
    return [
        f"{target.host} is not verified: somebody in between could pose as it. Download its certificate (dashboard, Database, "
        f"Settings, SSL) and save it beside .env as {CERTIFICATE}."
        for target in targets
        if not target.is_local and not target.sslmode.startswith("verify")
    ]
