"""Which alarms of other gateways rang here: known after a restart, so that one who recorded them makes none ring again.

An alarm's message is genuine for ever, and its age is what it was when it was sent. While the gateway runs it knows
what has rung; a restart must not make it forget.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from broker.ids import EventId

FILE: Final = "rung.json"


def load(state: Path) -> dict[str, list[EventId]]:
    """What rang, by audience, oldest first; nothing where it cannot be read. Blocking."""
    try:
        found = json.loads((state / FILE).read_bytes())
        return {str(audience): [EventId(str(alarm)) for alarm in alarms] for audience, alarms in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def keep(state: Path, rung: Mapping[str, Sequence[EventId]]) -> None:
    """Keep it durably. Blocking. Raises OSError."""
    path = state / FILE
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        json.dump({audience: list(alarms) for audience, alarms in rung.items()}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)  # noqa: PTH105 - beside os.open
