"""Who else can get at what we keep: nobody, and this checks it."""

from typing import NamedTuple

from lib.base.errors import Problem, typed
from lib.postgres.link.connection import Target

SHOWN = 10
CLOSE = (
    "python3 setup_supabase.py  closes that again (as the user postgres); what goes through another role needs  REVOKE that role"
)
VERIFIED = {"verify-full": "server verified", "verify-ca": "certificate verified, host name not"}


class Server(NamedTuple):
    """What a server says of itself and of the user that we are."""

    version: str
    version_number: int
    encoding: str
    is_read_only: bool
    may_create: bool
    may_make_temporary: bool
    bytes: int
    user: str


def describe(target: Target) -> Server:
    """Return what the server says of itself."""
    return Server(*target.statement("describe_server")[0])


def refuse_exposure(openings: list[str], source: str) -> None:
    """Raise Problem where others can get at what is kept: more of it should not be put there."""
    if openings:
        raise Problem(
            as_sentence(openings),
            f"{CLOSE}\n     if it is meant to be so, run  python3 backup.py {typed(source)} --accept-exposure",
        )


def as_sentence(openings: list[str]) -> str:
    """Return ways in for others as one sentence; the first few are named."""
    more = f"; and {len(openings) - SHOWN} more" if len(openings) > SHOWN else ""
    return f"others can get in: {'; '.join(openings[:SHOWN])}{more}."


def openings(target: Target, schemas: list[str]) -> list[str]:
    """Return every way in for anon, authenticated, service_role or PUBLIC, each as a sentence; none is right."""
    return [opening for (opening,) in target.statement("exposure", {"schemas": schemas})]


def tls(target: Target) -> str:
    """Return the negotiated TLS version and whether the server was verified."""
    info = target.connection.info
    if not info.ssl_in_use:
        return "no TLS (this machine)" if target.settings.is_local else "no TLS"
    return f"{info.ssl_attribute('protocol')}, {VERIFIED.get(target.settings.sslmode, 'server not verified')}"
