"""What the command line says of a backup."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BackupOptions:
    """The flags of backup.py, each under its own name; what is not named was not given."""

    source: Sequence[str] = ()
    env_file: str | None = None
    demo: bool = False
    status: bool = False
    max_age: str | None = None
    report: str | None = None
    dry_run: bool = False
    verify: bool = False
    every: str | None = None
    full: bool = False
    accept_shrink: bool = False
    accept_exposure: bool = False
    accept_moved: bool = False
