"""The origin: which bot a source is, so that two bots with the same names never mirror over each other."""

import re
import secrets
import socket
from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from lib.base.errors import Problem
from lib.settings.config import Settings
from lib.sqlite.snapshots import previous
from lib.tables.results import SavedBy

ID = re.compile("[0-9a-f]{32}")
CONTAINER = re.compile("[0-9a-f]{12}")


class Told(TypedDict):
    """What a run stores of an origin in Postgres."""

    origin: str
    machine: str
    path: str


class Origin(NamedTuple):
    """The id that the bot's folder keeps beside its snapshot, with the machine and the database's path, to compare and to show.

    `is_new` where the folder keeps none; `run` is the last run that this folder has noted. `ids` are all that it keeps of this
    database: each target has one of its own, and may get another number.
    """

    id: str
    machine: str
    path: str
    is_new: bool
    run: int | None
    ids: frozenset[str] = frozenset()

    @property
    def as_told(self) -> Told:
        return {"origin": self.id, "machine": self.machine, "path": self.path}

    @property
    def as_restored(self) -> dict[str, str | None]:
        """Return the same without an id that is in no folder: there may be another one in it, which this user cannot read."""
        return {"origin": None if self.is_new else self.id, "machine": self.machine, "path": self.path}

    def is_that_of(self, last: SavedBy) -> bool:
        """Whether this is the bot of the last run.

        A container has another machine's name each time, a copied folder the same id, and every container the same path: none of
        them alone proves anything. Where the machine's name is another one, the last run that this folder has noted does.
        """
        if last["path"] is None:
            return True
        is_same_machine = self.machine == last["machine"]
        if self.is_new or not last["origin"]:
            return is_same_machine and self.path == last["path"]
        is_same_folder = last["origin"] in {self.id, *self.ids} and self.path == last["path"]
        return is_same_folder and (is_same_machine or self.run == last["run"])


def other_machine(source: str, ours: Origin, last: SavedBy) -> list[str]:
    """Return a warning where the same folder was on another machine: that may still run. Docker gives each a new name."""
    theirs = last["machine"]
    if theirs is None or theirs == ours.machine or (CONTAINER.fullmatch(theirs) and CONTAINER.fullmatch(ours.machine)):
        return []
    return [
        f"{source}: run {last['run']} was made on {theirs}, this one on {ours.machine}. If both go on, give one of them "
        "a BACKUP_SCHEMA of its own."
    ]


def of(settings: Settings, source: str, note: Mapping[str, object]) -> Origin:
    """Return the origin of a database, given the note beside its snapshot; where that is not of this file, it gets a new id."""
    place = str(settings.sources[source].absolute())  # not where a link leads: what is moved and linked is the same bot's
    known, run, machine = _id(note, place), note.get("run"), socket.gethostname()
    kept = {_id(previous.read(path), place) for path in settings.snapshots_of(source)}
    new = secrets.token_hex(16)
    return Origin(known or new, machine, place, not known, run if isinstance(run, int) else None, frozenset(kept - {""}))


def _id(note: Mapping[str, object], place: str) -> str:
    known = str(note.get("origin"))
    return known if note.get("path") == place and ID.fullmatch(known) else ""


def refuse_other(source: str, ours: Origin, last: SavedBy, accept: str) -> None:
    """Raise Problem where what is stored is another bot's; `accept` is what to type if this one has taken its place."""
    if ours.is_that_of(last):
        return
    when = f"last saved by run {last['run']}, {last['at']} UTC"
    if (ours.path, ours.machine) == (last["path"], last["machine"]):
        raise Problem(
            f"the backup of {source}, {when}, is from this path and this machine's name, {ours.path} on {ours.machine}, "
            "but not from this folder snapshots/: it was exchanged, or another machine or container has the same name.",
            f"if there is one bot alone, run  {accept}\n"
            "     if there are two, give this one a BACKUP_SCHEMA of its own in .env, then run  python3 setup_supabase.py",
        )
    raise Problem(
        f"the backup of {source} is that of another bot: {last['path']} on {last['machine']}, {when}. "
        f"This one is {ours.path} on {ours.machine}.",
        "give this bot a BACKUP_SCHEMA of its own in .env, then run  python3 setup_supabase.py\n"
        f"     if it has taken the other one's place, run  {accept}",
    )
