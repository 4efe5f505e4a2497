"""Logs: one JSON object a line on standard error, without anything personal, and never a value from the stack."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

PERSONAL: Final = frozenset({"label", "door", "place", "household", "key", "seed", "password", "payload", "body"})
"""Fields that are never written, whoever logs them."""
LONGEST: Final = 500
"""What a peer had to say may be long."""


def clean(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take the values of personal fields out, and cut the others to a length."""
    for field, value in event.items():
        if field in PERSONAL:
            event[field] = "[redacted]"
        elif isinstance(value, str) and len(value) > LONGEST:
            event[field] = value[:LONGEST] + "..."
    return event


def configure() -> None:
    """Set it up once, for this process. Tracebacks are plain: pretty ones would show what variables hold, keys too."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            clean,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
