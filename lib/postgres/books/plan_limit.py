"""Limits on size, the plan's and the bot's own share: warn before one is reached, refuse what cannot fit."""

from collections.abc import Iterator
from typing import NamedTuple

from psycopg2 import sql

from lib.base.errors import Problem
from lib.base.words import plural, size
from lib.postgres.books import growth
from lib.postgres.books.growth import Last, Point
from lib.postgres.books.runs import Run
from lib.postgres.link.connection import Target
from lib.settings.config import Settings
from lib.sqlite.snapshots import contents
from lib.sqlite.snapshots.contents import ROW_BYTES, Content
from lib.sqlite.snapshots.snapshot import Snapshot
from lib.tables.mirror_names import mirror_name

WARN_PERCENT = 80
# A row has at least eight bytes in a file: where there is room for so many times the file, no row is counted.
MOST_TIMES = 9
MORE_ROOM = "free space or upgrade the plan; then set BACKUP_MAX_DATABASE_MB to what the plan allows (0 is no limit)"
MORE_SHARE = "free space, or give this bot a larger share: BACKUP_MAX_SCHEMA_MB (0 is no limit)"


class Limit(NamedTuple):
    """What may have so many bytes, and what it has; none is 0. Of the whole database it is known how it grows."""

    what: str
    used: int
    limit: int
    remedy: str
    grows: bool = False


def refuse_or_warn(target: Target, run: Run, snapshot: Snapshot, settings: Settings, *, is_first: bool = True) -> list[str]:
    """Return a warning where a limit is near; raise Problem where what this snapshot adds cannot fit.

    What adds nothing does no harm, however full it is. Only where it may be a source's first backup, which adds all at once, what
    rows take beyond their file is foreseen from afar. Of older runs the file's size is known, free pages and all: once, less may
    seem to be added than is.
    """
    limits = _limits(target, run, settings)
    return [warning for limit in limits for warning in _refuse_or_warn(limit, target, run, snapshot, is_first)]


def _limits(target: Target, run: Run, settings: Settings) -> Iterator[Limit]:
    yield Limit("the database has", run.database_bytes, settings.max_database_bytes, MORE_ROOM, grows=True)
    if settings.max_schema_bytes:
        ((own_bytes,),) = target.statement("own_bytes", schema_name=sql.Literal(target.schema))
        yield Limit("this bot's schemas have", own_bytes, settings.max_schema_bytes, MORE_SHARE)


def _refuse_or_warn(limit: Limit, target: Target, run: Run, snapshot: Snapshot, is_first: bool) -> list[str]:
    used_bytes = snapshot.used_bytes
    if not is_nearly_full(limit.used + (MOST_TIMES if is_first else 1) * used_bytes, limit.limit):
        return []
    last = growth.read(target, run.source)
    added = _added(snapshot, last, limit.limit - limit.used)
    if added and limit.used + added > limit.limit:
        raise Problem(
            f"{run.source} does not fit: {limit.what} {size(limit.used)} of {size(limit.limit)}, and about {size(added)} are to "
            f"be added ({size(used_bytes)} of the file are in use, {size(last.bytes)} were at the last backup; there, each row "
            f"takes {ROW_BYTES} bytes more, and what can be compressed less).",
            limit.remedy,
        )
    return [_warning(limit, last.sizes)] if is_nearly_full(limit.used, limit.limit) else []


def _added(snapshot: Snapshot, last: Last, room: int) -> int:
    """Return about how many bytes are to be added; the more may be too many, the closer it is looked at.

    A file also grows by indexes and half-filled pages, which no mirror has, and of a first load that was cut much is there.
    """
    more = max(0, snapshot.used_bytes - last.bytes)
    if not more or MOST_TIMES * more <= room:
        return more
    more += ROW_BYTES * max(0, sum(map(snapshot.rows, snapshot.schema.own_tables)) - last.rows)
    if more <= room:
        return more
    now = contents.of(snapshot.connection, snapshot.schema)
    before = contents.of_previous(snapshot.copy.previous) if last.bytes else {}
    there = {name: content.bytes for name, content in before.items()} or _there(now, last)
    return min(more, sum(max(0, content.bytes - there.get(name, 0)) for name, content in now.items()))


def _there(now: dict[str, Content], last: Last) -> dict[str, int]:
    """Return, by table, how many bytes of it the mirrors have, going by their rows."""
    shares = {name: last.mirror_rows.get(mirror_name(name), 0) / content.rows for name, content in now.items() if content.rows}
    return {name: int(now[name].bytes * min(1, share)) for name, share in shares.items()}


def is_nearly_full(used: int, limit: int) -> bool:
    """Whether so many bytes are most of what the plan allows; no limit is 0."""
    return bool(limit) and used * 100 >= limit * WARN_PERCENT


def _warning(limit: Limit, sizes: list[Point]) -> str:
    said = f"{limit.what} {size(limit.used)} of {size(limit.limit)} ({limit.used * 100 // limit.limit} %)"
    return f"{said}; {_outlook(limit, sizes)}." if limit.grows else f"{said}."


def _outlook(limit: Limit, sizes: list[Point]) -> str:
    pace = growth.growth(sizes)
    days = growth.days_left(limit.used, limit.limit, pace)
    if pace is None:
        return "it is too early to tell how long that will last"
    if days is None:
        return "it does not grow at present"
    return f"at the present growth it is full in {plural(int(days), 'day')}"
