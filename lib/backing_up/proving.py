"""Answer `backup.py --prove`: Postgres alone compares every mirror with what the last run has noted of it."""

import functools
import time
from typing import Any, NamedTuple

from psycopg2 import sql

from lib.backing_up.attempts import Report, Verdicts
from lib.backing_up.known import Proof, equal_tables
from lib.base import script
from lib.base.errors import MayPass, Problem
from lib.base.words import plural
from lib.postgres.books import setup_version, twins
from lib.postgres.link.connection import Target
from lib.postgres.link.statements import statement
from lib.postgres.setup import installation
from lib.settings import limits
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

NEVER = "never backed up."
AGAIN = "python3 backup.py --full && python3 backup.py --prove"


class Proven(NamedTuple):
    """What was found of a source on a target; nothing where it has no last run."""

    target: TargetSettings
    source: str
    proof: Proof | None

    @property
    def failure(self) -> str:
        """Return what differs, as it is told; nothing where nothing does."""
        if not self.proof:
            return Problem(self.target.named(f"{self.source}: {NEVER}"), "python3 backup.py").text
        differs = [f"{self.source}.{table}: {what}." for table, what in self.proof["different"].items()]
        return Problem(self.target.named("\n".join(differs)), AGAIN).text if differs else ""

    @property
    def lines(self) -> list[str]:
        """Return what is said of it."""
        told, proof = self.target.named(self.source), self.proof
        if not proof:
            return [f"❌ {told}: {NEVER}"]
        equal = equal_tables(proof)
        ill = [f"❌ {told}.{table}: {what}" for table, what in proof["different"].items()]
        left = [f"⚠️  {told}.{table} was left out: {why}" for table, why in proof["unproven"].items()]
        return [*ill, *left, *([f"✅ {told}: {plural(equal, 'table')} as the last run has left them"] if equal else [])]

    @property
    def as_json(self) -> dict[str, Any]:
        about = {"source": self.source, "target": self.target.host, "number": self.target.number}
        return {**about, **self.proof} if self.proof else about


def show(settings: Settings, console: script.Console) -> Verdicts:
    """Ask every target for the proof of all that it has, and return what failed."""
    report, found, seen = Report(console), list[Proven](), twins.Seen()
    for target_settings in settings.targets:
        with report.attempted(target_settings, "the mirrors"), Target(target_settings, settings.schema) as target:
            twins.refuse(target, seen)
            installation.require(target)
            setup_version.refuse_other(target)
            told = target.with_reconnects(functools.partial(_proven, target, report))
            found += [Proven(target_settings, source, proof) for source, proof in told]
    failures = {one.target.with_source(one.source): one.failure for one in found}
    for one in found:
        for line in one.lines:
            (console.fault if line.startswith("❌") else console.say)(line)
    _answer(found, failures, report, console)
    return failures | report.verdicts


def _proven(target: Target, report: Report) -> list[tuple[str, Proof | None]]:
    ((since,),) = target.statement("server_time")
    until, left_over = time.monotonic() + limits.STATEMENT_SECONDS, 1
    while left_over:
        with target.transaction():
            ((left_over,),) = target.statement("prove_mirrors", {"since": since})
        if left_over is None:
            raise MayPass("the proof on the server is at work already.", "wait until it has ended")
        if left_over and time.monotonic() > until:
            what = f"the proof on the server does not get through: {plural(left_over, 'table')} are left."
            raise Problem(what, "see who has locked them, or ask again")
        report.note(f"{plural(left_over, 'table')} left")
    proof = statement("proof", schema=sql.Identifier(target.schema), of_source=sql.SQL("asked.source"))
    if found := target.statement("proofs", proof=proof):
        return [(source, proof) for source, proof in found]
    raise Problem(f"{target.host}: {NEVER}", "python3 setup_supabase.py")


def _answer(found: list[Proven], failures: Verdicts, report: Report, console: script.Console) -> None:
    errors = [*(problem.what for problem in report.failures), *filter(None, failures.values())]
    result: dict[str, Any] = {"outcome": "failed" if errors else "saved", "sources": [one.as_json for one in found]}
    if errors:
        result |= {"error": "\n".join(errors), "try": report.failures[0].remedy if report.failures else AGAIN}
    console.result(result)
