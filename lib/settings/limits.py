"""How long we wait, in seconds; HYBRID_BACKUP_CONNECT_SECONDS and the like in the environment change it."""

import os


def _seconds(name: str, default: float) -> float:
    return float(os.environ.get(f"HYBRID_BACKUP_{name}_SECONDS", default))


# For the handshake with one address; libpq takes less than two seconds for two.
CONNECT_SECONDS = _seconds("CONNECT", 15)
# For one statement; the server ends it then. COPY is not limited by its length: a slow link may keep it busy for hours.
STATEMENT_SECONDS = _seconds("STATEMENT", 1200)
# Without any answer, nor a byte of a COPY that gets through: the server should have ended the statement before, so it or a pooler
# has fallen silent. TCP's keepalive does not notice that where something in between still answers it.
SILENCE_SECONDS = STATEMENT_SECONDS * 1.1
# So long a first load may be lost when it is cut.
FIRST_LOAD_SECONDS = _seconds("FIRST_LOAD", 60)
# For all pauses together, while what stands in the way may pass.
RETRY_SECONDS = _seconds("RETRY", 300)
