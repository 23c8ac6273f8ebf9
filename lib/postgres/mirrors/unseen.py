"""What the undo log may have missed: somebody has switched it off, emptied it, or put another table in a mirror's place."""

from collections.abc import Iterable
from dataclasses import dataclass

from lib.postgres.mirrors import altered, last_run, proof
from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.transfer import Transfer
from lib.sqlite.snapshots.previous import Note, NotedMirror
from lib.tables.plan import Mirror, MirrorColumn, Plan, Source, TablePlan
from lib.tables.results import LastSaved

SHOWN = 5


@dataclass
class Unseen:
    """What the undo log may have missed: tables of which it is suspected, and the labels of those of which it is certain."""

    suspects: list[TablePlan]
    changed: set[str]

    def warnings(self, source: Source, last: LastSaved) -> list[str]:
        said, heal = [], "" if source.may_alter else " Run setup_supabase.py once as the user postgres."
        if self.suspects:
            said.append(
                f"{source.name}: somebody may have changed {_listed(table.printable for table in self.suspects)} without the "
                "undo log seeing it: it was switched off or emptied, or the mirror is another table, or was written anew "
                f"(ALTER TABLE, VACUUM FULL). Every row was sent.{heal}"
            )
        if self.changed:
            said.append(
                f"{source.name}: {_listed(self.changed)} had been changed behind the undo log's back, and is as the bot's "
                f"database again. What runs up to {last['run']} left there may not come back; restore.py --list marks them."
            )
        return said

    def also(self, later: "Unseen") -> "Unseen":
        """Return what a later look tells, with what was certain before."""
        return Unseen(later.suspects, later.changed | self.changed)

    @property
    def reason(self) -> str:
        """Return why every row is sent, or nothing."""
        if not self.suspects:
            return ""
        return f"the mirrors no longer hold {last_run.LEFT}" if self.changed else "the undo log may have missed a change"


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")


def recounted(transfer: Transfer, plan: Plan) -> set[str]:
    """Return the labels of the tables whose mirrors are about to be mended, and have not as many rows as the last run left.

    After that nobody can tell; where there are changes by hand as well, neither.
    """
    edited = transfer.edited
    mended = {table.label for table in plan.tables if table.label in plan.mended and table.mirror not in edited}
    if not mended or "misfit_rows" in edited or transfer.last["run"] is None:
        return set()
    return mended & last_run.other_counts(transfer.target, transfer.source)


def look(transfer: Transfer, plan: Plan, changed: Altered) -> Unseen:
    """Look whether the undo log may have missed a change."""
    note, last = transfer.snapshot.copy.previous.note, transfer.last
    suspects = _suspects(plan, transfer.told.mirrors, note, last, changed)
    held = proof.held_digests(transfer.target, transfer.source, suspects) if suspects else {}
    left = note["tables"] if last_run.is_of(last, note) else {}
    # Where there are changes by hand as well, or nothing is noted here, it cannot be told, and is taken for granted.
    same = {label for label, digest in held.items() if label in left and left[label][:3:2] == (digest.rows, digest.total)}
    by_hand = {table.label for table in suspects if table.mirror in transfer.edited}
    recounted = transfer.others.labels if transfer.others else frozenset()
    return Unseen(suspects, by_hand | recounted | (held.keys() - same) | changed.lost_labels(plan, left))


def _suspects(plan: Plan, present: dict[str, Mirror], note: Note, last: LastSaved, changed: Altered) -> list[TablePlan]:
    """Return the tables whose mirror lacks a trigger or is another one than it was; all, where the undo log was touched."""
    if last["run"] is None:
        return []
    if not last["is_watched"] or not last["is_complete"]:
        return plan.tables
    known = last_run.noted_mirrors(last, note) or {}
    aside = {name for name, noted in known.items() if noted["oid"] == altered.LEFT_ASIDE}
    mirrored = [table for table in plan.tables if table.mirror and table.mirror not in aside]
    return [table for table in mirrored if table.mirror in changed.wanted or not _is_as_it_was(table, present, known)]


def _is_as_it_was(table: TablePlan, present: dict[str, Mirror], known: dict[str, NotedMirror]) -> bool:
    mirror, noted = present.get(table.mirror), known.get(table.mirror)
    if not mirror or not noted:
        return not noted and (not mirror or mirror.is_watched)
    columns = [column.mirror_name for column in table.columns]
    return (
        mirror.is_watched
        and mirror.oid == noted["oid"]
        and _numbers(mirror.columns, columns) == _numbers(noted["columns"], columns)
    )


def _numbers(described: dict[str, MirrorColumn], columns: list[str]) -> list[int | None]:
    """Return which columns these are: one that was dropped and made again has another number."""
    return [described[name].get("number") if name in described else None for name in columns]
