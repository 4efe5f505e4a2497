"""What a register begins with: what the station's settings say, which `deploy` takes from the site file. Version 0."""

from collections.abc import Iterator
from typing import Final

from api.register.models import Meaning, Tree, UnitSort
from api.register.snapshot import AreaNow, Contents, LevelNow, PlaceNow, UnitNow
from api.settings import StationSettings
from broker.kinds import Words

LEVELS: Final = (
    ("county", Tree.GOVERNMENT, 10, Words("县(市、区)", "county"), Meaning.COUNTY),
    ("township", Tree.GOVERNMENT, 20, Words("乡镇(街道)", "township or street"), Meaning.TOWNSHIP),
    ("community", Tree.GOVERNMENT, 30, Words("社区(村)", "community"), Meaning.COMMUNITY),
    ("grid", Tree.GOVERNMENT, 40, Words("网格", "grid"), Meaning.GRID),
    ("subgrid", Tree.GOVERNMENT, 50, Words("微网格", "nested grid"), Meaning.GRID),
    ("group", Tree.GOVERNMENT, 60, Words("联防组", "group"), Meaning.GROUP),
    ("command", Tree.POLICE, 10, Words("公安局指挥中心", "command centre"), Meaning.COMMAND),
    ("station", Tree.POLICE, 20, Words("派出所", "police station"), Meaning.STATION),
    ("police-grid", Tree.POLICE, 30, Words("警格", "police grid"), Meaning.POLICE_GRID),
)
"""The levels that a register begins with. They are data: a station may rename them and add others."""


def contents_of(settings: StationSettings) -> Contents:
    """The register that the settings describe."""
    return Contents(
        station=settings.station,
        levels=tuple(
            LevelNow(id=id_, tree=tree, rank=rank, name_zh=words.zh, name_en=words.en, meaning=meaning)
            for id_, tree, rank, words, meaning in LEVELS
        ),
        areas=tuple({area.id: area for area in _areas(settings)}.values()),
        places=tuple(
            PlaceNow(
                id=household.id,
                group=household.group,
                door=household.door,
                label=household.label,
                occupant=household.id,
                excludes=household.excludes - {household.id},
                medical_consent=household.medical_consent,
                duress=household.duress,
            )
            for household in settings.households
        ),
        units=tuple(
            UnitNow(
                id=unit.id,
                place=unit.household,
                sort=UnitSort(unit.sort),
                gateway=unit.gateway,
                line=unit.line,
                address=unit.address,
                silent=unit.silent,
                volume=unit.volume,
                night_volume=unit.night_volume,
                strobe=unit.strobe,
            )
            for unit in settings.units
        ),
    )


def _areas(settings: StationSettings) -> Iterator[AreaNow]:
    """The station, then what groups name, from large to small. Whatever has no other place is the station's."""
    station, names = settings.station, settings.area_names
    yield AreaNow(id=station, level="station", meaning=Meaning.STATION, name=names.get(station, ""))
    grids = {group.grid: group.community for group in settings.groups if group.community is not None}
    for group in settings.groups:
        if group.community is not None:
            yield AreaNow(
                id=group.community,
                level="community",
                meaning=Meaning.COMMUNITY,
                name=names.get(group.community, ""),
                police_parent=station,
            )
    for group in settings.groups:
        if group.grid is not None:
            community = grids.get(group.grid)
            yield AreaNow(
                id=group.grid,
                level="grid",
                meaning=Meaning.GRID,
                name=names.get(group.grid, ""),
                parent=community,
                police_parent=None if community is not None else station,
            )
    for group in settings.groups:
        parent = group.grid or group.community
        yield AreaNow(
            id=group.id,
            level="group",
            meaning=Meaning.GROUP,
            name=names.get(group.id, ""),
            parent=parent,
            police_parent=None if parent is not None else station,
            gateway=group.gateway,
        )
