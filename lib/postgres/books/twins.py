"""Two targets that are one database, reached in two ways: they would be one backup that looks like two."""

from lib.base.errors import Problem
from lib.postgres.link.connection import Target
from lib.settings.targets import TargetSettings


class Seen(dict[str, TargetSettings]):
    """The targets that were asked before, by their database."""


def refuse(target: Target, seen: Seen) -> None:
    """Raise Problem where a target is the database of another one of those that were `seen`; note it among them."""
    if target.settings.count > 1:
        ((database,),) = target.statement("which_database")
        other = seen.setdefault(database, target.settings)
        if other.number != target.settings.number:
            raise Problem(
                f"it is the database of target {other.number} ({other.host}), reached in another way: two backups there are one.",
                f"take SUPABASE_DB_URL_{target.settings.number} out of .env, or give it the URL of another project",
            )
