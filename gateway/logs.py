"""Logs: one JSON object a line on standard error, without anything personal, and never a value from the stack."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from broker.redaction import REDACTED, without_values

PERSONAL: Final = frozenset({"label", "door", "place", "household", "key", "seed", "password", "payload", "body"})
"""Fields that are never written, whoever logs them."""
LONGEST: Final = 500
"""What a peer had to say may be long."""


def clean(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take the values of personal fields out, and of every text what somebody wrote; cut texts to a length."""
    for field, value in event.items():
        if field in PERSONAL:
            event[field] = REDACTED
        elif not isinstance(value, bool | int | float | None):
            text = without_values(value if isinstance(value, str) else str(value))
            event[field] = text if field == "exception" or len(text) <= LONGEST else text[:LONGEST] + "..."
    return event


def configure() -> None:
    """Set it up once, for this process. Tracebacks are plain: pretty ones would show what variables hold, keys too."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            clean,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Others()], force=True)
    sys.excepthook = lambda _kind, error, _trace: _failed("program", error)
    threading.excepthook = lambda said: _failed("thread", said.exc_value)
    sys.unraisablehook = lambda said: _failed("clearing up", said.exc_value)


class _Others(logging.Handler):
    """What libraries log, in the same form; without a handler Python would print it as it is."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on."""
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def _failed(where: str, error: BaseException | None) -> None:
    """Python itself would print what nobody caught with all its words."""
    if isinstance(error, Exception):
        structlog.get_logger("gateway").error("a mistake that nobody caught", where=where, exc_info=error)
