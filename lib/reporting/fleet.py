"""Answer `backup.py --fleet`: every deployment on the targets, one line each, or as one HTML file; the worst first."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib.backing_up import deployments
from lib.backing_up.attempts import Verdicts
from lib.backing_up.deployments import Deployment, Fleet
from lib.backing_up.health import Answered
from lib.backing_up.known import Compared
from lib.base.script import Console
from lib.base.words import age, ago, plural, size, with_iso
from lib.reporting import alerts, page, sections, status, troubles
from lib.reporting.chronicle import NOTHING_YET, Account
from lib.reporting.markup import Html, element, joined
from lib.reporting.troubles import Trouble
from lib.settings.config import Settings

COLUMNS = ("deployment", "machine", "last saved", "runs come", "rows #", "size #", "last drill", "rows compared", "warnings #")
# So many troubles stand above the table, which has all.
MOST_NAMED = 10
# What `--json` tells of a source besides its name and its age.
TOLD = ("last_success", "last_failure", "pace", "live_at", "compared", "proven", "failed_drill", "proof")


@dataclass(frozen=True)
class Line:
    """A deployment with what is wrong with it, the worst first, what stands in each of COLUMNS, and what `--json` tells of it."""

    deployment: Deployment
    troubles: list[Trouble]
    cells: list[str]
    told: dict[str, Any]

    @property
    def mark(self) -> str:
        return self.troubles[0].mark if self.troubles else "✅"

    @property
    def rank(self) -> tuple[bool, bool, str]:
        """Return by what it comes before others."""
        return not any(trouble.is_bad for trouble in self.troubles), not self.troubles, self.deployment.label

    @property
    def said(self) -> str:
        """Return what is wrong, in one line."""
        return " ".join(" ".join(map(self._short, self.troubles)).split())

    def _short(self, trouble: Trouble) -> str:
        """Return what is wrong without what the line says already."""
        names = [name.removeprefix(f"{self.deployment.schema}.") for name in trouble.about.split(" → ")[0].split(", ")]
        return trouble.what if names == [self.deployment.schema] else f"{', '.join(names)}: {trouble.what}"


def _cells(here: Deployment) -> list[str]:
    """Return what stands in each of COLUMNS: of several sources the worst."""
    if here.problem:
        return [here.label, *[""] * (len(COLUMNS) - 1)]
    known, rows = here.sources, sum(health.success["rows"] for health in here.sources if health.success)
    return [
        here.label,
        ", ".join(here.machines),
        _longest_ago([health.age for health in known]),
        _pace(known),
        f"{rows:,}",
        size(here.bytes),
        _longest_ago([_since(health, health.known["proven"]) for health in known]),
        _longest_ago([_since(health, health.known["compared"]) for health in known]),
        f"{here.warnings:,}",
    ]


def _longest_ago(ages: Sequence[float | None]) -> str:
    """Return how long ago it was with the source for which that is longest, given the ages in seconds."""
    known = [age for age in ages if age is not None]
    return ago(max(known)) if known and len(known) == len(ages) else "never"


def _since(health: Answered, done: Compared | None) -> float | None:
    return health.known["now"] - done["at"] if done else None


def _pace(known: Sequence[Answered]) -> str:
    return ", ".join(dict.fromkeys(filter(None, map(_comes, known)))) or "unknown"


def _comes(health: Answered) -> str:
    pace = health.known["pace"]
    return "live" if health.is_live else f"every {age(pace)}" if pace else ""


def show(settings: Settings, max_age: str | None, file: str | None, console: Console) -> int:
    """Print the lines, or write the report; exit 1 where a deployment is not well."""
    asked = deployments.of_all(settings)
    lines = sorted((_line(one, max_age) for target in asked for one in target.deployments), key=lambda line: line.rank)
    of_targets = [trouble for one in asked for trouble in (*_of_target(one), *_of_size(one, settings))]
    found = troubles.worst_first([*of_targets, *(trouble for line in lines for trouble in line.troubles)])
    known = [health for line in lines for health in line.deployment.sources]
    answer: dict[str, object] = {"deployments": [line.told for line in lines]}
    if file:
        answer |= {"report": page.put(settings, file, [_main(asked, lines, found, known)], console)}
    else:
        for text in _as_text(asked, lines, found, known):
            console.say(text)
    exit_status = troubles.tell(found, answer, console)
    if max_age:  # whoever names an age does not look at the answer
        alerts.told(settings, alerts.FLEET, console, functools.partial(_verdicts, asked, lines))
    return exit_status


def _verdicts(asked: Sequence[Fleet], lines: Sequence[Line]) -> Verdicts:
    """Say of every target and of every deployment what is bad about it."""
    bad = {line.deployment.label: [trouble for trouble in line.troubles if trouble.is_bad] for line in lines}
    bad |= {one.target.label: [trouble for trouble in _of_target(one) if trouble.is_bad] for one in asked}
    return {label: "\n".join(f"{trouble.sentence}\nTry: {trouble.remedy}" for trouble in found) for label, found in bad.items()}


def _line(deployment: Deployment, max_age: str | None) -> Line:
    """Judge a deployment; what its books say may be such that nobody can reckon with it."""
    try:
        found = [*_found(deployment, max_age)]
        return Line(deployment, found, _cells(deployment), with_iso(_as_json(deployment, found), status.TIMES))
    except deployments.ODD as error:
        problem = deployments.unreadable(error)
        return _line(Deployment(deployment.target, deployment.schema, deployment.version, problem=problem), max_age)


def _found(deployment: Deployment, max_age: str | None) -> Iterator[Trouble]:
    if problem := deployment.problem:
        yield Trouble(True, deployment.label, problem.what, problem.remedy)
        return
    there = f"on {' or '.join(deployment.machines) or 'its machine'} its own --status says what to do"
    on = deployment.label.removeprefix(deployment.schema)
    for trouble in troubles.of_others(deployment.sources, max_age):
        yield replace(trouble, about=trouble.about + on, remedy=there)
    if deployment.warnings:
        yield Trouble(False, deployment.label, f"{plural(deployment.warnings, 'warning')} at the last runs.", there)


def _of_target(one: Fleet) -> Iterator[Trouble]:
    if one.problem:
        yield Trouble(True, one.target.label, f"the target cannot be asked: {one.problem.what}", one.problem.remedy)
    elif not one.deployments:
        yield Trouble(True, one.target.label, "no deployment is there.", troubles.SET_UP)


def _of_size(one: Fleet, settings: Settings) -> Iterator[Trouble]:
    for trouble in troubles.of_size(one.database_bytes, settings.max_database_bytes):
        yield replace(trouble, about=one.target.label)


def _verdict(lines: Sequence[Line], found: list[Trouble], known: Sequence[Answered]) -> str:
    if not found:
        return f"{troubles.verdict(found, known)} with {plural(len(lines), 'deployment')}"
    ill = sum(bool(line.troubles) for line in lines)
    return f"{troubles.verdict(found, known)}: {ill:,} of {plural(len(lines), 'deployment')}"


def _as_text(asked: Sequence[Fleet], lines: list[Line], found: list[Trouble], known: list[Answered]) -> Iterator[str]:
    """Yield a verdict, what is wrong with the targets, and a table with a line for each deployment."""
    mark = found[0].mark if found else "✅"
    yield f"{mark} {_verdict(lines, found, known)}"
    about = {one.target.label for one in asked}
    yield from (f"{trouble.mark} {trouble.line}" for trouble in found if trouble.about in about)
    rows = [[column.removesuffix(" #") for column in COLUMNS], *(line.cells for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = ("  ".join(_aligned(*cell) for cell in zip(row, widths, COLUMNS, strict=True)) for row in rows)
    marks, said = ["  ", *(line.mark for line in lines)], ["", *(line.said for line in lines)]
    yield from (f"{mark} {row}  {what}".rstrip() for mark, row, what in zip(marks, aligned, said, strict=True))


def _aligned(cell: str, width: int, column: str) -> str:
    return cell.rjust(width) if column.endswith("#") else cell.ljust(width)


def _as_json(here: Deployment, found: list[Trouble]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "deployment": here.schema,
        "target": here.target.host,
        "number": here.target.number,
        "version": here.version,
        "is_well": not any(trouble.is_bad for trouble in found),
        "machines": [*here.machines],
        "troubles": [trouble.sentence for trouble in found],
        "bytes": here.bytes,
        "warnings": here.warnings,
        "sources": [_source_as_json(health, f"{here.schema}.") for health in here.sources],
    }
    if here.problem:
        told["error"] = here.problem.what
    return told


def _source_as_json(health: Answered, prefix: str) -> dict[str, Any]:
    known: dict[str, Any] = {**health.known}
    about = {"source": health.source.removeprefix(prefix), "is_live": health.is_live, "next_expected": health.next_expected}
    return about | {name: known[name] for name in TOLD} | {"age": health.age}


def _main(asked: Sequence[Fleet], lines: list[Line], found: list[Trouble], known: list[Answered]) -> Html:
    """Return the page: what is wrong, the table, and a card for each source of a deployment that is not well."""
    accounts = [Account(health, NOTHING_YET, []) for line in lines if line.troubles for health in line.deployment.sources]
    rows = [[joined(line.mark, " ", element("bdi", line.deployment.label)), *line.cells[1:], line.said] for line in lines]
    return joined(
        sections.banner(_verdict(lines, found, known), troubles.all_is_well(known) if known else "", found[:MOST_NAMED]),
        page.section("deployments", "Deployments", sections.table("Deployments", [*COLUMNS, "why"], rows)),
        page.section("health", "Not well", page.cards([sections.health_card(account) for account in accounts])),
        page.section("size", "Database size", sections.listed([f"{one.target.label}: {_size(one)}" for one in asked], "")),
    )


def _size(asked: Fleet) -> str:
    return "unknown until it answers" if asked.problem else size(asked.database_bytes)
