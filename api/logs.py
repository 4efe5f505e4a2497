"""Logs: one JSON object a line on standard error, without anything personal."""

import logging
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from broker.redaction import REDACTED, without_values

PERSONAL: Final = frozenset(
    {
        "name", "label", "door", "place", "household", "phone", "address", "token", "password", "payload", "body",
        "words", "note", "notes", "contact", "occupant", "secret", "pin", "code", "lat_e6", "lon_e6", "cookie",
    }
)  # fmt: skip
"""Fields that are never written, whoever logs them."""


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take the values of personal fields out, however deep they stand, and of every text what somebody wrote."""
    for field in event:
        event[field] = REDACTED if field in PERSONAL else _without(event[field])
    return event


def _without(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: REDACTED if key in PERSONAL else _without(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_without(one) for one in value]
        case str():
            return without_values(value)
        case _:
            return value


def configure() -> None:
    """Set it up once, for this process; what libraries log comes out in the same form."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, as_json],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    sys.excepthook = lambda _kind, error, _trace: _failed("program", error)
    threading.excepthook = lambda said: _failed("thread", said.exc_value)
    sys.unraisablehook = lambda said: _failed("clearing up", said.exc_value)


def _failed(where: str, error: BaseException | None) -> None:
    """Python itself would print what nobody caught with all its words."""
    if isinstance(error, Exception):
        structlog.get_logger("api").error("station.bug", where=where, exc_info=error)
