"""Postgres identifiers: names that it cannot keep are shortened, always in the same way."""

import hashlib
import re

MOST_BYTES = 63
SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Reserved in Postgres, and plausible as a column or a table: https://www.postgresql.org/docs/current/sql-keywords-appendix.html
RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
    character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
    else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having
    ilike in initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit
    localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order out
    outer overlaps overlay placing position precision primary real references returning right row select session_user
    setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim
    true union unique user using values varchar variadic verbose when where window with xmlattributes""".split()
)


def mirror_name(name: str) -> str:
    """Return the name that a mirror's table or column gets: the source's own, wherever Postgres can keep it."""
    raw = name.encode("utf-8", "surrogateescape")
    if name and len(raw) <= MOST_BYTES and name not in SYSTEM_COLUMNS and _is_text(raw):
        return name
    start = raw[: MOST_BYTES - 9].decode("utf-8", "ignore")
    return f"{start}~{hashlib.md5(raw, usedforsecurity=False).hexdigest()[:8]}"


def writer_name(schema: str) -> str:
    """Return the name of the role that may only back up and restore."""
    return f"{schema}_writer"


# Of all deployments in a database there is one.
VIEWER = "hybrid_backup_viewer"


def editor_name(schema: str) -> str:
    """Return the name of the role that may only change what is accepted."""
    return f"{schema}_editor"


def quoted(name: str) -> str:
    """Return the name as people write it in SQL: bare where that means the same, else in quotes."""
    if PLAIN.fullmatch(name) and name not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
