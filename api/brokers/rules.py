"""Who has an account at the broker, and what each may do there: worked out from the register. Pure.

Theory:

1. The station, the police, every gateway that is believed, every community and every grid has one, because it is there.
2. People have none by default. A household has one when it was given one, for as long as the same occupant lives there.
3. A gateway may alert those who are in its slice, and hears of the households whose units hang on it though others
   may have to alert them: the slice says both, so rights and slice never say different things.
4. What was taken back is gone, whatever the register says.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from api.register.models import Meaning
from api.register.slices import Reached, Slicer
from api.register.snapshot import Snapshot
from broker.access import Access
from broker.acl import Principal
from broker.ids import StationId
from broker.topics import Role

AREAS: Mapping[Meaning, Role] = {Meaning.COMMUNITY: Role.COMMUNITY, Meaning.GRID: Role.GRID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An account that was given out, or taken back (`ended`)."""

    role: Role
    id: str = ""
    seat: str = ""
    occupant: str | None = None
    digest: str | None = None
    ended: bool = False


def access(now: Snapshot, keys: Mapping[str, str], given: Iterable[Given]) -> Access:
    """Every account that there is now. `keys`: public keys of the gateways that are believed, by kid."""
    station = now.contents.station
    slicer = Slicer(now, keys)
    everybody = {
        one.user: one
        for one in (
            Principal(station=station, role=Role.STATION),
            Principal(station=station, role=Role.POLICE),
            *(gateway_principal(station, gateway, slicer.reached(gateway)) for gateway in slicer.gateways),
            *_areas(now),
        )
    }
    digests: dict[str, str] = {}
    for one in given:
        who = Principal(station=station, role=one.role, id=one.id, seat=one.seat)
        if one.ended:
            everybody.pop(who.user, None)
        elif there(now, one, gateways=slicer.gateways):
            everybody.setdefault(who.user, who)
            if one.digest is not None:
                digests[who.user] = one.digest
    return Access(principals=tuple(everybody.values()), digests=digests)


def gateway_principal(station: StationId, gateway: str, reached: Reached) -> Principal:
    """The account of a gateway."""
    return Principal(
        station=station,
        role=Role.GATEWAY,
        id=gateway,
        alerts=frozenset(
            (
                *(f"{Role.HOUSEHOLD}:{place.id}" for place in reached.places),
                *(f"{Role.GRID}:{group.grid}" for group in reached.groups if group.grid is not None),
                *(f"{Role.COMMUNITY}:{group.community}" for group in reached.groups if group.community is not None),
            )
        ),
        rings=reached.remote,
    )


def there(now: Snapshot, one: Given, *, gateways: Iterable[str]) -> bool:
    """Whether the one whose account that is, is there."""
    match one.role:
        case Role.HOUSEHOLD:
            place = now.places.get(one.id)
            return place is not None and place.occupant is not None and place.occupant == one.occupant
        case Role.COMMUNITY | Role.GRID:
            area = now.areas.get(one.id)
            return area is not None and AREAS.get(area.meaning) is one.role
        case Role.GATEWAY:
            return one.id in gateways
        case _:
            return one.role is Role.POLICE


def _areas(now: Snapshot) -> Iterator[Principal]:
    for area in now.areas.values():
        role = AREAS.get(area.meaning)
        if role is not None:
            yield Principal(station=now.contents.station, role=role, id=area.id)
