"""The errors that an operator reads: what happened, what was not touched, what to do."""

import shlex
from collections.abc import Iterable

UNTOUCHED = "The SQLite files were not touched."


def typed(what: object) -> str:
    """Return a path or a name as a shell reads it, for a command that is shown."""
    return shlex.quote(str(what))


class Problem(Exception):
    """Something failed (exit status 1).

    `what` names the thing, `untouched` says what was left as it was, `remedy` is what to type or to do.
    """

    status = 1

    def __init__(self, what: str, remedy: str = "", untouched: str = ""):
        super().__init__(what)
        self.what, self.remedy, self.untouched = what, remedy, untouched

    @property
    def text(self) -> str:
        """Return the problem as the operator reads it: `Error:`, what was not touched, `Try:`."""
        return "\n".join(filter(None, (f"Error: {self.what}", self.untouched, self.remedy and f"Try: {self.remedy}")))


class SettingsError(Problem):
    """Wrong usage or settings (exit status 2)."""

    status = 2


class SourceError(Problem):
    """One source cannot be read; the others go on."""


class HeldUp(SourceError):
    """Another program keeps the source locked."""


class ConnectionRefused(Problem):
    """The target refuses us; trying again would not help, and may do harm."""


class Unreachable(Problem):
    """Nothing answers at the target's address: a mistake in the settings, or, where it has answered before, an outage."""


class MayPass(Problem):
    """The connection was cut, or the target is full or starting up: trying again may help."""


class Outdated(Problem):
    """Newer scripts have been at work: these can do nothing any more."""


class OtherCounts(Problem):
    """The mirrors do not have as many rows as the last run has left; `labels` are those tables'."""

    def __init__(self, what: str, labels: Iterable[str]):
        super().__init__(what)
        self.labels = frozenset(labels)


class Locked(Problem):
    """Somebody else is at work on the source."""


class Interrupted(BaseException):
    """A signal asked us to stop; like KeyboardInterrupt, no `except Exception` holds it up."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number
