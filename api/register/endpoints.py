"""The register over HTTP."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import StringConstraints

from api.access import Authority, may
from api.audit.service import record
from api.etags import IfMatch, etag
from api.pages import PAGE, PAGE_MOST, Limit
from api.problems import MayNot, NotThere, answers
from api.register import repository, views
from api.register.models import CameDown, Meaning, Purpose
from api.register.problems import NeedsReason
from api.register.registrar import Edit, Person
from api.register.schemas import (
    AreaAnswer,
    AreaAsked,
    AreaPage,
    AssignmentAnswer,
    CompanyAnswer,
    CompanyAsked,
    CompanyPage,
    ConsentAsked,
    ContactsAsked,
    ExclusionsAsked,
    GatewayAnswer,
    GatewayAsked,
    GatewaySliceAnswer,
    HistoryAnswer,
    InstallAsked,
    KeyAsked,
    LevelAnswer,
    LevelAsked,
    MembersAsked,
    NewArea,
    NewPlace,
    NewUnit,
    NotesAsked,
    OccupantAsked,
    PeopleAnswer,
    PlaceAnswer,
    PlaceAsked,
    PlacePage,
    SwapAsked,
    TeamAnswer,
    TeamAsked,
    TeamPage,
    UnitAnswer,
    UnitAsked,
    UnitPage,
)
from api.register.snapshot import PlaceNow
from api.rights.rules import Over, Role, Subject
from api.shapes import LATEST_MS
from api.station import CurrentStation, Station
from broker.ids import SEGMENT
from broker.policy import Audience
from broker.signing import gateway_of_kid

router: Final = APIRouter(
    prefix="/api/v1/register",
    tags=["register"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

EDITED: Final = answers(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
REASON_CHARS: Final = 4

IfMatchIfThere = Annotated[
    str | None,
    Header(alias="If-Match", pattern=r'^"[0-9]{1,18}"$', description="The ETag of what is there; none for a new one"),
]
Id = Annotated[str, Path(pattern=SEGMENT)]
After = Annotated[str | None, Query(pattern=SEGMENT, description="`next` of the page before")]
InArea = Annotated[str | None, Query(pattern=SEGMENT, description="Only what lies in this area, on either tree")]
These = Annotated[
    list[Annotated[str, StringConstraints(pattern=SEGMENT)]] | None,
    Query(alias="id", max_length=PAGE_MOST, description="Only these; several times for several"),
]
Reason = Annotated[str | None, Query(max_length=200, description="Why people are looked up; it is recorded")]


def _reached(by: Authority, subject: Subject, what: str) -> None:
    if not by.reach.covers(subject):
        raise NotThere(f"no {what[:64]} here")


def _place(station: Station, by: Authority, place: str) -> PlaceNow:
    found = station.register.place(place)
    if found is None:
        raise NotThere(f"no place {place!r} here")
    _reached(by, station.register.subject(place), f"place {place!r}")
    return found


def _area(station: Station, by: Authority, area: str) -> None:
    if station.register.area(area) is None:
        raise NotThere(f"no area {area!r} here")
    _reached(by, station.register.subject_of_area(area), f"area {area!r}")


def _reaches(station: Station, by: Authority) -> Callable[[str, str | None], bool]:
    """Whether a place is reached, asked of many: everything but a household's own place hangs on the group."""
    known: dict[str | None, bool] = {}
    own = by.reach.over(Over.PLACE)

    def reaches(place: str, group: str | None) -> bool:
        if group not in known:
            known[group] = bool(by.reach.covers(Subject(areas=station.register.areas_of(group), group=group)))
        return known[group] or place in own

    return reaches


def _silent_shown(by: Authority, subject: Subject) -> bool:
    """Who may know of a silent key there: neighbours, and whoever is near them, may not."""
    return any(
        held.eyes is Audience.POLICE or held.role in {Role.INSTALLER, Role.ADMINISTRATOR}
        for held in by.reach.covers(subject)
    )


def _police(by: Authority, subject: Subject) -> bool:
    return any(held.eyes is Audience.POLICE for held in by.reach.covers(subject))


# Levels and areas


