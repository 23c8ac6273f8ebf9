"""What the flags of restore.py ask for."""

import shlex
from argparse import Namespace
from dataclasses import dataclass

from lib.base.words import moment


@dataclass(frozen=True)
class RestoreOptions:
    """The flags of restore.py, as its help describes them; text that was not given is empty, `target` None for the best one.

    `undo_file` names the safety copy to put back, where it is not the last one; `kept_for` says why a run is kept.
    """

    yes: bool = False
    list: bool = False
    dry_run: bool = False
    local: bool = False
    drill: bool = False
    undo: bool = False
    accept_moved: bool = False
    database: str = ""
    to: str = ""
    at: str = ""
    since: str = ""
    last: int | None = None
    keep: str = ""
    kept_for: str = ""
    release: str = ""
    table: str = ""
    undo_file: str = ""
    target: int | None = None
    env_file: str | None = None
    json: bool = False
    quiet: bool = False

    @classmethod
    def of(cls, flags: Namespace) -> "RestoreOptions":
        """Return what was written on the command line."""
        given = {name: value for name, value in vars(flags).items() if name in cls.__dataclass_fields__}
        keep, kept_for = flags.keep or ("", "")
        return cls(**given | {"undo": flags.undo is not None, "undo_file": flags.undo or "", "keep": keep, "kept_for": kept_for})

    @property
    def replaces_the_bots_files(self) -> bool:
        """Whether the files that the bot uses are replaced, not written elsewhere or not at all."""
        return not (self.to or self.dry_run)

    @property
    def run(self) -> int | None:
        """Return the run that is named; None where it is a time, or nothing. Raise SettingsError where it is neither."""
        named = self.at or self.keep or self.release
        return moment(named)[0] if named else None

    def undoing(self, source: str) -> str:
        """Return the command that undoes this restore of a source."""
        where = ["--to", self.to] if self.to else []
        return shlex.join(["python3", "restore.py", "--undo", "--database", source, *where])
