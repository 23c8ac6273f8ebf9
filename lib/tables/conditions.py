"""Which rows are looked for: conditions on columns, as they are typed after --where.

Nothing that is typed becomes SQL. What is stored is compared as it is, whatever a column's affinity or collation: a number with a
number, text with text letter by letter, bytes with x'00FF'. What is in quotes is text: 'NULL', '12', '=7'.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lib.base import printable
from lib.base.errors import UNTOUCHED, SettingsError
from lib.tables.plan import folded
from lib.tables.values import Row, Value, as_text

# What has another one in it comes first.
OPERATORS = ("!=", ">=", "<=", "=", "<", ">", "~")
INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf)", re.ASCII | re.IGNORECASE)
BLOB = re.compile(r"x'((?:[0-9a-f]{2})*)'", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Condition:
    """A column, an operator, and what was typed: `number` and `blob` where it can be read as one, `text` where it is not NULL."""

    column: str
    operator: str
    text: str | None
    number: int | float | None = None
    blob: bytes | None = None

    def holds(self, value: Value) -> bool:
        """Whether a stored value meets it. NULL is less and more than nothing, and contains nothing."""
        if self.operator in ("=", "!="):
            return self._is(value) == (self.operator == "=")
        if value is None or self.text is None:
            return False
        if self.operator == "~":
            return self.text.casefold() in as_text(value).casefold()
        other = self._like(value)
        if other is None:
            return False
        is_less, is_more = value < other, value > other  # type: ignore[operator]  # they are alike
        return (is_less, is_more, not is_more, not is_less)[("<", ">", "<=", ">=").index(self.operator)]

    def _is(self, value: Value) -> bool:
        return value is None if self.text is None else value is not None and value == self._like(value)

    def _like(self, value: Value) -> Value:
        """Return what was typed as a value of the same kind; None where it is none."""
        return self.text if isinstance(value, str) else self.blob if isinstance(value, bytes) else self.number


def of(typed: str, columns: Sequence[str]) -> Condition:
    """Return the condition on one of these columns; raise SettingsError where it is none. The longest name that fits is meant."""
    known = {folded(name): name for name in columns}
    splits = [
        (known[name], operator, typed[at + len(operator) :].strip())
        for at in range(len(typed))
        for operator in OPERATORS
        if typed.startswith(operator, at) and (name := folded(typed[:at].strip())) in known
    ]
    if not splits:
        remedy = f"COLUMN=VALUE, where COLUMN is {', '.join(map(printable.name, columns))}"
        raise SettingsError(f"--where {typed!r} is no condition on a column.", remedy, UNTOUCHED)
    longest = max(len(name) for name, _, _ in splits)
    column, operator, text = next(split for split in splits if len(split[0]) == longest)
    if text.startswith(("=", "<", ">", "~", "!")):
        remedy = f"""one of  {" ".join(OPERATORS)}  or, where that is the value:  --where "{column}{operator}'{text}'\""""
        raise SettingsError(f"--where {typed!r} has no operator that is known.", remedy, UNTOUCHED)
    if text == "NULL" and operator not in ("=", "!="):
        raise SettingsError(f"--where {typed!r}: nothing is less, or more, than NULL.", f"--where '{column}!=NULL'", UNTOUCHED)
    return _read(column, operator, text)


def _read(column: str, operator: str, text: str) -> Condition:
    if text == "NULL":
        return Condition(column, operator, None)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return Condition(column, operator, text[1:-1])
    number = int(text) if INTEGER.fullmatch(text) else float(text) if NUMBER.fullmatch(text) else None
    blob = BLOB.fullmatch(text)
    return Condition(column, operator, text, number, bytes.fromhex(blob[1]) if blob else None)


def all_hold(conditions: Sequence[Condition], row: Row) -> bool:
    """Whether a row, by its columns' names, meets all of them."""
    return all(condition.holds(row.get(condition.column)) for condition in conditions)
