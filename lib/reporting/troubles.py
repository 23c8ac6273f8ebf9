"""What is wrong with the backup, and what to type: judged once, for the verdict of --status and for the banner of the report."""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from lib.backing_up import proving, scheduled
from lib.backing_up.attempts import Verdicts
from lib.backing_up.dry_run import EQUAL_AGAIN
from lib.backing_up.health import Answered, Health, Unanswered
from lib.backing_up.scheduled import Schedule
from lib.base import owners, script
from lib.base.errors import Problem
from lib.base.script import Console
from lib.base.words import age, ago, plural, seconds
from lib.postgres.books.plan_limit import MORE_ROOM, is_nearly_full
from lib.reporting import alerts
from lib.settings.config import Settings

BACK_UP = "python3 backup.py"
NOT_COMING = f"{BACK_UP}, and see why its schedule does not:  journalctl -t hybrid-backup"
SET_UP = "python3 setup_supabase.py"
LIVE_AGAIN = "start them again; if they have ended for good:  python3 setup_supabase.py"
TRY_ALERTS = "python3 test_backup.py --send-alert"
DRILL = "python3 restore.py --drill"
# The schedule has one every week; a machine that was off on a Sunday has missed it.
DRILL_SECONDS = 15 * 86400


@dataclass(frozen=True)
class Trouble:
    """What must be mended at once (`is_bad`) or some day; `about` are the sources on their targets that it concerns."""

    is_bad: bool
    about: str
    what: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.about}: {self.what}"

    @property
    def line(self) -> str:
        """Return the trouble and what to type, if that is not said already, on one line."""
        return " ".join(f"{self.sentence} {self.remedy and f'Try: {self.remedy}'}".split())

    @property
    def mark(self) -> str:
        return "❌" if self.is_bad else "⚠️ "


UNSCHEDULED = Trouble(False, "", "neither cron nor systemd backs it up here.", scheduled.INSTALL)


def of(known: Sequence[Health], settings: Settings, schedule: Schedule, max_age: str | None = None) -> list[Trouble]:
    """Return what is wrong, the worst first; what is the same with several sources or targets, once.

    A run is overdue when the last success is older than `max_age`, else when it should have come by the usual pause between runs.
    """
    is_unscheduled = schedule.kind == "none"
    mend = scheduled.INSTALL if is_unscheduled else NOT_COMING
    anew = owners.shut([settings.snapshots]) or BACK_UP  # without its folder no backup would get through, or be noted
    found = _found(known, settings.max_database_bytes, max_age, mend, anew)
    if is_unscheduled and not any(trouble.remedy == mend for trouble in found):
        found[UNSCHEDULED] = [*known]
    return worst_first([*_together(found, len(settings.targets)), *_of_settings(settings)])


def of_others(known: Sequence[Health], max_age: str | None) -> list[Trouble]:
    """Return the same of sources on one target whose settings and schedule nobody here knows."""
    return worst_first(_together(_found(known, 0, max_age, NOT_COMING, BACK_UP), 1))


def worst_first(found: Iterable[Trouble]) -> list[Trouble]:
    return sorted(found, key=lambda trouble: not trouble.is_bad)


def _found(known: Sequence[Health], limit: int, max_age: str | None, mend: str, anew: str) -> dict[Trouble, list[Health]]:
    found: dict[Trouble, list[Health]] = {}
    for health in known:
        for trouble in _of_one(health, limit, max_age, mend, anew):
            found.setdefault(trouble, []).append(health)
    return found


def _together(found: Mapping[Trouble, list[Health]], targets: int) -> list[Trouble]:
    return [replace(trouble, about=_names(concerned, targets)) for trouble, concerned in found.items()]


def _of_settings(settings: Settings) -> Iterator[Trouble]:
    """Yield what every backup warns of: most of these sentences say themselves what to do."""
    for warning in settings.warnings:
        remedy = f"correct it in {settings.folder / settings.file}, then  {TRY_ALERTS}"
        yield Trouble(False, "the settings", warning, remedy if warning in settings.channels.wrong else "")


def tell_others(settings: Settings, known: Sequence[Health], max_age: str, console: Console) -> None:
    """Tell those who are not here what is too old: whoever names an age does not look at the answer."""
    alerts.told(settings, alerts.AGE, console, functools.partial(_too_old, known, max_age))


def _too_old(known: Sequence[Health], max_age: str) -> Verdicts:
    """Say of every source on every target whether its last success is too old, or none is known."""
    found = {}
    for health in known:
        bad = [*(_of_pauses(health, max_age, NOT_COMING) if health.success else _of_last_run(health))]
        found[health.target.with_source(health.source)] = Problem(bad[0].what, bad[0].remedy).text if bad else ""
    return found


def _names(concerned: list[Health], everywhere: int) -> str:
    """Return the sources, each with its targets where it is not all of them."""
    targets: dict[str, list[str]] = {}
    for health in concerned:
        targets.setdefault(health.source, []).append(health.target.label)
    return ", ".join(name if len(on) == everywhere else f"{name} → {' and '.join(on)}" for name, on in targets.items())


def verdict(found: list[Trouble], known: Sequence[Health]) -> str:
    """Return how bad it is, in a few words; where not all is well, also when it was last saved."""
    if not found:
        return "All is well"
    what = "Something needs you" if found[0].is_bad else "Backed up, with something to mind"
    return f"{what} ({_last_saved(known)})" if any(health.age is not None for health in known) else what


def _last_saved(known: Sequence[Health]) -> str:
    """Return how long ago that was, of the one for which it is longest."""
    return f"last saved {ago(max(health.age for health in known if health.age is not None))}"


