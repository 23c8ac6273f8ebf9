"""Which edits made in Supabase come back to the bot: BACKUP_ACCEPT_EDITS, nothing unless the operator names it."""

from typing import NamedTuple

NAME = "BACKUP_ACCEPT_EDITS"
# What may stand in the place of a column: that rows are added, that they are deleted, and that the bot's triggers act on edits.
INSERT, DELETE, TRIGGERS = "insert", "delete", "triggers"


class Accepted(NamedTuple):
    """`items` are TABLE.COLUMN, TABLE.insert, TABLE.delete and TABLE.triggers, as they were written."""

    items: tuple[str, ...] = ()

    def has(self, table: str, what: str) -> bool:
        return f"{table}.{what}" in self.items

    @property
    def with_triggers(self) -> list[str]:
        """Return the tables whose triggers may act on edits."""
        return [table for table, what in self.tables.items() if TRIGGERS in what]

    @property
    def tables(self) -> dict[str, list[str]]:
        """Return what is accepted of each table."""
        found: dict[str, list[str]] = {}
        for table, _, what in (item.rpartition(".") for item in self.items):
            found.setdefault(table, []).append(what)
        return found


NONE = Accepted()


def read(values: dict[str, str], problems: list[str]) -> Accepted:
    """Read the setting; a name that no database has is found out by whoever knows the databases."""
    items = [item.strip() for item in values.get(NAME, "").split(",")]
    for item in filter(None, items):
        table, _, what = item.rpartition(".")
        if not (table and what):
            problems.append(f"{NAME} {item!r} is not TABLE.COLUMN, TABLE.{INSERT}, TABLE.{DELETE} or TABLE.{TRIGGERS}.")
    return Accepted(tuple(dict.fromkeys(filter(None, items))))
