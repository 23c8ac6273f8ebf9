"""The checks that setup_supabase.py and test_backup.py share: each is one numbered line, with the remedy where it fails."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2

from lib.base import disk, log
from lib.base.errors import Problem, SourceError
from lib.base.script import FAILED, SAVED, Console
from lib.base.words import plural, size
from lib.postgres.books import plan_limit, privacy, runs, setup_version, twins
from lib.postgres.link import explain
from lib.postgres.link.connection import OUTAGES, Target
from lib.reporting import alerts
from lib.settings.channels import Channels
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings
from lib.sqlite.files import not_there
from lib.sqlite.snapshots import copying, previous
from lib.sqlite.snapshots import snapshot as snapshots
from lib.tables.mirror_names import writer_name

OLDEST_SERVER = 130000
PINGS = 3
# What runs rely on, and the statement that tries it.
NEEDED = {
    "temporary tables and deferrable constraints": "can_be_temporary",
    "advisory locks": "can_lock",
    "triggers with transition tables": "can_log_changes",
}
AS_OWNER = (
    "the same command with  SUPABASE_DB_URL='the connection string of postgres'  before it; this user is tried with  "
    "python3 backup.py"
)


class Checks:
    """Numbered checks, printed as they end: the titles of those that passed, and the others' with what was wrong."""

    def __init__(self, console: Console):
        self.console = console
        self.passed: list[str] = []
        self.failures: list[tuple[str, Problem]] = []
        self._failed_before = 0
        self.seen = twins.Seen()
        self.target: TargetSettings | None = None  # that of the steps to come

    def begin(self) -> None:
        """Begin with another target: what has failed on one says nothing of the next."""
        self._failed_before = len(self.failures)

    @property
    def is_sound(self) -> bool:
        """Whether nothing has failed on this target."""
        return len(self.failures) == self._failed_before

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Run one check; a Problem inside is printed with its remedy and counted, and the next check goes on."""
        title = self.target.named(title) if self.target else title
        number = len(self.passed) + len(self.failures) + 1
        details: list[str] = []
        try:
            yield details.append
        except Problem as problem:
            self.failures.append((title, problem))
            log.error(f"{title}: {problem.what}")
            remedy = f"\n     Try: {problem.remedy}" if problem.remedy else ""
            self.console.fault(f"❌ {number}. {title}: {problem.what}{remedy}")
        else:
            self.passed.append(title)
            self.console.say(f"✅ {number}. {title}" + (f": {'; '.join(details)}" if details else ""))

    def finish(self) -> int:
        """Tell machines what was found, and return the exit status."""
        result: dict[str, object] = {"outcome": "failed" if self.failures else "saved", **self.told}
        if self.failures:
            result |= {"error": "\n".join(problem.what for _, problem in self.failures), "try": self.failures[0][1].remedy}
        self.console.result(result)
        return FAILED if self.failures else SAVED

    @property
    def told(self) -> dict[str, object]:
        """Return what `--json` shows of the checks."""
        failed = [{"check": title, "error": problem.what, "try": problem.remedy} for title, problem in self.failures]
        return {"passed": self.passed, "failed": failed}


def driver(checks: Checks) -> None:
    """Tell psycopg2's release."""
    with checks.step("psycopg2") as tell:
        tell(psycopg2.__version__.split(" ")[0])  # type: ignore[attr-defined]  # types-psycopg2 leaves it out


def connect(checks: Checks, target_settings: TargetSettings, schema: str) -> Target | None:
    """Connect, and tell version, TLS and round-trip time."""
    target, checks.target = None, target_settings
    with checks.step(f"Connection to {target_settings.host}") as tell:
        target = Target(target_settings, schema)
        twins.refuse(target, checks.seen)
        server = privacy.describe(target)
        if server.version_number < OLDEST_SERVER:
            raise Problem(f"PostgreSQL {server.version} is too old.", "use PostgreSQL 13 or newer")
        if server.encoding != "UTF8":
            raise Problem(f"the database's encoding is {server.encoding}.", "create the database with ENCODING 'UTF8'")
        tell(f"PostgreSQL {server.version}, {privacy.tls(target)}, round trip {round_trip(target):.0f} ms")
        tell(f"database size {size(server.bytes)}")
    return target


