"""Each gateway's slice of the register: made of the snapshot, versioned, owed, and sent again until it runs there.

A slice is derived: after each change of the register, and at every start, what each gateway should have is compared
with what it was last told. So a station that is killed between a change and its slice makes it when it comes back.
What a gateway was set up with is version 0, and is sent to nobody.

Gateways with a reader at a checkpoint are told which tags are known: numbers, never whose. All of them, not those of
the guards who patrol there: whoever stands in from elsewhere must be known too, and whether a short number is one card
or may be two is decided by all that are enrolled, here and at the reader alike. 3,000 cards are 40 KB; of more than
`MOST_TAGS` the first are said, cards before what hangs at checkpoints, which phones read. A gateway without such a
reader is told nothing of tags, and goes by its site file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import structlog
from sqlmodel import Session

from api.clock import Clock
from api.database import Database
from api.outgoing import service as outgoing
from api.register.models import GatewaySlice
from api.register.service import Register
from api.register.snapshot import GroupNow, PlaceNow, Snapshot, UnitNow
from api.register.unit_keys import UnitKeys
from broker.ids import EVENT_ID_RANDOM_BYTES, EventId, GatewayId, GroupId, HouseholdId, event_id
from broker.messages import GatewayStatus, clean
from broker.sealing import SECRET_BYTES
from broker.signing import gateway_of_kid
from broker.slices import RegisterSlice, SliceGroup, SliceHousehold, SlicePeer, SliceUnit, parts, seal_keys

AGAIN_MS: Final = 10_000
"""A gateway that still runs an older slice so long after it was sent is sent it again."""
DRIFT: Final = "register_drift"
MOST_TAGS: Final = 20_000
"""In one slice: 260 KB, in 30 messages."""

log = structlog.get_logger("api.slices")


def slice_of(now: Snapshot, gateway: str, *, keys: Mapping[str, str] | None = None) -> RegisterSlice:
    """What a gateway works with: its groups, everybody in them or with a unit on it, and nothing of anybody else."""
    return Slicer(now, keys or {}).make(gateway)


@dataclass(frozen=True, slots=True)
class TagsNow:
    """The tags that are known, and the gateways with a reader at a checkpoint."""

    tags: tuple[str, ...] = ()
    readers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom a gateway has to do with: its groups, everybody in them or with a unit on it.

    `remote`: those with something on it whom another gateway may have to alert.
    """

    groups: tuple[GroupNow, ...]
    places: tuple[PlaceNow, ...]
    remote: frozenset[HouseholdId]


class Slicer:
    """Makes the slices of one snapshot. `keys`: public keys of gateways by kid."""

    def __init__(self, now: Snapshot, keys: Mapping[str, str], tags: TagsNow | None = None) -> None:
        self._now = now
        self._tags = TagsNow() if tags is None else tags
        self._said = tuple(sorted({*self._tags.tags[:MOST_TAGS]}))
        self._keys: dict[str, dict[str, str]] = {}
        for kid, key in keys.items():
            self._keys.setdefault(gateway_of_kid(kid), {})[kid] = key
        self._revoked = {str(one) for one, key in now.contents.gateway_keys.items() if key is None}
        self.gateways = frozenset(self._keys)
        """Those that are believed."""
        self._units: dict[str, list[UnitNow]] = {}
        self._where: dict[str, set[str]] = {
            group: set() if found.gateway is None else {str(found.gateway)} for group, found in now.groups.items()
        }
        """The gateways of each group: its home, and those with something of its households on them."""
        for unit in now.contents.units:
            if unit.gateway is not None:
                self._units.setdefault(unit.gateway, []).append(unit)
                group = now.groups_of_places.get(unit.place)
                if group is not None:
                    self._where[group].add(unit.gateway)
        self._groups: dict[str, list[str]] = {}
        for group, gateways in self._where.items():
            for gateway in gateways:
                self._groups.setdefault(gateway, []).append(group)

    def reached(self, gateway: str) -> Reached:
        """Whom a gateway has to do with: what its slice and its rights at the broker are made of."""
        now = self._now
        groups = tuple(now.groups[GroupId(group)] for group in sorted(self._groups.get(gateway, ())))
        own = {unit.place for unit in self._units.get(gateway, ())}
        ids = own.union(*(now.members.get(group.id, ()) for group in groups))
        places = tuple(now.places[place] for place in sorted(ids) if place in now.places)
        remote = (
            place.id
            for place in places
            if place.id in own and place.group is not None and len(self._where[place.group]) > 1
        )
        return Reached(groups, places, frozenset(remote))

    def make(self, gateway: str) -> RegisterSlice:
        """The slice of one gateway, as version 0."""
        units, reached = self._units.get(gateway, []), self.reached(gateway)
        peers = {one for group in reached.groups for one in self._where[group.id]} - {gateway} - self._revoked
        return RegisterSlice(
            station=str(self._now.contents.station),
            gateway=GatewayId(gateway),
            version=0,
            groups=tuple(SliceGroup(id=one.id, community=one.community, grid=one.grid) for one in reached.groups),
            households=tuple(_household(place, remote=place.id in reached.remote) for place in reached.places),
            units=tuple(_unit(unit) for unit in sorted(units, key=lambda unit: unit.id)),
            peers=tuple(SlicePeer(gateway=GatewayId(peer), public=self._keys.get(peer, {})) for peer in sorted(peers)),
            tags=self._said if gateway in self._tags.readers else None,
        )


def _household(place: PlaceNow, *, remote: bool) -> SliceHousehold:
    return SliceHousehold(
        id=place.id,
        group=place.group,
        door=place.door,
        label=clean(place.label),
        excludes=tuple(sorted(place.excludes)),
        medical_consent=place.medical_consent,
        duress=place.duress,
        remote=remote,
        quiet_until_ms=place.quiet_until_ms,
    )