def all_is_well(known: Sequence[Health]) -> str:
    """Return what can be said of sources that have all been saved: each counts once, on however many targets it is."""
    rows = {health.source: health.success["rows"] for health in known if health.success}
    return f"{plural(sum(rows.values()), 'row')} are safe in Supabase, {_last_saved(known)}."


def no_success(health: Health) -> str:
    """Return what is said in place of a last success."""
    return "never" if isinstance(health, Answered) else "unknown: none is recorded here"


def tell(found: list[Trouble], answer: dict[str, object], console: Console) -> int:
    """Complain of what is bad, give machines all of it beside the answer, and return the exit status."""
    errors = [trouble for trouble in found if trouble.is_bad]
    if not errors:
        return mention([], answer | _as_json(found), console)
    failed = {"outcome": "failed", "error": "\n".join(trouble.sentence for trouble in errors), "try": errors[0].remedy}
    console.result(failed | _as_json(found) | answer)
    for trouble in errors:
        console.complain(f"{trouble.sentence}\nTry: {trouble.remedy}")
    return script.FAILED


def mention(found: list[Trouble], answer: dict[str, object], console: Console) -> int:
    """Say what is bad, where the answer is a success all the same."""
    for trouble in found:
        if trouble.is_bad:
            console.warn(trouble.line)
    console.result({"outcome": "saved"} | _as_json(found) | answer)
    return script.SAVED


def _as_json(found: list[Trouble]) -> dict[str, object]:
    return {"troubles": [asdict(trouble) for trouble in found]}


def _bad(what: str, remedy: str) -> Trouble:
    return Trouble(True, "", what, remedy)


def _mind(what: str, remedy: str) -> Trouble:
    return Trouble(False, "", what, remedy)


def _of_one(health: Health, limit: int, max_age: str | None, mend: str, anew: str) -> Iterator[Trouble]:
    if isinstance(health, Unanswered):
        said, remedy = f"the target cannot be asked: {health.problem.what}", health.problem.remedy or f"{SET_UP} --check"
        if not health.is_out_of_reach:
            yield _bad(said, remedy)
            return
        if not _is_cause(health):  # then it is told as that
            yield _mind(f"{said} What is shown is this machine's own record.", remedy)
    yield from _of_last_run(health, anew)
    if health.different:
        yield _bad(f"--verify found differences in {health.different}.", EQUAL_AGAIN)
    yield from _of_pauses(health, max_age, mend)
    if health.live_age is not None and not health.is_live:
        yield _mind(f"live backups were last seen {ago(health.live_age)}.", LIVE_AGAIN)
    if isinstance(health, Answered):
        yield from _of_proof(health)
        yield from _of_drills(health)
        yield from of_size(health.known["database_bytes"], limit)


def _is_cause(health: Unanswered) -> bool:
    """Whether the last run failed for the reason for which the target cannot be asked."""
    why = health.failure["error"] if health.is_failing and health.failure else None
    return bool(why) and _first_line(health.problem.what).endswith(_first_line(why))


def _of_last_run(health: Health, anew: str = BACK_UP) -> Iterator[Trouble]:
    failure = health.failure
    if health.is_failing and failure:
        never = "no run has ever got through" if isinstance(health, Answered) else "unknown whether a run has ever got through"
        what = "the last run failed" if health.success else f"{never}; the last one failed"
        yield _bad(f"{what}: {_first_line(failure['error'])}", failure.get("remedy") or BACK_UP)
    elif not health.success:
        unknown = "unknown whether it was ever backed up: nothing is recorded here."
        yield _bad("never backed up." if isinstance(health, Answered) else unknown, anew)


def _of_pauses(health: Health, max_age: str | None, mend: str) -> Iterator[Trouble]:
    """An age below zero says that a clock is wrong, and nothing else."""
    if health.success and health.age is None:
        yield _bad("age unknown: the last success lies in the future.", "set the clock that is wrong: date -u")
    elif max_age and (health.age or 0) > seconds(max_age):
        yield _bad(f"the last success is {age(health.age or 0)} old, more than {max_age}.", mend)
    elif not max_age and health.is_overdue:
        late = health.next_expected and age(health.known["now"] - health.next_expected)
        what = f"a run was expected {late} ago, and did not come." if late else f"the last success is {age(health.age or 0)} old."
        yield _bad(what, mend)


def _of_proof(health: Answered) -> Iterator[Trouble]:
    proof = health.known["proof"]
    if proof and proof["different"]:
        found = ", ".join(f"{table} ({what})" for table, what in proof["different"].items())
        yield _bad(f"the proof on the server found that the mirrors differ: {found}.", proving.AGAIN)


def _of_drills(health: Answered) -> Iterator[Trouble]:
    if failed := health.known["failed_drill"]:
        yield _bad(f"the last drill failed: {_first_line(failed['error'])}", DRILL)
    elif health.success:
        proven = health.known["proven"]
        rehearsed = health.known["now"] - proven["at"] if proven else math.inf
        if rehearsed > DRILL_SECONDS:
            yield _mind(f"last proven restorable {ago(rehearsed)}." if proven else "never proven restorable.", DRILL)


def of_size(used: int, limit: int) -> Iterator[Trouble]:
    """Yield what is wrong where so many bytes are most of what the plan allows; no limit is 0."""
    if limit and used >= limit:  # a run that only changes rows still gets through, one that adds to them does not
        yield _bad(f"the database uses {used / limit:.0%} of its plan: no run may add to it.", MORE_ROOM)
    elif is_nearly_full(used, limit):
        yield _mind(f"the database uses {used / limit:.0%} of its plan.", MORE_ROOM)


def _first_line(error: str | None) -> str:
    return (error or "it does not say why.").splitlines()[0]
