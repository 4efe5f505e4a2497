"""Who may do what at the broker, as the station says it to whoever runs the broker: one JSON text. Pure.

The register is where accounts come from. A text names every principal with what it may alert and what it rings for, and
the digests of the passwords that the station gave out; passwords that the site file's keys hold are not in it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.acl import Principal
from broker.ids import StationId
from broker.topics import Role


class NoAccess(ValueError):
    """A text that says nothing about access."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Every account of a station's broker. `digests` by user name, as mosquitto's password file has them."""

    principals: tuple[Principal, ...]
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)

    def text(self) -> str:
        """As JSON: the same for the same access, whatever the order of its parts."""
        everybody = sorted(self.principals, key=lambda one: one.user)
        values = {"v": 1, "principals": [_plain(one) for one in everybody], "digests": dict(self.digests)}
        return json.dumps(values, sort_keys=True)


def read(text: str) -> Access:
    """What a text says. Raises NoAccess."""
    try:
        match json.loads(text):
            case {"v": 1, "principals": [*principals], "digests": dict(digests)}:
                return Access(
                    principals=tuple(_principal(one) for one in principals),
                    digests={str(user): _digest(digest) for user, digest in digests.items()},
                )
    except (ValueError, TypeError, KeyError) as error:
        raise NoAccess(f"{type(error).__name__}: {error}"[:200]) from None
    raise NoAccess("this is another kind of text")


def _plain(one: Principal) -> dict[str, Any]:
    alerts = None if one.alerts is None else sorted(one.alerts)
    values = {"station": one.station, "role": one.role, "id": one.id, "seat": one.seat, "alerts": alerts}
    return values | {"rings": sorted(one.rings)}


def _principal(values: dict[str, Any]) -> Principal:
    alerts = values["alerts"]
    return Principal(
        station=StationId(values["station"]),
        role=Role(values["role"]),
        id=values["id"],
        seat=values["seat"],
        alerts=None if alerts is None else frozenset(_audiences(alerts)),
        rings=frozenset(_texts(values["rings"])),
    )


def _texts(values: Iterable[object]) -> list[str]:
    if any(not isinstance(one, str) for one in values):
        raise ValueError("an id is a text")
    return [str(one) for one in values]


def _audiences(values: Iterable[object]) -> list[str]:
    found = _texts(values)
    for one in found:
        Role(one.partition(":")[0])
    return found


def _digest(text: object) -> str:
    if not isinstance(text, str) or not text.startswith("$7$") or any(char.isspace() or char == ":" for char in text):
        raise ValueError("a digest is $7$...")
    return text
