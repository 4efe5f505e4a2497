"""Logs: one JSON object a line on standard error, without anything personal."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

PERSONAL: Final = frozenset(
    {"name", "label", "door", "place", "household", "phone", "address", "token", "password", "payload", "body"}
)
"""Fields that are never written, whoever logs them."""


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take the values of personal fields out."""
    for field in PERSONAL & event.keys():
        event[field] = "[redacted]"
    return event


def configure() -> None:
    """Set it up once, for this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format='{"level": "%(levelname)s", "event": "%(name)s"}'
    )
