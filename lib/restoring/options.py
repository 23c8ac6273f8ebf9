"""What the flags of restore.py ask for."""

from argparse import Namespace
from dataclasses import dataclass


@dataclass(frozen=True)
class RestoreOptions:
    """The flags of restore.py, as its help describes them; text that was not given is empty, `target` None for the best one.

    `undo_file` names the safety copy to put back, where it is not the last one.
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
    table: str = ""
    undo_file: str = ""
    target: int | None = None
    env_file: str | None = None

    @classmethod
    def of(cls, flags: Namespace) -> "RestoreOptions":
        """Return what was written on the command line."""
        given = {name: value for name, value in vars(flags).items() if name in cls.__dataclass_fields__}
        return cls(**given | {"undo": flags.undo is not None, "undo_file": flags.undo or ""})

    @property
    def replaces_the_bots_files(self) -> bool:
        """Whether the files that the bot uses are replaced, not written elsewhere or not at all."""
        return not (self.to or self.dry_run)

    @property
    def replaces_whole_files(self) -> bool:
        """Whether databases are put in place as they were, not one table, and not none."""
        return not (self.table or self.dry_run)
