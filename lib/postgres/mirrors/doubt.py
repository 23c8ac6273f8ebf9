"""Doubt: why changed rows alone may not make the mirrors equal to the snapshot; then every row is sent."""

from collections.abc import Collection


class Doubt(Exception):
    """Why the mirrors may not hold what the last run left; `changed` are the labels of tables of which that is certain."""

    def __init__(self, why: str, changed: Collection[str] = ()):
        super().__init__(why)
        self.changed = frozenset(changed)