def round_trip(target: Target) -> float:
    """Return the median time of a statement that does nothing, in milliseconds."""
    times = []
    for _ in range(PINGS):
        started = time.perf_counter()
        target.rows("SELECT 1")
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)[PINGS // 2]


def rights(checks: Checks, target: Target) -> None:
    """Look whether this user may do what a backup needs."""
    with checks.step("Rights on the server") as tell:
        server = privacy.describe(target)
        if server.is_read_only:
            raise Problem(*explain.STATEMENTS[explain.READ_ONLY])
        if server.user == writer_name(target.schema):
            raise Problem(f"{server.user} may back up and restore, and set up nothing, which this looks at.", AS_OWNER)
        if not server.may_create or not server.may_make_temporary:
            raise Problem(f"{server.user} may not create schemas and temporary tables.", "use the user postgres of your project")
        tell(f"{server.user} may create schemas and temporary tables")


def abilities(checks: Checks, target: Target) -> None:
    """Look whether the server can do what runs rely on: what only resembles PostgreSQL may lack some of it."""
    with checks.step("What the server can do") as tell:
        lacking = {what: said for what, probe in NEEDED.items() if (said := _why_not(target, probe))}
        if lacking:
            said = "; ".join(f"{what} ({why})" for what, why in lacking.items())
            raise Problem(f"the server lacks {said}.", "use PostgreSQL 13 or newer")
        tell(", ".join(NEEDED))


def _why_not(target: Target, probe: str) -> str:
    """Try something, and roll it back; return why it cannot be done."""
    try:
        with target.rehearsal():
            target.statement(probe)
    except OUTAGES:
        raise
    except Problem as problem:
        return problem.what
    return ""


def files(checks: Checks, settings: Settings) -> Settings:
    """Look whether every database is there, before anything else; nothing is said of those that are, which are returned."""
    there = dict(settings.sources)
    for name, path in settings.sources.items():
        told = next(filter(None, map(previous.read, settings.snapshots_of(name))), {})
        try:
            with copying.explained(path, told):
                not_there.refuse(path, bool(told))
        except SourceError:
            del there[name]
            with checks.step(f"Database {name}"):
                raise
    return replace(settings, sources=there)


def sources(checks: Checks, settings: Settings, folder: Path) -> None:
    """Take a snapshot of every source in a folder, and throw it away."""
    for name, path in settings.sources.items():
        with checks.step(f"Database {name}") as tell, snapshots.taken(path, folder, settings.check) as snapshot:
            tell(f"{path}, {size(path.stat().st_size)}, {plural(len(snapshot.schema.own_tables), 'table')}, sound")


def room(checks: Checks, settings: Settings) -> None:
    """Look whether every run to come has room: each target's snapshots, and two copies, one of which is made ahead."""
    with checks.step("Disk") as tell:
        sizes = {name: copying.size_of(path) for name, path in settings.sources.items()}
        snapshots_of = [settings.snapshot_of(name, target.number) for name in sizes for target in settings.targets]
        there = sum(path.stat().st_size for path in snapshots_of if path.exists())
        needed = sum(sizes.values()) * len(settings.targets) + sum(sorted(sizes.values())[-2:])
        disk.require(settings.snapshots, max(0, needed - there), "a run with its snapshots")
        tell(f"room for the snapshots and a run, {size(needed)} in {settings.snapshots}")


def installed(checks: Checks, target: Target) -> None:
    """Look whether setup has been run, by these scripts' version."""
    with checks.step("Setup") as tell:
        if not setup_version.refuse_other(target):
            raise Problem(f"the schema {target.schema} has not been set up.", "python3 setup_supabase.py")
        tell(f"the schema {target.schema} is there, version {setup_version.VERSION}")


def fits(checks: Checks, target: Target, settings: Settings) -> None:
    """Look whether the next run would be refused for what the plan allows; nothing is said where it would not."""
    for name, path in settings.sources.items():
        try:
            kept = settings.snapshot_of(name, target.settings.number)
            with snapshots.taken(path, settings.snapshots, "quick", kept) as snapshot:
                run = runs.Run(0, name, target.host, privacy.describe(target).bytes)
                plan_limit.refuse_or_warn(target, run, snapshot, settings)
        except Problem:
            with checks.step(f"Room for {name}"):
                raise


def exposure(checks: Checks, target: Target, schemas: list[str]) -> None:
    """Look whether anybody else can get at what is kept."""
    with checks.step("Privacy") as tell:
        if openings := privacy.openings(target, schemas):
            raise Problem(privacy.as_sentence(openings), privacy.CLOSE)
        tell("closed to anon, authenticated, service_role and PUBLIC; row level security is on")


def channels(checks: Checks, channels: Channels) -> None:
    """Send a test through each alert channel that is set."""
    trials = alerts.trials(channels)
    for wrong in channels.wrong:
        with checks.step("Settings of the alerts"):
            raise Problem(wrong, "correct it in .env; .env.example explains it")
    for name, send in trials.items():
        with checks.step(f"Alert by {name}") as tell:
            if error := send().error():
                raise Problem(f"{error}.", "correct its settings in .env; .env.example explains them")
            tell("sent: see whether it has arrived")
    if not trials and not channels.wrong:
        with checks.step("Alerts"):
            raise Problem(
                "no channel is set.", "set HEARTBEAT_URL, ALERT_EMAIL_TO, ALERT_WEBHOOK_URL or TELEGRAM_CHAT_ID in .env"
            )
