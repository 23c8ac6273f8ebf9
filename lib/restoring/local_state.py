"""What this machine has of a source without the network: the newest of the snapshots that its runs have kept."""

import time
from dataclasses import dataclass
from pathlib import Path

from lib.base.errors import SourceError
from lib.sqlite.snapshots import previous
from lib.tables.plan import Source


@dataclass
class LocalState:
    """The previous snapshot of a source, as it is on this machine."""

    source: Source
    run: int
    finished_at: str
    rows: int
    journal_mode: str
    path: Path
    hash: str


def newest(paths: dict[int, Path], name: str, saved: list[tuple[int, int]]) -> LocalState:
    """Describe the newest of the snapshots kept for several targets; raise SourceError where none has a note that fits.

    `saved` are the targets and runs that this machine has saved, newest first: unlike a file's time it knows no clock.
    """
    notes = {number: note for number, path in paths.items() if (note := previous.look(path).note)}
    if not notes:
        raise SourceError(f"there is no snapshot of {name} on this machine.", f"python3 restore.py --database {name}")
    number = _last_saved(notes, name, saved)
    path, note = paths[number], notes[number]
    taken = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(path.stat().st_mtime))
    return LocalState(Source(name, ""), note["run"], taken, note["rows"], note["journal_mode"], path, note["hash"])


def _last_saved(notes: dict[int, dict], name: str, saved: list[tuple[int, int]]) -> int:
    runs = [(number, note["run"]) for number, note in notes.items()]
    if len({note["hash"] for note in notes.values()}) == 1:
        return runs[0][0]
    if not set(runs) <= set(saved):
        described = "".join(f"\n  target {number}: run {run}, {notes[number]['rows']:,} rows" for number, run in runs)
        raise SourceError(
            f"it is not clear which snapshot of {name} is the newest:{described}",
            f"choose one:  python3 restore.py --local --database {name} --target {runs[0][0]}",
        )
    return min(runs, key=saved.index)[0]
