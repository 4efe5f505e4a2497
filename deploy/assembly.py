"""What each program is told, put together from the site file and the keys. Nothing else knows all three settings.

The station's and the simulator's are imported where they are made: a gateway does not carry them in its memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import SecretBytes, SecretStr

from broker.acl import Principal
from broker.ids import GatewayId
from broker.signing import STATION_KID, gateway_kid
from deploy import accounts
from deploy.keys import KeyMissing, Keys
from deploy.site import Contact, Gateway, Line, Remote, Site, Zigbee, ZigbeeButton
from devices.radio433 import Form
from gateway import settings as gateway_side
from gateway.settings import GatewaySettings

CLOSE_S: Final = 20
CLOSE_STATUS_S: Final = 5
"""A site that wants to know within 20 s of a lost gateway has gateways that tell their state every 5 s."""
FORMER: Final = "seed.former"
"""Beside the station's signing key: the one that it had before."""

if TYPE_CHECKING:
    from api.settings import StationSettings, TlsListener
    from api.settings import Unit as StationUnit
    from firmware_sim.settings import VillageSettings


class UnknownGateway(LookupError):
    """The site has no such gateway. Fields: `gateway`, `known`."""

    def __init__(self, gateway: str, known: tuple[str, ...]) -> None:
        self.gateway = gateway
        self.known = known
        super().__init__(f"there is no gateway {gateway!r} in the site file, only {', '.join(known) or 'none'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker is."""

    host: str = "127.0.0.1"
    port: int
    ca: Path | None = None
    mutual: bool = False
    """Whether it knows its accounts by their certificates."""


def broker_address(site: Site, *, state: Path) -> BrokerAddress:
    """Where the site file says that the broker is."""
    ca = None if site.broker.ca is None else state / site.broker.ca
    return BrokerAddress(host=site.broker.host, port=site.broker.port, ca=ca, mutual=site.broker.mutual)


def find_gateway(site: Site, gateway: str) -> Gateway:
    """The gateway of this id. Raises UnknownGateway."""
    found = site.gateway(GatewayId(gateway))
    if found is None:
        raise UnknownGateway(gateway, tuple(one.id for one in site.gateways))
    return found


def ports(site: Site, gateway: str, *, state: Path) -> dict[str, Path]:
    """The port of each line of a gateway, by the line's name. A relative one lies in the state directory."""
    return {line.name: state / line.port for line in find_gateway(site, gateway).lines}


def gateway_settings(
    site: Site,
    keys: Keys,
    gateway: str,
    *,
    state: Path,
    broker: BrokerAddress | None = None,
    gpio: Literal["none", "mock", "lgpio"] | None = None,
    gpio_socket: Path | None = None,
) -> GatewaySettings:
    """All that one gateway is told. `broker` and `gpio` replace what the site file says. Raises KeysError."""
    own = find_gateway(site, gateway)
    part = accounts.slice_of(site, own)
    user = accounts.gateway_user(site, own.id)
    address = broker or broker_address(site, state=state)
    identity = keys.identity(gateway_kid(own.id)) if address.mutual else None
    return gateway_side.GatewaySettings(
        station=site.station.id,
        gateway=own.id,
        place=own.place,
        state=state,
        broker=gateway_side.BrokerAccess(
            host=address.host,
            port=address.port,
            user=user,
            password=SecretStr(keys.password(user)) if identity is None else None,
            ca=address.ca or (None if identity is None else identity.root),
            certificate=None if identity is None else identity.certificate,
            key=None if identity is None else identity.key,
        ),
        road=_road(site, state),
        signing_seed=SecretBytes(keys.seed(gateway_kid(own.id))),
        known_keys={kid: keys.public_key(kid) for kid in (STATION_KID, *(gateway_kid(one) for one in part.peers))},
        lines=tuple(_line(own, line, state) for line in own.lines),
        units=tuple(
            gateway_side.Unit(
                id=unit.id,
                line=unit.line,
                address=unit.address,
                household=unit.household,
                key=SecretBytes(keys.unit(own.id, unit.id)),
                silent=unit.silent,
                volume=unit.volume,
                night_volume=unit.night_volume,
                strobe=unit.strobe,
            )
            for unit in own.units
        ),
        unit_keys={unit: SecretBytes(key) for unit, key in keys.units_of(own.id).items()},
        households=tuple(
            gateway_side.Household(
                id=household.id,
                group=household.group,
                door=household.door,
                label=household.label,
                excludes=household.excludes,
                medical_consent=household.medical_consent,
                duress=household.duress,
                remote=household.id in part.rings,
            )
            for household in part.households
        ),
        groups=tuple(
            gateway_side.Group(id=group.id, community=site.community(group), grid=group.grid) for group in part.groups
        ),
        readers=tuple(
            gateway_side.Reader(
                id=reader.id,
                line=reader.line,
                d0=reader.d0,
                d1=reader.d1,
                form=reader.form,
                reversed_octets=reader.reversed,
                buzzer=reader.buzzer,
                lamp=reader.lamp,
                active_high=reader.active_high,
            )
            for reader in own.readers
        ),
        contacts=tuple(
            gateway_side.Contact(
                id=contact.id,
                pin=contact.pin,
                household=contact.household,
                kind=contact.kind,
                role=contact.role,
                normally_closed=contact.normally_closed,
                buzzer=contact.buzzer,
                lamp=contact.lamp,
                active_high=contact.active_high,
            )
            for contact in own.contacts
        ),
        sounders=tuple(
            gateway_side.Sounder(
                id=sounder.id,
                pin=sounder.pin,
                household=sounder.household,
                group=sounder.group,
                active_high=sounder.active_high,
            )
            for sounder in own.sounders
        ),
        remotes=tuple(
            gateway_side.Remote(
                id=remote.id,
                identity=remote.identity,
                command=remote.command,
                household=remote.household,
                kind=remote.kind,
            )
            for remote in own.remotes
        ),
        zigbee=None if own.zigbee is None else _zigbee(keys, own.id, own.zigbee),
        zigbee_buttons=tuple(
            gateway_side.ZigbeeButton(
                id=button.id, name=button.name, household=button.household, actions=dict(button.actions)
            )
            for button in own.zigbee_buttons
        ),
        tags=frozenset(tag.tag for tag in site.tags),
        heartbeat_s=own.heartbeat_s,
        siren_s=own.siren_s,
        not_reached_s=own.not_reached_s,
        status_s=min(own.status_s, CLOSE_STATUS_S) if site.station.lost_within_s == CLOSE_S else own.status_s,
        night=own.night,
        utc_offset_min=site.station.utc_offset_min,
        gpio=gpio or own.factory,
        gpio_socket=gpio_socket,
        keep_events=own.keep_events,
    )


def _road(site: Site, state: Path) -> gateway_side.StationAccess | None:
    """Where gateways reach the station when the broker's road fails."""
    if site.road is None:
        return None
    ca = None if site.road.ca is None else state / site.road.ca
    return gateway_side.StationAccess(url=site.road.url, ca=ca, after_s=site.road.after_s)


def _line(gateway: Gateway, line: Line, state: Path) -> gateway_side.Line:
    reader = next((reader.id for reader in gateway.readers if reader.line == line.name), None)
    return gateway_side.Line(
        name=line.name, port=state / line.port, baud=line.baud, kind=line.kind, reader=reader, form=line.form or "timed"
    )


def _zigbee(keys: Keys, gateway: GatewayId, zigbee: Zigbee) -> gateway_side.ZigbeeAccess:
    password = None
    if zigbee.user is not None:
        known = keys.zigbee.get(gateway, {})
        if zigbee.user not in known:
            path = keys.directory / "gateways" / gateway / "zigbee"
            raise KeyMissing(path, f"the password of {zigbee.user}", hint="write the line `user password` there")
        password = SecretStr(known[zigbee.user])
    return gateway_side.ZigbeeAccess(
        host=zigbee.host, port=zigbee.port, user=zigbee.user, password=password, base=zigbee.base
    )


def station_settings(
    site: Site,
    keys: Keys,
    *,
    state: Path,
    broker: BrokerAddress | None = None,
    http_port: int | None = None,
) -> StationSettings:
    """All that the station is told. `http_port` 0 takes a free one. Raises KeysError."""
    from api import settings as station_side

    user = accounts.station_user(site)
    address = broker or broker_address(site, state=state)
    identity = keys.identity(STATION_KID) if address.mutual else None
    seed = keys.seed_path(STATION_KID)
    return station_side.StationSettings(
        station=site.station.id,
        lost_within_s=site.station.lost_within_s,
        broker=station_side.BrokerAccess(
            host=address.host,
            port=address.port,
            user=user,
            password=SecretStr(keys.password(user)) if identity is None else None,
            ca=address.ca or (None if identity is None else identity.root),
            certificate=None if identity is None else identity.certificate,
            key=None if identity is None else identity.key,
        ),
        database=f"sqlite:///{state / 'station.db'}",
        http=station_side.HttpAddress(
            host=site.station.host,
            port=site.station.port if http_port is None else http_port,
            tls=_listener(site, state),
        ),
        signing=station_side.SigningKey(path=seed, former=tuple(filter(Path.is_file, [seed.with_name(FORMER)]))),
        notify=station_side.NotifySettings(link=site.notify.link or "", loopback=site.notify.loopback),
        gateway_keys={kid: keys.public_key(kid) for kid in (gateway_kid(gateway.id) for gateway in site.gateways)},
        officers=tuple(
            station_side.Officer(
                id=officer.id,
                name=officer.label or officer.id,
                role=officer.role,
                token_hash=keys.officer(officer.id),
            )
            for officer in site.officers
        ),
        groups=tuple(
            station_side.Group(id=group.id, community=site.community(group), grid=group.grid, gateway=site.home(group))
            for group in site.groups
        ),
        households=tuple(
            station_side.Household(
                id=household.id,
                group=household.group,
                door=household.door,
                label=household.label,
                excludes=household.excludes,
                medical_consent=household.medical_consent,
                duress=household.duress,
            )
            for household in site.households
        ),
        units=tuple(_station_units(site)),
        unit_keys={unit: key.hex() for unit, key in keys.units.items()},
        mqtt_households=tuple(household.id for household in site.households if household.mqtt),
        broker_access=state / accounts.ACCESS_FILE,
        area_names={site.station.id: site.station.label}
        | {area.id: area.label for area in site.communities}
        | {area.id: area.label for area in site.grids}
        | {area.id: area.label for area in site.groups},
    )


def _listener(site: Site, state: Path) -> TlsListener | None:
    """HTTPS, with the files that `shouwang ca station` makes; of another authority there are only two."""
    from api.settings import TlsListener
    from deploy import authority

    if site.tls is None:
        return None
    folder = state / site.tls.folder
    root, issued = folder / authority.ROOT, folder / authority.ISSUED
    return TlsListener(
        port=site.tls.port,
        public_port=site.tls.public_port,
        certificate=folder / authority.STATION,
        key=folder / authority.STATION_KEY,
        root=root if root.exists() else None,
        issued=issued if issued.exists() else None,
        redirect=site.tls.redirect,
        hsts=site.tls.hsts,
    )


def _station_units(site: Site) -> Iterator[StationUnit]:
    """Everything that somebody can press, on whichever gateway."""
    from api.settings import Unit

    for gateway in site.gateways:
        for unit in gateway.units:
            yield Unit(
                id=unit.id,
                household=unit.household,
                gateway=gateway.id,
                line=unit.line,
                address=unit.address,
                silent=unit.silent,
                volume=unit.volume,
                night_volume=unit.night_volume,
                strobe=unit.strobe,
            )
        sorts: tuple[tuple[Literal["contact", "remote", "zigbee"], tuple[Contact | Remote | ZigbeeButton, ...]], ...]
        sorts = (("contact", gateway.contacts), ("remote", gateway.remotes), ("zigbee", gateway.zigbee_buttons))
        for sort, devices in sorts:
            for device in devices:
                if device.household is not None:
                    yield Unit(id=device.id, household=device.household, sort=sort, gateway=gateway.id)


def station_text(settings: StationSettings) -> str:
    """The JSON file that the station program reads. It holds a password: whoever writes it makes it 0600."""
    plain = settings.model_dump(mode="json")
    if settings.broker.password is not None:
        plain["broker"]["password"] = settings.broker.password.get_secret_value()  # the dump has stars there
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"


def village_settings(
    site: Site, keys: Keys, gateway: str, *, seed: int = 1, heartbeat_s: float | None = None
) -> VillageSettings:
    """What hangs on a gateway's lines, for the simulator. Raises KeysError."""
    from firmware_sim import settings as village_side

    own = find_gateway(site, gateway)
    doors = {household.id: household.door or 0 for household in site.households}
    return village_side.VillageSettings(
        lines=tuple(
            village_side.LineSettings(
                name=line.name,
                baud=line.baud,
                kind=village_side.LineKind(line.kind),
                form=Form(line.form or Form.TIMED),
                units=tuple(
                    village_side.UnitSettings(
                        name=unit.id,
                        unit=unit.address,
                        key=keys.unit(own.id, unit.id),
                        door=doors.get(unit.household, 0),
                    )
                    for unit in own.units
                    if unit.line == line.name
                ),
            )
            for line in own.lines
        ),
        seed=seed,
        heartbeat_s=own.heartbeat_s if heartbeat_s is None else heartbeat_s,
    )


def principals(site: Site, keys: Keys) -> dict[Principal, str]:
    """Every account of the site's broker with its password. `keys.passwords` has them by name. Raises KeysError."""
    return {principal: keys.password(principal.user) for principal in accounts.principals(site)}
