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
from lib.tables.mirror_names import VIEWER

# What is not asked of a fleet.
NOT_ASKED = {"runs": [], "restore_points": {"count": 0, "oldest": None, "kept": 0, "at": None}, "edits": {}}
VIEWER_ROLE = "look as the user who owns it, or as the viewer:  python3 setup_supabase.py --viewer-role"
LOCKED = "55P03"
# What is raised where an answer is of another shape.
ODD = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
SET_UP = "python3 setup_supabase.py"


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

    @property
    def label(self) -> str:
        """Return its name, with the target's where there are several."""
        return self.schema if self.target.count == 1 else f"{self.schema} → {self.target.label}"


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
            found, sizes, size = ask(target)
    except Problem as problem:
        return Fleet(target_settings, problem=problem)
    return Fleet(target_settings, tuple(_deployment(target_settings, one, sizes, size) for one in found), size)


def ask(target: Target) -> tuple[list[dict[str, Any]], dict[str, int], int]:
    """Return what every deployment tells, the bytes of each schema of ours, and those of the database; one round trip."""
    viewer = sql.Literal(VIEWER)
    ((found, sizes, size),) = target.statement("fleet", deployments=statement("deployments", viewer=viewer))
    return found, sizes, size


def _deployment(target: TargetSettings, told: dict[str, Any], sizes: dict[str, int], database_bytes: int) -> Deployment:
    schema, version = told["schema"], int(told["version"].rpartition(" ")[2])
    if problem := _problem(told, version):
        return Deployment(target, schema, version, problem=problem)
    try:
        return _read(target, schema, version, told["told"], sizes, database_bytes)
    except ODD as error:
        return Deployment(target, schema, version, problem=unreadable(error))


def unreadable(error: Exception) -> Problem:
    """Return what is said of a deployment that tells what nobody can reckon with."""
    return Problem(f"its books hold what cannot be reckoned with: {error}.", VIEWER_ROLE)


def _read(
    target: TargetSettings, schema: str, version: int, told: dict[str, Any], sizes: dict[str, int], database_bytes: int
) -> Deployment:
    if not told["all"]:
        return Deployment(target, schema, version, problem=Problem("no database was ever set up in it.", f"there:  {SET_UP}"))
    sources, own_bytes = told["sources"], sum(sizes.get(name, 0) for name in {schema, *told["schemas"]})
    machines = dict.fromkeys(" ".join(source["machine"].split()) for source in sources if source["machine"])
    known = tuple(_answered(target, f"{schema}.{source['source']}", source["health"], database_bytes) for source in sources)
    warnings = sum(source["warnings"] or 0 for source in sources)
    return Deployment(target, schema, version, own_bytes, warnings, tuple(machines), known)


def _problem(told: dict[str, Any], version: int) -> Problem | None:
    """Return why nothing is known of a deployment."""
    if told["shows"] is None and version < setup_version.VERSION:
        return Problem("it was set up by an older Hybrid backup, which does not tell.", f"there:  git pull && {SET_UP}")
    if told["shows"] is None:
        return Problem("what shows how it is doing is gone.", f"there:  {SET_UP}")
    if not told["is_trusted"]:
        return Problem(f"it belongs to {told['owner']}, whose code is not run as this user.", VIEWER_ROLE)
    if told.get("code") == LOCKED:
        return Problem("somebody has locked its books.", "ask again when that has ended")
    if "error" in told:
        return Problem(f"its books cannot be read: {told['error']}.", VIEWER_ROLE)
    return None


def _answered(target: TargetSettings, name: str, told: Any, database_bytes: int) -> Answered:
    """Return how a source is doing, by what its target alone knows."""
    is_failing = healths.number_of(told["last_failure"]) > healths.number_of(told["last_success"])
    return Answered(name, target, told | NOT_ASKED | {"database_bytes": database_bytes}, [], is_failing, "")
