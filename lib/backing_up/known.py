"""What is known of a source on a target, as the target or this machine tells it: times are Unix seconds."""

from typing import TypedDict


class Success(TypedDict):
    """A saved run; `at` is when it ended, in Unix seconds, `seconds` how long it took, `bytes_sent` of rows."""

    run: int
    at: float
    rows: int
    changes: int
    bytes_sent: int
    seconds: float


class _FailureHere(TypedDict):
    at: float
    error: str | None


class Failure(_FailureHere, total=False):
    """A failed run; one that this machine alone knows of never got a number, one that it does not know has no remedy."""

    run: int
    remedy: str


class ShownRun(TypedDict):
    """One of the newest runs; `at` is when it ended, or began where it has not."""

    outcome: str
    at: float


class Compared(TypedDict):
    """The last run that compared every row, and when it ended."""

    run: int
    at: float


class Drill(Compared):
    """The last drill that went well: `by` which user of Postgres, on which `machine` (older drills have not noted it)."""

    seconds: float
    by: str
    machine: str | None


class FailedDrill(Compared):
    """The last drill, where it failed, and why."""

    error: str


class RestorePoints(TypedDict):
    """How many runs can be restored, how many of them are `kept`; the `oldest` and when it ended, where there is one."""

    count: int
    kept: int
    oldest: int | None
    at: float | None


class Proof(TypedDict):
    """What the proof on the server has found: `at` which it has looked at the oldest of so many `tables`, and why, by table."""

    at: float
    tables: int
    different: dict[str, str]
    unproven: dict[str, str]


def equal_tables(proof: Proof) -> int:
    """Return how many tables are as the last run has left them."""
    return proof["tables"] - len(proof["different"]) - len(proof["unproven"])


class Known(TypedDict):
    """What both sides can tell of a source; `now` is the clock from which ages are counted, `runs` are newest first.

    `pace` is the usual pause between two runs in seconds, where there is one, `last_start` when the last success began, `live_at`
    when a live process has last said that everything is saved. `edits` are how many that may come back had which outcome.
    """

    now: float
    last_success: Success | None
    last_failure: Failure | None
    runs: list[ShownRun]
    pace: float | None
    last_start: float | None
    live_at: float | None
    edits: dict[str, int]


class Answer(Known):
    """What sql/statements/health.sql tells."""

    database_bytes: int
    restore_points: RestorePoints
    compared: Compared | None
    proven: Drill | None
    failed_drill: FailedDrill | None
    proof: Proof | None
