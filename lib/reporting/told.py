"""Which failures each channel was told, and when: the same one is told at once and then once a day.

It is noted beside the snapshots, as {channel: {what failed: [its gist, Unix seconds]}}. What cannot be read counts as absent.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

from lib.backing_up.attempts import Verdicts
from lib.base import private_file

REPEAT_SECONDS = 24 * 3600
# What is another one each time. A number that is a name, or belongs to one, stays: the tables y2023 and y2024 are two.
COUNTED = r"(?:%|(?:rows?|bytes|[kMGT]?B|s|seconds?|minutes?|hours?|days?|tables?|databases?|before|now|sent|of|are|in)\b)"
PASSING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|\b(?:run|row|rowid|page|cell) \d+|" rf"(?<![\w.-])\d[\d,.]*(?= ?{COUNTED})"
)
RECOVERED = 0.0

# By channel and by what failed.
Told = dict[str, dict[str, tuple[str, float]]]


class Memory:
    """What was told through every channel; `problems` are warnings of what could not be read or written."""

    def __init__(self, path: Path):
        self._path = path
        self.problems: list[str] = []
        self._told: Told = {}
        self._unread: OSError | None = None
        try:
            self._told = _whole(json.loads(private_file.read(path) or b"{}"))
        except OSError as error:
            self._unread = error
        except (ValueError, RecursionError):
            self.problems.append(f"{path} cannot be read, and is written anew: what was told already may be told again.")

    def is_news(self, channel: str, verdicts: Verdicts) -> bool:
        """Whether a failure is another one than this channel was told, or was told long ago."""
        told = self._told.get(channel, {})
        return any(failure and (label not in told or _is_news(failure, *told[label])) for label, failure in verdicts.items())

    def recovered(self, channel: str, verdicts: Verdicts) -> list[str]:
        """Return what was told as failing, and works again."""
        told = self._told.get(channel, {})
        return sorted(label for label, failure in verdicts.items() if label in told and not failure)

    def remember(self, delivered: list[str], undelivered: list[str], verdicts: Verdicts) -> None:
        """Note what was told just now; a recovery that nobody heard of is told later, and the same failure anew before it."""
        for channel in delivered:
            others = {label: told for label, told in self._told.get(channel, {}).items() if label not in verdicts}
            failures = {label: (gist(failure), time.time()) for label, failure in verdicts.items() if failure}
            self._told[channel] = others | failures
        for channel in undelivered:
            told = self._told.get(channel, {})
            told |= {label: (told[label][0], RECOVERED) for label in self.recovered(channel, verdicts)}
        if delivered or undelivered or self.problems:
            self._write()

    def _write(self) -> None:
        so = "the same alert will come again."
        if self._unread:
            self.problems.append(private_file.unread(self._path, self._unread, so))
        else:
            self.problems += private_file.write_note(self._path, json.dumps(self._told), so)


def _whole(noted: Any) -> Told:
    """Return what was read, or raise ValueError where it is of another shape."""
    try:
        return {channel: {label: (str(gist), float(at)) for label, (gist, at) in told.items()} for channel, told in noted.items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(noted) from error


def _is_news(failure: str, told: str, at: float) -> bool:
    # A clock that was set back must not silence an alert for long.
    return gist(failure) != told or not 0 <= time.time() - at < REPEAT_SECONDS - 600


def gist(failure: str) -> str:
    """Return what a failure is, without what is different every time: numbers of runs, times, counts, and what is still good."""
    what = failure.partition("\nNothing was changed ")[0].partition("\nTry: ")[0]
    return PASSING.sub("#", what)
