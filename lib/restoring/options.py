"""What the flags of restore.py ask for."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from lib.base.leaving import absolute
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
    find: str = ""
    history: str = ""
    where: Sequence[str] = ()
    csv: str = ""
    export: str = ""
    format: str = ""
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
        return cls(
            **given
            | {
                "where": flags.where or (),
                "undo": flags.undo is not None,
                "undo_file": flags.undo or "",
                "keep": keep,
                "kept_for": kept_for,
            }
        )

    @property
    def replaces_the_bots_files(self) -> bool:
        """Whether the files that the bot uses are replaced, not written elsewhere or not at all."""
        return not (self.to or self.dry_run)

    @property
    def run(self) -> int | None:
        """Return the run that is named; None where it is a time, or nothing. Raise SettingsError where it is neither."""
        named = self.at or self.keep or self.release
        return moment(named)[0] if named else None

    @property
    def of_rows(self) -> str:
        """Return the table of which single rows are asked for."""
        return self.find or self.history

    @property
    def locally(self) -> str:
        """Return the command that does the same without the network; nothing where the snapshots are not enough for it."""
        return "" if self.at or self.table or self.of_rows or self.export else "python3 restore.py --local"

    @property
    def asked(self) -> dict[str, str]:
        """Return what every command that follows must ask for as well: flag → value, which is empty where it has none."""
        flags = {"--local": self.local, "--undo": self.undo, "--accept-moved": self.accept_moved}
        values = {"--undo": self.undo_file, "--database": self.database, "--at": self.at, "--table": self.table}
        values |= {"--target": str(self.target or ""), "--to": str(absolute(self.to)) if self.to else ""}
        asked = {flag: "" for flag, is_given in flags.items() if is_given}
        return asked | {flag: value for flag, value in values.items() if value}
