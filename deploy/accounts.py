"""Who has an account at the broker of a site, and what part of the register each gateway holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from broker.acl import Principal
from broker.ids import GatewayId, GroupId, HouseholdId
from broker.topics import Role
from deploy.site import Gateway, Group, Household, Site

ACCESS_FILE: Final = "broker-access.json"
"""In the station's state folder: who may do what at the broker by the register. From then on it counts, not this."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A gateway's part of the register: the groups that it alerts, and everybody in them or with something on it.

    `peers` are other gateways with somebody of the same groups on them. `rings` are the households with something
    here that a peer may have to alert: each has neighbours there, and hears of them by the broker.
    """

    groups: tuple[Group, ...]
    households: tuple[Household, ...]
    rings: frozenset[HouseholdId]
    peers: tuple[GatewayId, ...]


def slice_of(site: Site, gateway: Gateway) -> Slice:
    """The part of the register that `gateway` works with; nothing about anybody else."""
    where = _gateways_of_groups(site)
    groups = tuple(group for group in site.groups if gateway.id in where[group.id])
    own, names = gateway.households, {group.id for group in groups}
    shared = {group.id for group in groups if len(where[group.id]) > 1}
    peers = {id_ for group in groups for id_ in where[group.id]} - {gateway.id}
    return Slice(
        groups=groups,
        households=tuple(one for one in site.households if one.group in names or one.id in own),
        rings=frozenset(one.id for one in site.households if one.group in shared and one.id in own),
        peers=tuple(sorted(peers)),
    )


def _gateways_of_groups(site: Site) -> Mapping[GroupId, set[GatewayId]]:
    """The gateways of each group: its home, and those with something of its households on them."""
    where = {group.id: {home} if (home := site.home(group)) else set() for group in site.groups}
    groups = {household.id: household.group for household in site.households}
    for gateway in site.gateways:
        for group in {groups.get(household) for household in gateway.households}:
            if group in where:
                where[group].add(gateway.id)
    return where


def principals(site: Site) -> tuple[Principal, ...]:
    """Every account of the site's broker.

    The station, the gateways, and those who receive: police, communities, grids. Of the households only those that
    the file gives one (`mqtt = true`): people have no accounts by default.
    """
    station = site.station.id
    return (
        Principal(station=station, role=Role.STATION),
        *(gateway_principal(site, gateway) for gateway in site.gateways),
        Principal(station=station, role=Role.POLICE),
        *(Principal(station=station, role=role, id=id_) for role, id_ in _receivers(site)),
    )


def gateway_principal(site: Site, gateway: Gateway) -> Principal:
    """A gateway's account: it may alert its own slice, and hears of whom it rings for others."""
    part = slice_of(site, gateway)
    communities = (site.community(group) for group in part.groups)
    return Principal(
        station=site.station.id,
        role=Role.GATEWAY,
        id=gateway.id,
        alerts=frozenset(
            (
                *(f"{Role.HOUSEHOLD}:{household.id}" for household in part.households),
                *(f"{Role.GRID}:{group.grid}" for group in part.groups if group.grid is not None),
                *(f"{Role.COMMUNITY}:{community}" for community in communities if community is not None),
            )
        ),
        rings=frozenset(part.rings),
    )


def gateway_user(site: Site, gateway: GatewayId) -> str:
    """The account name of a gateway."""
    return Principal(station=site.station.id, role=Role.GATEWAY, id=gateway).user


def station_user(site: Site) -> str:
    """The account name of the station."""
    return Principal(station=site.station.id, role=Role.STATION).user


def _receivers(site: Site) -> Iterator[tuple[Role, str]]:
    yield from ((Role.COMMUNITY, community.id) for community in site.communities)
    yield from ((Role.GRID, grid.id) for grid in site.grids)
    yield from ((Role.HOUSEHOLD, household.id) for household in site.households if household.mqtt)
