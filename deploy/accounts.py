"""Who has an account at the broker of a site, and what part of the register each gateway holds."""

from collections.abc import Iterator
from dataclasses import dataclass

from broker.acl import Principal
from broker.ids import GatewayId
from broker.topics import Role
from deploy.site import Gateway, Group, Household, Site


@dataclass(frozen=True, slots=True)
class Slice:
    """A gateway's part of the register: the groups that it alerts, and everybody in them or with something on it.

    `rings` are those that hang on it though their group's home is another gateway: it hears of them by the broker.
    """

    groups: tuple[Group, ...]
    households: tuple[Household, ...]
    rings: tuple[Household, ...]


def slice_of(site: Site, gateway: Gateway) -> Slice:
    """The part of the register that `gateway` works with; nothing about anybody else."""
    own = gateway.households
    with_something_here = {household.group for household in site.households if household.id in own}
    groups = tuple(group for group in site.groups if group.id in with_something_here or site.home(group) == gateway.id)
    names = {group.id for group in groups}
    homes = {group.id: site.home(group) for group in groups}
    return Slice(
        groups=groups,
        households=tuple(one for one in site.households if one.group in names or one.id in own),
        rings=tuple(
            one
            for one in site.households
            if one.remote and one.id in own and one.group is not None and homes.get(one.group) != gateway.id
        ),
    )


def peers_of(site: Site, gateway: Gateway) -> tuple[GatewayId, ...]:
    """The other gateways that may alert somebody on this one: they share a group with it."""
    members = {household.id for household in slice_of(site, gateway).households}
    homes = {site.home(group) for group in slice_of(site, gateway).groups}
    return tuple(
        other.id
        for other in site.gateways
        if other.id != gateway.id and (other.id in homes or other.households & members)
    )


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
    """A gateway's account: it may alert its own slice, and hears of those whom it rings for another gateway."""
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
        rings=frozenset(household.id for household in part.rings),
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
