"""How long we wait, in seconds; HYBRID_BACKUP_CONNECT_SECONDS and the like in the environment change it."""

import contextlib
import os
import re
from collections.abc import Iterator

LONGEST = 1_000_000
NAME = "HYBRID_BACKUP_{}_SECONDS"
# What is wrong with them; lib/settings/config.py tells it with what is wrong with the settings.
problems: list[str] = []
_known: set[str] = set()


def _seconds(limit: str, default: float, least: int = 1) -> float:
    name = NAME.format(limit)
    _known.add(name)
    text = os.environ.get(name, "").strip() or str(default)
    if re.fullmatch(r"\d{1,9}(\.\d*)?", text, re.ASCII) and least <= float(text) <= LONGEST:
        return float(text)
    problems.append(f"{name} {text!r} is not a number of seconds from {least} to {LONGEST}.")
    return default


# For the handshake with one address; libpq takes less than two seconds for two.
CONNECT_SECONDS = _seconds("CONNECT", 15)
# For one statement; the server ends it then. COPY is not limited by its length: a slow link may keep it busy for hours.
STATEMENT_SECONDS = _seconds("STATEMENT", 1200)
# Without any answer, nor a byte of a COPY that gets through: the server should have ended the statement before, so it or a pooler
# has fallen silent. TCP's keepalive does not notice that where something in between still answers it.
SILENCE_SECONDS = STATEMENT_SECONDS * 1.1
# So long a first load may be lost when it is cut.
FIRST_LOAD_SECONDS = _seconds("FIRST_LOAD", 60, least=0)
# For all pauses together, while what stands in the way may pass.
RETRY_SECONDS = _seconds("RETRY", 300, least=0)
# A transaction of the bot's is waited for.
TURN_SECONDS = 60.0
# For what is tried again soon, and holds up others meanwhile.
SOON = {"CONNECT_SECONDS": 10.0, "RETRY_SECONDS": 2.0, "TURN_SECONDS": 5.0}

problems += [
    f"{name} is no limit of Hybrid backup; is it misspelt?"
    for name in sorted(os.environ)
    if re.fullmatch(NAME.format(".*"), name) and name not in _known
]


@contextlib.contextmanager
def at_most(**seconds: float) -> Iterator[None]:
    """Let some of these limits be no longer than so, as long as this lasts."""
    usual = {name: globals()[name] for name in seconds}
    globals().update({name: min(usual[name], seconds[name]) for name in seconds})
    try:
        yield
    finally:
        globals().update(usual)
