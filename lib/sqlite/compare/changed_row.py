"""What a changed row is: one that differs in anything, be it the class of a value or the sign of a nought."""

from collections.abc import Iterable

from lib.sqlite.files.names import quoted

# Enough where only text, blobs or NULL can meet, or where SQLite turns every whole number into an integer.
DIFFERS = "new.{c} IS NOT old.{c} COLLATE BINARY"
# 1 and 1.0 are equal to IS, and so are 0.0 and -0.0.
DIFFERS_EXACTLY = f"""({DIFFERS} OR typeof(new.{{c}}) <> typeof(old.{{c}})
    OR typeof(new.{{c}}) = 'real' AND new.{{c}} = 0 AND is_negative_zero(new.{{c}}) <> is_negative_zero(old.{{c}}))"""

GROUP = 100


def condition(columns: Iterable[str], plain: frozenset[str] = frozenset()) -> str:
    """Return the condition that the rows `old` and `new` are not the same in these columns, in SQL.

    `plain` are those in which no two values meet that are equal to IS and yet not the same.
    """
    conditions = ["0", *((DIFFERS if name in plain else DIFFERS_EXACTLY).format(c=quoted(name)) for name in columns)]
    # In groups: SQLite's expressions may be 1,000 deep, its tables 2,000 wide.
    groups = (" OR ".join(conditions[start : start + GROUP]) for start in range(0, len(conditions), GROUP))
    return " OR ".join(f"({group})" for group in groups)
