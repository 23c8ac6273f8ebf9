"""A snapshot: a copy of a source that SQLite checks, and that is kept until the next run is saved."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lib.base import owners, private_file
from lib.base.errors import Locked, MayPass, Problem
from lib.sqlite.files import lock
from lib.sqlite.files import read_schema as schemas
from lib.sqlite.files.opening import open_read_only
from lib.sqlite.lines import read_lines
from lib.sqlite.snapshots import copying, previous
from lib.sqlite.snapshots.copying import Copy, explained
from lib.sqlite.snapshots.previous import Note
from lib.tables.plan import TablePlan
from lib.tables.schema import Schema, Table


@dataclass
class Snapshot:
    """A copy of a source, open read only; `is_doubtful` is whether so many pages differ that it may be another database."""

    copy: Copy
    connection: sqlite3.Connection
    schema: Schema
    counted: dict[str, int] = field(default_factory=dict)
    is_doubtful: bool = False

    def rows(self, table: TablePlan | Table) -> int:
        """Return how many rows a table has; SQLite walks through all of it, so it is asked once."""
        if table.name not in self.counted:
            self.counted[table.name] = read_lines.rows(self.connection, table)
        return self.counted[table.name]

    @property
    def used_bytes(self) -> int:
        """Return the bytes of the pages that hold something: what was inserted and deleted again leaves free ones."""
        used = "(page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        return int(self.connection.execute(f"SELECT {used}").fetchone()[0])

    def keep_as(self, place: Path, about: Note) -> list[str]:
        """Make this copy the previous snapshot, in one step, with what is told `about` it as a note beside it. Return warnings.

        The note comes first: a note without its file is worth nothing, a file without its note would be taken for another one.
        """
        self.connection.close()
        note: Note = {"hash": self.copy.hash, "check": self.copy.check, "journal_mode": self.copy.journal_mode, **about}
        warnings = self.copy.previous.damage(self.copy.source.stem)
        try:
            warnings += [*private_file.set_folder_aside(previous.note_of(place)), *private_file.set_folder_aside(place)]
            private_file.write(previous.note_of(place), json.dumps(note))
            if self.copy.hash == self.copy.previous.hash:
                os.utime(place)  # the same bytes need not be written again
            else:
                owners.give(self.copy.path, place.parent)
                os.replace(self.copy.path, place)
                previous.remember(place, self.copy.hash)
        except OSError as error:  # the run is saved all the same
            warnings.append(f"the snapshot cannot be kept as {place}: {error.strerror}. restore.py --local will not have it.")
        return warnings


@contextlib.contextmanager
def taken(source: Path, folder: Path, check: str, kept: Path | None = None) -> Iterator[Snapshot]:
    """Copy `source` into `folder` and check the copy; raise SourceError for a file that cannot be backed up."""
    with being_checked(copying.copy(source, folder, check, kept)) as snapshot:
        snapshot.copy.finish_check()
        yield snapshot


@contextlib.contextmanager
def unchanged(source: Path, folder: Path, file_hash: str) -> Iterator[Snapshot]:
    """Copy a source once more; raise Problem where somebody has written to it since it had this hash."""
    with taken(source, folder, "quick") as again:
        if again.copy.hash != file_hash:
            raise lock.in_use(source)
        yield again


@contextlib.contextmanager
def being_checked(copy: Copy) -> Iterator[Snapshot]:
    """Open a copy while SQLite checks it: `finish_check` before you rely on it.

    The copy is removed at the end, unless `keep_as` has moved it.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(copy.remove)
        try:
            with explained(copy.source, copy.previous.told, copy.folder):
                connection = stack.enter_context(contextlib.closing(open_read_only(copy.path)))
                snapshot = Snapshot(copy, connection, schemas.read(connection))
            yield snapshot
        except (sqlite3.Error, MemoryError, Problem) as error:
            if isinstance(error, MayPass | Locked):
                raise
            copy.begin_check("full")
            copy.finish_check()  # the check knows better what is wrong
            with explained(copy.source, copy.previous.told, copy.folder):
                raise
