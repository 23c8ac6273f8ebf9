"""Changes that people made in the mirrors by hand, since the last saved run: the undo log has them."""

from typing import NamedTuple


class HandEdit(NamedTuple):
    """What one operation (INSERT, UPDATE, DELETE) did by hand to a mirror: to how many rows, and the keys of some of them."""

    mirror: str
    operation: str
    rows: int
    keys: str

    def as_sentence(self, source: str) -> str:
        """Return what is told of it."""
        return (
            f"{source}.{self.mirror}: somebody changed the mirror by hand "
            f"({self.operation} of {self.rows:,} row{'s' * (self.rows != 1)}: {self.keys}). "
            "It is in the undo log, and the mirror is as the bot's database again."
        )
