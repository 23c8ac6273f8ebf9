"""Connections that stay open between two uses: over a long way a login takes longer than a batch."""

import contextlib
from collections.abc import Callable, Iterator

from lib.postgres.link.connection import Target
from lib.settings.targets import TargetSettings

Reach = Callable[[TargetSettings, str], contextlib.AbstractContextManager[Target]]


class Kept:
    """The connections to several targets, by number."""

    def __init__(self) -> None:
        self._open: dict[int, Target] = {}

    @contextlib.contextmanager
    def reach(self, settings: TargetSettings, schema: str) -> Iterator[Target]:
        """Use the connection that is there, or make one; it stays, unless it fails."""
        target = self._open.pop(settings.number, None)
        if target and target.is_cut:
            target.close()
            target = None
        target = target or Target(settings, schema)
        with contextlib.ExitStack() as unless_it_works:
            unless_it_works.callback(target.close)
            yield target
            unless_it_works.pop_all()
        self._open[settings.number] = target
