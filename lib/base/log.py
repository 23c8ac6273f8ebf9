"""The log file: rotated, readable by its owner alone, times in UTC, no secrets."""

import errno
import io
import logging
import logging.handlers
import os
import time
from collections import deque
from pathlib import Path

from lib.base import owners, printable
from lib.base.leaving import told

MOST_BYTES = 1_000_000
KEPT_FILES = 5
RECENT_LINES = 50
CORRECT = "correct BACKUP_LOG in .env"
FORMAT = ("%(asctime)s UTC %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

_logger = logging.getLogger("hybrid-backup")
_logger.propagate = False
_logger.addHandler(logging.NullHandler())
_logger.setLevel(logging.INFO)
_recent: deque[str] = deque(maxlen=RECENT_LINES)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> io.TextIOWrapper:
        owners.make_file(Path(self.baseFilename))
        at_once = getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody reads would be waited for
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags | at_once, 0o600))


class _Clean(logging.Formatter):
    converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return printable.record(told(super().format(record)))


class _Recent(logging.Handler):
    """Keeps the last lines of this process, for the heartbeat."""

    def emit(self, record: logging.LogRecord) -> None:
        _recent.append(self.format(record))


def open_file(path: Path) -> list[str]:
    """Write to this file from now on; return as a warning why that is not possible."""
    logging.raiseExceptions = False  # a full disk must not stop a backup in the middle
    warnings, handlers = [], list[logging.Handler]([_Recent()])
    try:
        handlers.append(_PrivateFile(path, maxBytes=MOST_BYTES, backupCount=KEPT_FILES))
    except OSError as error:
        closed = path if os.path.exists(path) else path.parent
        remedy = owners.remedy(closed, CORRECT) if isinstance(error, PermissionError) else CORRECT
        why = "nobody reads that pipe" if error.errno == errno.ENXIO else error.strerror
        warnings.append(f"the log {path} cannot be written ({why}): {remedy}")
    for handler in handlers:
        handler.setFormatter(_Clean(*FORMAT))
        _logger.addHandler(handler)
    return warnings


def recent() -> list[str]:
    """Return the last lines that this process wrote."""
    return list(_recent)


def info(text: str) -> None:
    _logger.info(text)


def warning(text: str) -> None:
    _logger.warning(text)


def error(text: str) -> None:
    _logger.error(text)


def last_sync() -> None:
    """Leave the line that `grep "Last Sync"` looks for."""
    info(f"Last Sync: {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}")