def _unit(unit: UnitNow) -> SliceUnit:
    return SliceUnit(
        id=unit.id,
        household=unit.place,
        sort=unit.sort.value,
        line=unit.line,
        address=unit.address,
        silent=unit.silent,
        volume=unit.volume,
        night_volume=unit.night_volume,
        strobe=unit.strobe,
        installing=not unit.handed,
    )


def _content(one: RegisterSlice, marks: Mapping[str, str]) -> str:
    """What a slice says with its units' keys, as a digest: another one means that it has to be sent."""
    keyed = [f"{unit.id} {marks[unit.id]}" for unit in one.units if unit.id in marks and unit.sort == "native"]
    return sha256("\n".join([one.content(), *keyed]).encode()).hexdigest() if keyed else one.content()


class Slices:
    """Keeps every gateway's slice up to date."""

    def __init__(
        self,
        register: Register,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        keys: UnitKeys,
        tags: Callable[[Session], TagsNow] = lambda _session: TagsNow(),
    ) -> None:
        self._register = register
        self._tags = tags
        self._keys = keys
        self._clock = clock
        self._random_bytes = random_bytes

    def renew(self, database: Database) -> bool:
        """Make and owe what changed since it was last made. Returns whether anything did: then wake the sender."""
        now = self._register.now
        with database.read() as session:
            tags = self._tags(session)
        if len(tags.tags) > MOST_TAGS:
            log.warning("slices.too_many_tags", tags=len(tags.tags), most=MOST_TAGS)
        slicer = Slicer(now, self._register.gateway_keys, tags)
        made = [slicer.make(gateway) for gateway in sorted(self._register.gateways)]
        with database.read() as session:
            marks = self._keys.marks(session)
            known = {one.gateway: self._row(session, one.gateway) for one in made}
            stale = [
                one for one in made if (row := known[one.gateway]) is None or row.sha256 != _content(one, marks)
            ]  # fmt: skip
        if not stale:
            return False
        with database.write() as session:
            old = self._register.now is not now or self._tags(session) != tags
            if old:  # another process changed it: its slices may be there already
                stale = []
            marks = self._keys.marks(session)
            for one in stale:
                self._renew(session, one, _content(one, marks))
        return self.renew(database) if old else True

    def reported(self, session: Session, status: GatewayStatus) -> None:
        """A gateway said which slice it runs. One that runs an older slice is sent the newest again."""
        row = self._row(session, status.gateway)
        if row is None or status.register_version is None or not status.online:
            return
        now_ms = self._clock()
        row.runs, row.runs_ms, row.drift = status.register_version, now_ms, DRIFT in status.faults
        row.sealing_key = status.sealing_key or row.sealing_key
        above = row.runs > row.version  # our tables are older than what it runs: what we say now shall count
        if above or (row.version and row.sealed_for != row.sealing_key):
            row.version = max(row.version, row.runs) + 1
            row.text = self._text(session, row, RegisterSlice.model_validate_json(row.text))
            row.sent_ms = None
        if row.runs < row.version and (row.sent_ms is None or now_ms - row.sent_ms >= AGAIN_MS):
            self._owe(session, row)
        session.flush()

    def _renew(self, session: Session, one: RegisterSlice, content: str) -> None:
        row = self._row(session, one.gateway)
        now_ms = self._clock()
        if row is None:  # what it was set up with: the station's settings and the gateway's came from one file
            version = 0 if self._register.version == 0 else 1
            text = one.model_copy(update={"version": version}).text().decode()
            row = GatewaySlice(
                station=self._register.station, gateway=one.gateway, version=version, sha256=content, text=text,
                made_ms=now_ms,
            )  # fmt: skip
            session.add(row)
        elif row.sha256 == content:
            return
        else:
            row.version += 1
            row.sha256, row.made_ms = content, now_ms
            row.text = self._text(session, row, one)
        if row.version:
            self._owe(session, row)
        session.flush()

    def _owe(self, session: Session, row: GatewaySlice) -> None:
        now_ms = self._clock()
        ids = self._ids(now_ms)
        bodies = parts(
            row.text.encode(), station=self._register.station, gateway=row.gateway, version=row.version, ids=ids
        )
        outgoing.owe(session, bodies, alarm=None, happened_ms=now_ms)
        row.sent_ms = now_ms
        log.info("slices.owed", gateway=row.gateway, version=row.version, parts=len(bodies))

    def _row(self, session: Session, gateway: str) -> GatewaySlice | None:
        return session.get(GatewaySlice, (str(self._register.station), gateway))

    def _text(self, session: Session, row: GatewaySlice, one: RegisterSlice) -> str:
        """The text of a slice in the version of its row, with its units' keys sealed for the gateway."""
        row.sealed_for, sealed = row.sealing_key, None
        if row.sealing_key is not None:
            keys = self._keys.of(session, [unit.id for unit in one.units if unit.sort == "native"])
            try:
                key = bytes.fromhex(row.sealing_key)
                sealed = seal_keys(keys, one, key=key, secret=self._random_bytes(SECRET_BYTES)) if keys else None
            except ValueError:  # a point that is no key; it goes on with the keys that it has
                log.warning("slices.no_sealing_key", gateway=row.gateway)
        return one.model_copy(update={"version": row.version, "sealed": sealed}).text().decode()

    def _ids(self, now_ms: int) -> Iterator[EventId]:
        while True:
            yield event_id(now_ms, self._random_bytes(EVENT_ID_RANDOM_BYTES))
