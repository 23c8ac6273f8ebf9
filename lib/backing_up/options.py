"""What the flags of backup.py ask for."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class BackupOptions:
    """The flags of backup.py, as its help describes them; what was not given is False or None."""

    source: Sequence[str] = ()
    env_file: str | None = None
    demo: bool = False
    status: bool = False
    max_age: str | None = None
    report: str | None = None
    fleet: bool = False
    prove: bool = False
    dry_run: bool = False
    verify: bool = False
    every: str | None = None
    live: str | None = None
    edits: bool = False
    undo_edits: str | None = None
    full: bool = False
    accept_shrink: bool = False
    accept_exposure: bool = False
    accept_moved: bool = False

    @classmethod
    def of(cls, flags: Namespace) -> "BackupOptions":
        """Return what was written on the command line."""
        return cls(**{field.name: getattr(flags, field.name) for field in fields(cls)})
