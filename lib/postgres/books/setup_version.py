"""Which version of sql/setup a target has: it stands in the comment of the bookkeeping's schema."""

from lib.base.errors import Outdated, Problem
from lib.postgres.link.connection import Target

# To be raised whenever a file in sql/setup/ changes what the scripts rely on. 1 had no number in its comment.
VERSION = 10


def comment(schema: str) -> str:
    """Return the comment on the bookkeeping's schema: whose it is, and its version."""
    return f"{_first_comment(schema)}, version {VERSION}"


def installed(target: Target) -> int | None:
    """Return the version that the target has; None where the schema is missing or somebody else's."""
    rows = target.statement("schema_owner", {"schemas": [target.schema]})
    first = _first_comment(target.schema)
    if not rows or not rows[0][1].startswith(first):
        return None
    number = rows[0][1].partition(";")[0].removeprefix(first).removeprefix(", version ")
    return int(number) if number.isdigit() else 1


def refuse_newer(target: Target) -> int | None:
    """Return the target's version; raise Problem where newer scripts have set it up: these may break it."""
    version = installed(target)
    if version and version > VERSION:
        raise Outdated(
            f"{target.host} was set up by a newer Hybrid backup (version {version} of sql/setup; these scripts know {VERSION}).",
            "use the newer scripts here, too:  git pull",
        )
    return version


def refuse_other(target: Target) -> int | None:
    """Return the target's version, None where it has none; raise Problem where it is another one than these scripts'."""
    version = refuse_newer(target)
    if version and version < VERSION:
        raise Problem(
            f"{target.host} was set up by an older Hybrid backup (version {version} of sql/setup; these scripts need {VERSION}).",
            "python3 setup_supabase.py",
        )
    return version


def _first_comment(schema: str) -> str:
    return f"Hybrid backup: bookkeeping, BACKUP_SCHEMA {schema}"
