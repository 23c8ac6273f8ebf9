"""Bring edits that people have made in Supabase into the bot's file: those that the operator accepts, before a run copies it.

The first target's alone. Where nothing is accepted nobody looks, and edits are reported and overwritten.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.backing_up.edit_rules import Inverse, Rules
from lib.base.errors import MayPass
from lib.postgres.books import edits
from lib.postgres.books.edits import Edit, Judged
from lib.postgres.books.runs import Run
from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.postgres.mirrors.transfer import Transfer
from lib.settings.config import Settings
from lib.sqlite.editing import compare_and_set
from lib.sqlite.editing.change import Change, Outcome
from lib.sqlite.snapshots import copying, previous
from lib.tables.plan import TablePlan

# So many that did not come are told one by one.
MOST_TOLD = 5


def are_accepted(target: Target, settings: Settings) -> bool:
    """Whether edits made on this target may come back."""
    return bool(settings.accepted.items) and target.settings.number == 1


@contextlib.contextmanager
def brought_back(target: Target, settings: Settings, run: Run, ahead: copying.Ahead) -> Iterator[None]:
    """Bring what was edited into the bot's file first; the run then copies that, and sends what became of it."""
    if are_accepted(target, settings) and edits.look(target, run.source, settings.accepted.items):
        ahead.forget(run.source)
        judge(target, settings, run.source)
        run.edits = edits.unsent(target, run.source)
    yield


def are_put_back(transfer: Transfer, settings: Settings) -> bool:
    """Make the mirrors what the last run left, where every edit has been judged, and return whether they are."""
    if not (transfer.edits and are_accepted(transfer.target, settings)):
        return not transfer.edits
    values = {"source": transfer.source.name, "mirrors": sorted(transfer.edited)}
    return bool(transfer.target.statement("put_back", values)[0][0])


def judge(target: Target, settings: Settings, name: str, back: Sequence[Edit] = ()) -> list[Judged]:
    """Bring into a source's file what is accepted of its edits, and what is to go `back`; keep and return what became of it."""
    with target.ended():
        found, since = edits.pending(target, name)
        path, planned = settings.sources[name], plans(target, name)
        done = judged(settings, name, path, Rules(settings.accepted, since, planned, found), found)
        done += judged(settings, name, path, Inverse(planned), back)
        edits.keep(target, name, done)
    return done


def refuse_unjudged(target: Target, settings: Settings, source: str, is_edited: bool) -> None:
    """Raise MayPass where somebody has edited since edits were judged: the next attempt judges that, too."""
    if is_edited and are_accepted(target, settings):
        raise MayPass(f"{source} was edited in Supabase while it was being backed up.", "wait until that has ended")


def judged(settings: Settings, name: str, path: Path, rules: Rules | Inverse, found: Sequence[Edit]) -> list[Judged]:
    """Bring into the file `path` what the rules let in, and return what became of each edit that has changed anything."""
    seen = [(edit, rules.look(edit)) for edit in found]
    changes = [change for _, change in seen if isinstance(change, Change)]
    outcomes = iter(brought(settings, name, path, changes))
    done = (Judged(edit, one.columns, *next(outcomes)) if isinstance(one, Change) else one for edit, one in seen)
    return [one for one in done if one]


def brought(settings: Settings, name: str, path: Path, changes: Sequence[Change]) -> list[Outcome]:
    """Bring changes into a file, unless there are none; an error says what to do about the file."""
    if not changes:
        return []
    with copying.explained(path, previous.read(settings.snapshot_of(name))):
        return compare_and_set.bring(path, changes, settings.accepted.with_triggers)


def plans(target: Target, name: str) -> dict[str, TablePlan]:
    """Return the plans of the last run by their mirrors."""
    return {table.mirror: table for table in saved_state.last_plan(target, name) if table.mirror}


def told(source: str, judged: Sequence[Judged]) -> list[str]:
    """Return as warnings what did not come."""
    said = [f"{source}.{one.as_sentence}" for one in judged if not one.is_in]
    more = len(said) - MOST_TOLD
    return said if more <= 0 else [*said[:MOST_TOLD], f"{source}: {more} more edits did not come:  python3 backup.py --edits"]
