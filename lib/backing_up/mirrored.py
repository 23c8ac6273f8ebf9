"""What bringing a snapshot into its mirrors has come to."""

from typing import NamedTuple

from lib.postgres.mirrors.altered import Altered
from lib.postgres.mirrors.unseen import Unseen
from lib.tables.plan import Mirror, Plan


class Mirrored(NamedTuple):
    """Mirrors that hold what the snapshot holds.

    By which plan they do, and what each is now; which ones people had altered, what the undo log may have missed of that, and
    whether every row was compared.
    """

    plan: Plan
    mirrors: dict[str, Mirror]
    altered: Altered
    unseen: Unseen
    is_compared: bool

    @property
    def warnings(self) -> list[str]:
        return self.altered.warnings + self.plan.warnings
