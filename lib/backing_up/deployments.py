"""How every deployment on the targets is doing, whosever it is: asked from Postgres alone, in one message a target."""

from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from lib.backing_up import health as healths
from lib.backing_up.health import Answered
from lib.base.errors import Problem
from lib.postgres.books import setup_version, twins
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import statement
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

# What a block in Postgres puts in the place of a schema's name.
SCHEMA, SCHEMA_NAME = sql.SQL("%1$I"), sql.SQL("%1$L")
NOT_ASKED = {"runs": [], "restore_points": {"count": 0, "oldest": None, "kept": 0, "at": None}, "edits": {}}
VIEWER = "as the user who owns it, or as the viewer:  python3 setup_supabase.py --viewer-role"


@dataclass(frozen=True)
class Deployment:
    """The books in one schema of one target, or why nothing is known of them.

    `bytes` is what its own schemas take, `warnings` how many there were at the last runs, `machines` where these were made.
    """

    target: TargetSettings
    schema: str
    version: int = 0
    bytes: int = 0
    warnings: int = 0
    machines: tuple[str, ...] = ()
    sources: tuple[Answered, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True)
class Fleet:
    """What one target has: its deployments by name, and the size of its whole database; a problem where it cannot be asked."""

    target: TargetSettings
    deployments: tuple[Deployment, ...] = ()
    database_bytes: int = 0
    problem: Problem | None = None


def of_all(settings: Settings) -> list[Fleet]:
    """Ask every target; one that does not answer does not stop the others."""
    seen = twins.Seen()
    return [_of_target(settings, target, seen) for target in settings.targets]


def _of_target(settings: Settings, target_settings: TargetSettings, seen: twins.Seen) -> Fleet:
    try:
        with Target(target_settings, settings.schema) as target:
            twins.refuse(target, seen)
            found, size = ask(target)
    except Problem as problem:
        return Fleet(target_settings, problem=problem)
    return Fleet(target_settings, tuple(_deployment(target_settings, one, size) for one in found), size)


def ask(target: Target) -> tuple[list[dict[str, Any]], int]:
    """Return what every deployment in the target's database tells, and the size of the database in bytes; one round trip."""
    told = statement("deployment_health", schema=SCHEMA, schema_name=SCHEMA_NAME, health=healths.expression(SCHEMA))
    query = sql.Literal(told.as_string(target.connection))
    ((found, size),) = target.statement("fleet", deployments=statement("deployments"), deployment_health=query)
    return found, size


def _deployment(target: TargetSettings, told: dict[str, Any], database_bytes: int) -> Deployment:
    schema, version = told["schema"], told["version"]
    if "error" in told:
        return Deployment(target, schema, version, problem=_problem(told["error"], version))
    sources = told["sources"]
    machines = dict.fromkeys(source["machine"] for source in sources if source["machine"])
    known = tuple(_answered(target, f"{schema}.{source['source']}", source["health"], database_bytes) for source in sources)
    warnings = sum(source["warnings"] or 0 for source in sources)
    return Deployment(target, schema, version, told["bytes"], warnings, tuple(machines), known)


def _problem(error: str, version: int) -> Problem:
    if version < setup_version.VERSION:
        return Problem(f"it was set up by an older Hybrid backup: {error}.", "python3 setup_supabase.py")
    return Problem(f"its books cannot be read: {error}.", VIEWER)


def _answered(target: TargetSettings, name: str, told: Any, database_bytes: int) -> Answered:
    """Return how a source is doing, by what its target alone knows."""
    is_failing = healths.number_of(told["last_failure"]) > healths.number_of(told["last_success"])
    return Answered(name, target, told | NOT_ASKED | {"database_bytes": database_bytes}, [], is_failing, "")