@router.get("/levels", summary="The levels of both trees")
def list_levels(station: CurrentStation, _by: Annotated[Authority, may("register.read")]) -> list[LevelAnswer]:
    """From the root to the leaves."""
    levels = station.register.now.contents.levels
    return [LevelAnswer(**{name: getattr(level, name) for name in LevelAnswer.model_fields}) for level in levels]


@router.put("/levels/{level}", summary="Add a level, or name it anew", responses=EDITED)
def put_level(
    station: CurrentStation, by: Annotated[Authority, may("register.level")], level: Id, asked: LevelAsked
) -> LevelAnswer:
    """Tree and meaning of a level that is there stay as they are."""
    _reached(by, station.register.subject_of_area(station.register.station), f"level {level!r}")
    with station.registrar.edit(by.principal.account) as edit:
        edit.create_level(level, **{name: getattr(asked, name) for name in LevelAsked.model_fields})
    return LevelAnswer(id=level, **asked.model_dump())


@router.get("/areas", summary="Areas")
def list_areas(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.read")],
    within: InArea = None,
    meaning: Meaning | None = None,
    limit: Limit = PAGE,
    after: After = None,
) -> AreaPage:
    """Every area that you reach, by id."""
    register = station.register
    found: list[AreaAnswer] = []
    for id_, area in sorted(register.now.areas.items()):
        if after is not None and id_ <= after:
            continue
        if meaning is not None and area.meaning is not meaning:
            continue
        if within is not None and within not in register.lies_in(id_):
            continue
        if by.reach.covers(register.subject_of_area(id_)):
            found.append(views.area_answer(area))
            if len(found) > limit:
                break
    return AreaPage(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@router.get("/areas/{area}", summary="One area")
def get_area(
    station: CurrentStation, by: Annotated[Authority, may("register.read")], area: Id, response: Response
) -> AreaAnswer:
    """As it is now."""
    _area(station, by, area)
    return _show_area(station, area, response)


@router.post("/areas", summary="Add an area", status_code=HTTPStatus.CREATED, responses=EDITED)
def create_area(
    station: CurrentStation, by: Annotated[Authority, may("register.area")], new: NewArea, response: Response
) -> AreaAnswer:
    """It must lie in something that you reach."""
    for above in _above(station, new):
        _area(station, by, above)
    with station.registrar.edit(by.principal.account) as edit:
        edit.create_area(new.id, new.level, views.area_fields(new))
    return _show_area(station, new.id, response)


@router.put("/areas/{area}", summary="Re-draw or rename an area", responses=EDITED)
def change_area(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.area")],
    area: Id,
    asked: AreaAsked,
    if_match: IfMatch,
    response: Response,
) -> AreaAnswer:
    """From now on; what was until now is kept. You must reach the area, and what it shall lie in."""
    _area(station, by, area)
    for above in _above(station, asked, area):
        _area(station, by, above)
    with station.registrar.edit(by.principal.account) as edit:
        edit.change_area(area, views.area_fields(asked), if_match=if_match)
    return _show_area(station, area, response)


@router.post("/areas/{area}/close", summary="Let an area end", status_code=HTTPStatus.NO_CONTENT, responses=EDITED)
def close_area(
    station: CurrentStation, by: Annotated[Authority, may("register.area")], area: Id, if_match: IfMatch
) -> None:
    """Nothing may lie in it any more."""
    _area(station, by, area)
    with station.registrar.edit(by.principal.account) as edit:
        edit.close_area(area, if_match=if_match)


def _above(station: Station, asked: AreaAsked, area: str | None = None) -> Iterator[str]:
    """What an area shall newly lie in; without anything, the station."""
    was = station.register.area(area)
    before = () if was is None else (was.parent, was.police_parent)
    named = [one for one in (asked.parent, asked.police_parent) if one is not None]
    yield from (one for one in named if one not in before)
    if not named:
        yield station.register.station


def _show_area(station: Station, area: str, response: Response) -> AreaAnswer:
    found = station.register.area(area)
    if found is None:
        raise NotThere(f"no area {area!r} here")
    response.headers["ETag"] = etag(found.version)
    return views.area_answer(found)


# Places


@router.get("/places", summary="Places")
def list_places(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.read")],
    within: InArea = None,
    only: These = None,
    limit: Limit = PAGE,
    after: After = None,
) -> PlacePage:
    """Every place that you reach, by id, without its people."""
    register, reaches = station.register, _reaches(station, by)
    now, groups = register.now, None if within is None else register.groups_in(within) | {within}
    found: list[PlaceNow] = []
    chosen = frozenset(only or ())
    for place in now.contents.places:
        if (after is not None and place.id <= after) or (chosen and place.id not in chosen):
            continue
        if (groups is None or place.group in groups) and reaches(place.id, place.group):
            found.append(place)
            if len(found) > limit:
                break
    items = [views.place_answer(place, now) for place in found[:limit]]
    return PlacePage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/places/{place}", summary="One place")
def get_place(
    station: CurrentStation, by: Annotated[Authority, may("register.read")], place: Id, response: Response
) -> PlaceAnswer:
    """As it is now, without its people."""
    _place(station, by, place)
    return _show_place(station, place, response)


@router.post("/places", summary="Add a place", status_code=HTTPStatus.CREATED, responses=EDITED)
def create_place(
    station: CurrentStation, by: Annotated[Authority, may("register.place")], new: NewPlace, response: Response
) -> PlaceAnswer:
    """In a group that you reach."""
    if new.group is not None:
        _area(station, by, new.group)
    with station.registrar.edit(by.principal.account) as edit:
        edit.create_place(new.id, views.place_fields(new), occupant=new.occupant)
    return _show_place(station, new.id, response)


@router.put("/places/{place}", summary="Change a place, or its group", responses=EDITED)
def change_place(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.place")],
    place: Id,
    asked: PlaceAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """From now on; what was until now is kept."""
    there = _place(station, by, place)
    if asked.group is not None and asked.group != there.group:
        _area(station, by, asked.group)
    with station.registrar.edit(by.principal.account) as edit:
        edit.change_place(place, views.place_fields(asked, way_in=there.way_in), if_match=if_match)
    return _show_place(station, place, response)


@router.post("/places/{place}/close", summary="Let a place end", status_code=HTTPStatus.NO_CONTENT, responses=EDITED)
def close_place(
    station: CurrentStation, by: Annotated[Authority, may("register.place")], place: Id, if_match: IfMatch
) -> None:
    """Nobody may live there, and no unit may hang there."""
    _place(station, by, place)
    with station.registrar.edit(by.principal.account) as edit:
        edit.close_place(place, if_match=if_match)


@router.get("/places/{place}/history", summary="What belonged to a place")
def get_history(station: CurrentStation, by: Annotated[Authority, may("register.read")], place: Id) -> HistoryAnswer:
    """Groups, occupants and units, each with its time."""
    _place(station, by, place)
    with station.database.read() as session:
        return views.history_answer(session, station.register.station, place)


def _show_place(station: Station, place: str, response: Response) -> PlaceAnswer:
    now = station.register.now
    found = now.places.get(place)
    if found is None:
        raise NotThere(f"no place {place!r} here")
    response.headers["ETag"] = etag(found.version)
    return views.place_answer(found, now)


# People


@router.get("/places/{place}/people", summary="Who lives there: names, phones, notes, consents")
def get_people(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.people.read")],
    place: Id,
    response: Response,
    reason: Reason = None,
) -> PeopleAnswer:
    """With a reason, which is recorded; a household needs none for itself."""
    there = _place(station, by, place)
    held = by.reach.covers(station.register.subject(place))
    own = all(one.role is Role.HOUSEHOLD for one in held)
    if not own and len((reason or "").strip()) < REASON_CHARS:
        raise NeedsReason
    with station.database.write() as session:
        record(
            session,
            at_ms=station.clock(),
            by=by.principal.account,
            action=by.action,
            about=f"place:{place}",
            reason=reason,
        )
        police = _police(by, station.register.subject(place))
        found = views.people_answer(session, station.register.station, there, police=police)
    response.headers["ETag"] = etag(found.version)
    return found


def _people_changed(
    station: Station, by: Authority, place: str, response: Response, act: Callable[[Edit], Any]
) -> PlaceAnswer:
    _place(station, by, place)
    with station.registrar.edit(by.principal.account) as edit:
        act(edit)
    return _show_place(station, place, response)


@router.put("/places/{place}/occupant", summary="Put right what the occupant is called", responses=EDITED)
def name_occupant(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.people.edit")],
    place: Id,
    asked: OccupantAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """The same people: their consents and exclusions stay."""
    return _people_changed(
        station, by, place, response, lambda edit: edit.name_occupant(place, asked.name, if_match=if_match)
    )


@router.post("/places/{place}/move-in", summary="Somebody else moves in (迁入)", responses=EDITED)
def move_in(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.occupancy")],
    place: Id,
    asked: OccupantAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """Whoever lived there has moved out. The new ones begin with no consents and no exclusions."""
    return _people_changed(
        station, by, place, response, lambda edit: edit.move_in(place, asked.name, if_match=if_match)
    )


@router.post("/places/{place}/move-out", summary="The occupant moves out (迁出)", responses=EDITED)
def move_out(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.occupancy")],
    place: Id,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """The place is vacant; phones and notes are erased."""
    return _people_changed(station, by, place, response, lambda edit: edit.move_out(place, if_match=if_match))


@router.post("/places/{place}/lend", summary="The place is lent (出借)", responses=EDITED)
def lend_place(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.occupancy")],
    place: Id,
    asked: OccupantAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """Somebody else lives there for a time, with no consents and no exclusions; the lender's wait for him."""
    return _people_changed(station, by, place, response, lambda edit: edit.lend(place, asked.name, if_match=if_match))


@router.post("/places/{place}/give-back", summary="The place is given back (归还)", responses=EDITED)
def give_back(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.occupancy")],
    place: Id,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """The lender lives there again, with what he had consented to."""
    return _people_changed(station, by, place, response, lambda edit: edit.give_back(place, if_match=if_match))


@router.post("/places/{place}/swap", summary="Two occupants change places (互换)", responses=EDITED)
def swap_places(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.occupancy")],
    place: Id,
    asked: SwapAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """Each begins anew where he comes to."""
    _place(station, by, asked.other)
    return _people_changed(station, by, place, response, lambda edit: edit.swap(place, asked.other, if_match=if_match))


@router.post("/places/{place}/consents", summary="Write down a consent, or that it is taken back", responses=EDITED)
def put_consent(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.people.edit")],
    place: Id,
    asked: ConsentAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """On paper, by phone or by key, and typed in by you. What hung on it is erased when it is taken back.

    A silent key is a matter between the household and the police: nobody else writes that consent down, or reads it.
    """
    _place(station, by, place)
    if asked.purpose is Purpose.DURESS_KEY and not _police(by, station.register.subject(place)):
        raise MayNot(by.action)
    return _people_changed(
        station,
        by,
        place,
        response,
        lambda edit: edit.consent(
            place, asked.purpose, version=asked.version, given=asked.given, how=asked.how, if_match=if_match
        ),
    )


@router.put("/places/{place}/exclusions", summary="Neighbours that shall not be told", responses=EDITED)
def put_exclusions(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.people.edit")],
    place: Id,
    asked: ExclusionsAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """The whole list; the gateway rings by it from its next slice on."""
    return _people_changed(
        station, by, place, response, lambda edit: edit.exclude(place, asked.excludes, if_match=if_match)
    )


@router.put("/places/{place}/contacts", summary="Whom to call, in order", responses=EDITED)
def put_contacts(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.people.edit")],
    place: Id,
    asked: ContactsAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """The whole list; it needs the consent `contacts`."""
    people = [Person(name=one.name, phone=one.phone, relation=one.relation) for one in asked.contacts]
    return _people_changed(station, by, place, response, lambda edit: edit.contacts(place, people, if_match=if_match))


@router.put("/places/{place}/notes", summary="What responders should know", responses=EDITED)
def put_notes(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.people.edit")],
    place: Id,
    asked: NotesAsked,
    if_match: IfMatch,
    response: Response,
) -> PlaceAnswer:
    """The whole list; it needs the consent `responder_notes`."""
    return _people_changed(station, by, place, response, lambda edit: edit.notes(place, asked.notes, if_match=if_match))


# Units


@router.get("/units", summary="Units")
def list_units(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.read")],
    within: InArea = None,
    limit: Limit = PAGE,
    after: After = None,
) -> UnitPage:
    """Every unit that hangs in a place that you reach, by id."""
    register, reaches = station.register, _reaches(station, by)
    now, groups = register.now, None if within is None else register.groups_in(within) | {within}
    found: list[str] = []
    for unit in now.contents.units:
        group = register.groups_of_places.get(unit.place)
        if after is not None and unit.id <= after:
            continue
        if (groups is None or group in groups) and reaches(unit.place, group):
            found.append(unit.id)
            if len(found) > limit:
                break
    with station.database.read() as session:
        rows = [repository.row(session, "unit", register.station, unit) for unit in found[:limit]]
    items = [
        views.unit_answer(row, now, silent_shown=_silent_shown(by, register.subject(register.place_of_unit(row["id"]))))
        for row in rows
        if row is not None
    ]
    return UnitPage(items=items, next=found[limit - 1] if len(found) > limit else None)


@router.get("/units/{unit}", summary="One unit")
def get_unit(
    station: CurrentStation, by: Annotated[Authority, may("register.unit.read")], unit: Id, response: Response
) -> UnitAnswer:
    """One that hangs nowhere is the station's."""
    return _show_unit(station, by, unit, response)


@router.post("/units", summary="Add a unit", status_code=HTTPStatus.CREATED, responses=EDITED)
def create_unit(
    station: CurrentStation, by: Annotated[Authority, may("register.unit.store")], new: NewUnit, response: Response
) -> UnitAnswer:
    """It hangs nowhere yet."""
    _reached(by, station.register.subject_of_area(station.register.station), f"unit {new.id!r}")
    with station.registrar.edit(by.principal.account) as edit:
        edit.create_unit(new.id, views.unit_fields(new, silent=False))
    return _show_unit(station, by, new.id, response)


@router.put("/units/{unit}", summary="Change a unit, or what it hangs on", responses=EDITED)
def change_unit(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.edit")],
    unit: Id,
    asked: UnitAsked,
    if_match: IfMatch,
    response: Response,
) -> UnitAnswer:
    """`silent` stays as it is unless you may read it."""
    _unit(station, by, unit)
    with station.registrar.edit(by.principal.account) as edit:
        was = repository.row(edit.session, "unit", station.register.station, unit)
        silent = was is not None and was["silent"]
        subject = station.register.subject(station.register.place_of_unit(unit))
        allowed = asked if _silent_shown(by, subject) else asked.model_copy(update={"silent": None})
        edit.change_unit(unit, views.unit_fields(allowed, silent=silent), if_match=if_match)
    return _show_unit(station, by, unit, response)


def _unit_changed(
    station: Station, by: Authority, unit: str, response: Response, act: Callable[[Edit], Any]
) -> UnitAnswer:
    _unit(station, by, unit)
    with station.registrar.edit(by.principal.account) as edit:
        act(edit)
    return _show_unit(station, by, unit, response)


@router.post("/units/{unit}/install", summary="Hang a unit on a wall", responses=EDITED)
def install_unit(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.edit")],
    unit: Id,
    asked: InstallAsked,
    if_match: IfMatch,
    response: Response,
) -> UnitAnswer:
    """It is real once it is handed over; before that only within an installation window it is not."""
    _place(station, by, asked.place)
    return _unit_changed(station, by, unit, response, lambda edit: edit.install(unit, asked.place, if_match=if_match))


@router.post("/units/{unit}/swap", summary="Two units change walls (互换)", responses=EDITED)
def swap_units(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.edit")],
    unit: Id,
    asked: SwapAsked,
    if_match: IfMatch,
    response: Response,
) -> UnitAnswer:
    """Both stay in earnest."""
    _unit(station, by, asked.other)
    return _unit_changed(
        station, by, unit, response, lambda edit: edit.swap_units(unit, asked.other, if_match=if_match)
    )


@router.post("/units/{unit}/replace", summary="Another unit takes its place (更换)", responses=EDITED)
def replace_unit(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.edit")],
    unit: Id,
    asked: SwapAsked,
    if_match: IfMatch,
    response: Response,
) -> UnitAnswer:
    """The old one goes back into store; the new one is to be handed over."""
    return _unit_changed(
        station, by, unit, response, lambda edit: edit.replace_unit(unit, asked.other, if_match=if_match)
    )


@router.post("/units/{unit}/{how}", summary="A unit is removed, lost or scrapped (拆除, 丢失, 报废)", responses=EDITED)
def take_down_unit(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.edit")],
    unit: Id,
    how: Annotated[str, Path(pattern="^(removed|lost|scrapped)$")],
    if_match: IfMatch,
    response: Response,
) -> UnitAnswer:
    """What comes from it afterwards is an unknown unit's, for the police alone."""
    return _unit_changed(
        station, by, unit, response, lambda edit: edit.take_down(unit, CameDown(how), if_match=if_match)
    )


@router.get("/assignments/{unit}", summary="What a unit belonged to at a moment")
def get_assignment(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.unit.read")],
    unit: Id,
    at_ms: Annotated[int | None, Query(ge=0, lt=LATEST_MS, description="Unix milliseconds; now without it")] = None,
) -> AssignmentAnswer:
    """Its place, occupant and group then, and what the group lay in."""
    with station.database.read() as session:
        moment = station.clock() if at_ms is None else at_ms
        found = views.assignment(session, station.register.station, unit, moment)
    _reached(by, station.register.subject(found.place), f"unit {unit!r}")
    return found


def _unit(station: Station, by: Authority, unit: str) -> None:
    """What hangs in a place is reached with the place; what hangs nowhere is nobody's, and anybody may hang it."""
    place = station.register.place_of_unit(unit)
    if place is not None:
        _reached(by, station.register.subject(place), f"unit {unit!r}")


def _show_unit(station: Station, by: Authority, unit: str, response: Response) -> UnitAnswer:
    _unit(station, by, unit)
    with station.database.read() as session:
        row = repository.row(session, "unit", station.register.station, unit)
    if row is None:
        raise NotThere(f"no unit {unit!r} here")
    response.headers["ETag"] = etag(row["version"])
    subject = station.register.subject(station.register.place_of_unit(unit))
    return views.unit_answer(row, station.register.now, silent_shown=_silent_shown(by, subject))


@router.put(
    "/units/{unit}/key",
    summary="Put down the key of a unit",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.CONFLICT),
)
def put_unit_key(
    station: CurrentStation, by: Annotated[Authority, may("register.unit.key")], unit: Id, asked: KeyAsked
) -> None:
    """It is sealed for the gateway on which the unit hangs, and can be read by nobody here."""
    _unit(station, by, unit)
    with station.registrar.edit(by.principal.account) as edit:
        edit.give_key(unit, station.unit_keys.seal(unit, asked.key))


# Gateways and their slices


@router.get("/gateways", summary="The gateways that are believed")
def list_gateways(station: CurrentStation, by: Annotated[Authority, may("register.slices")]) -> list[GatewayAnswer]:
    """By id, with their public keys."""
    _reached(by, station.register.subject_of_area(station.register.station), "gateways")
    found: dict[str, dict[str, str]] = {}
    for kid, key in sorted(station.register.gateway_keys.items()):
        found.setdefault(gateway_of_kid(kid), {})[kid] = key
    return [GatewayAnswer(id=gateway, public_keys=keys) for gateway, keys in sorted(found.items())]


@router.put(
    "/gateways/{gateway}",
    summary="Believe a gateway by this key",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.CONFLICT),
)
def put_gateway(
    station: CurrentStation, by: Annotated[Authority, may("register.gateway")], gateway: Id, asked: GatewayAsked
) -> None:
    """A new one, or one that was set up anew: an earlier key counts no more. Its neighbours learn of it."""
    _reached(by, station.register.subject_of_area(station.register.station), "gateways")
    with station.registrar.edit(by.principal.account) as edit:
        edit.believe(gateway, asked.public_key)


@router.post("/gateways/{gateway}/revoke", summary="Believe a gateway no more", status_code=HTTPStatus.NO_CONTENT)
def revoke_gateway(station: CurrentStation, by: Annotated[Authority, may("register.gateway")], gateway: Id) -> None:
    """It was stolen or taken down: what it signs counts nowhere, and its account at the broker ends."""
    _reached(by, station.register.subject_of_area(station.register.station), f"gateway {gateway!r}")
    with station.registrar.edit(by.principal.account) as edit:
        edit.revoke(gateway)


@router.get("/slices", summary="Which slice of the register each gateway runs")
def list_slices(station: CurrentStation, by: Annotated[Authority, may("register.slices")]) -> list[GatewaySliceAnswer]:
    """One that runs an older version is sent the newest again; `drift` is an edit by hand on the gateway."""
    _reached(by, station.register.subject_of_area(station.register.station), "slices")
    with station.database.read() as session:
        return views.slices_answer(session, station.register.station)


# Companies and teams


@router.get("/companies", summary="Companies")
def list_companies(
    station: CurrentStation,
    *,
    _by: Annotated[Authority, may("register.team.read")],
    limit: Limit = PAGE,
    after: After = None,
) -> CompanyPage:
    """By id."""
    with station.database.read() as session:
        rows = repository.page(session, "company", station.register.station, after=after, limit=limit + 1)
    items = [views.company_answer(row) for row in rows[:limit]]
    return CompanyPage(items=items, next=items[-1].id if len(rows) > limit else None)


@router.put("/companies/{company}", summary="Add a company, or rename it", responses=EDITED)
def put_company(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.team.edit")],
    company: Id,
    asked: CompanyAsked,
    response: Response,
    if_match: IfMatchIfThere = None,
) -> CompanyAnswer:
    """A new one without If-Match, one that is there with it."""
    _reached(by, station.register.subject_of_area(station.register.station), f"company {company!r}")
    with station.registrar.edit(by.principal.account) as edit:
        edit.put_company(company, name=asked.name, code=asked.code, if_match=if_match)
    with station.database.read() as session:
        row = repository.row(session, "company", station.register.station, company)
    assert row is not None
    response.headers["ETag"] = etag(row["version"])
    return views.company_answer(row)


@router.get("/teams", summary="Teams")
def list_teams(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.team.read")],
    limit: Limit = PAGE,
    after: After = None,
) -> TeamPage:
    """Volunteers, patrols, emergency teams and guards of areas that you reach, by id."""
    with station.database.read() as session:
        rows = repository.page(session, "team", station.register.station, after=after, limit=limit + 1)
        seen = [row for row in rows[:limit] if by.reach.covers(_subject_of_team(station, row["area"]))]
        items = [views.team_answer(session, station.register.station, row) for row in seen]
    return TeamPage(items=items, next=rows[limit - 1]["id"] if len(rows) > limit else None)


@router.put("/teams/{team}", summary="Add a team, or say anew what it is", responses=EDITED)
def put_team(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.team.edit")],
    team: Id,
    asked: TeamAsked,
    response: Response,
    if_match: IfMatchIfThere = None,
) -> TeamAnswer:
    """A new one without If-Match, one that is there with it. Without an area it is the station's."""
    _team(station, by, team)
    _reached(by, _subject_of_team(station, asked.area), f"team {team!r}")
    with station.registrar.edit(by.principal.account) as edit:
        edit.put_team(team, name=asked.name, sort=asked.sort, area=asked.area, company=asked.company, if_match=if_match)
    return _show_team(station, team, response)


@router.put("/teams/{team}/members", summary="Who is in a team", responses=EDITED)
def put_members(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.team.edit")],
    team: Id,
    asked: MembersAsked,
    if_match: IfMatch,
    response: Response,
) -> TeamAnswer:
    """The whole list, from now on."""
    _team(station, by, team)
    with station.registrar.edit(by.principal.account) as edit:
        edit.team_members(team, asked.members, if_match=if_match)
    return _show_team(station, team, response)


def _team(station: Station, by: Authority, team: str) -> None:
    with station.database.read() as session:
        row = repository.row(session, "team", station.register.station, team)
    if row is not None:
        _reached(by, _subject_of_team(station, row["area"]), f"team {team!r}")


def _subject_of_team(station: Station, area: str | None) -> Subject:
    return station.register.subject_of_area(area or station.register.station)


def _show_team(station: Station, team: str, response: Response) -> TeamAnswer:
    with station.database.read() as session:
        row = repository.row(session, "team", station.register.station, team)
        assert row is not None
        response.headers["ETag"] = etag(row["version"])
        return views.team_answer(session, station.register.station, row)
