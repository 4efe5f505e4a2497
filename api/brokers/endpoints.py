"""Accounts at the broker over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from api.access import Authority, may
from api.brokers.models import BrokerAccount
from api.brokers.problems import NoSuchPrincipal
from api.brokers.schemas import (
    USER,
    AccountRole,
    BrokerAccountAnswer,
    BrokerAccountPage,
    GivenBrokerAccount,
    NewBrokerAccount,
)
from api.brokers.sheets import enrolment_page
from api.clock import iso
from api.pages import PAGE, Limit
from api.paper import MEDIA_TYPE
from api.problems import NotThere, answers
from api.rights.rules import Role as By
from api.rights.rules import Subject
from api.station import CurrentStation, Station
from broker.acl import Principal, rights
from broker.signing import Signer
from broker.topics import Role

router: Final = APIRouter(
    prefix="/api/v1/broker/accounts",
    tags=["broker"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

User = Annotated[str, Path(pattern=USER)]
After = Annotated[str | None, Query(pattern=USER, description="`next` of the page before")]


@router.get("", summary="Accounts at the broker that were given out")
def list_accounts(
    station: CurrentStation,
    by: Annotated[Authority, may("broker.account")],
    after: After = None,
    limit: Limit = PAGE,
) -> BrokerAccountPage:
    """Those within your reach, by user name. Passwords are nowhere."""
    with station.database.read() as session:
        listed = station.brokers.listed(session)
    found = [
        _answer(row, valid=valid)
        for row, valid in listed
        if (after is None or row.user > after) and _reaches(station, by, Role(row.role), row.id)
    ]
    return BrokerAccountPage(items=found[:limit], next=found[limit - 1].user if len(found) > limit else None)


@router.post(
    "",
    summary="Give out an account at the broker",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.CONFLICT),
)
def give_account(
    station: CurrentStation, by: Annotated[Authority, may("broker.account")], new: NewBrokerAccount
) -> GivenBrokerAccount:
    """For a household (its own home automation), a gateway, a screen of a grid, a community or the police.

    The password is in this answer and nowhere else. The broker knows it within seconds. A household's account ends when
    its people move out. Installers give accounts to households and gateways only.
    """
    role, id_ = Role(new.role), new.id or ""
    if role.many is not bool(id_) or not _reaches(station, by, role, id_):
        raise NoSuchPrincipal(role, new.id)
    who = Principal(station=station.register.station, role=role, id=id_, seat=new.seat or "")
    with station.registrar.edit(by.principal.account) as edit:
        who, password = station.brokers.give(edit.session, by.principal.account, who, renew=new.renew)
    with station.database.read() as session:
        rows = [(row, valid) for row, valid in station.brokers.listed(session) if row.user == who.user]
        named = next(one for one in station.brokers.access(session).principals if one.user == who.user)
    ((row, valid),) = rows
    return GivenBrokerAccount(
        **_answer(row, valid=valid).model_dump(),
        password=password,
        topics=[right.filter for right in rights(named) if right.access == "read"],
    )


@router.post(
    "/sheet",
    summary="Give out an account at the broker, on a sheet to print (入网单)",
    responses=answers(HTTPStatus.CONFLICT) | {200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
def print_account(
    station: CurrentStation, by: Annotated[Authority, may("broker.account")], new: NewBrokerAccount
) -> Response:
    """The same account, for a box that is set up elsewhere: with a QR code and, for a gateway, what its files say.

    The password is on this page and nowhere else: asked again it is refused, unless it is renewed.
    """
    given, signing = give_account(station, by, new), station.settings.signing
    public = f"{signing.kid} {Signer(signing.kid, signing.seed()).public.hex()}"
    zone = station.settings.zone
    page = enrolment_page(given, station=station.settings.station, public=public, now_ms=station.clock(), zone=zone)
    return Response(page, media_type=MEDIA_TYPE)


@router.delete("/{user}", summary="Take an account at the broker back", status_code=HTTPStatus.NO_CONTENT)
def end_account(station: CurrentStation, by: Annotated[Authority, may("broker.account")], user: User) -> None:
    """Whoever is connected by it is cut off within seconds, and hears nothing more."""
    with station.database.read() as session:
        who = station.brokers.principal(session, user)
    if not _reaches(station, by, who.role, who.id):
        raise NotThere(f"no account {user!r} here")
    with station.registrar.edit(by.principal.account) as edit:
        station.brokers.end(edit.session, by.principal.account, who)


def _reaches(station: Station, by: Authority, role: Role, id_: str) -> bool:
    """Of what is not in a household an installer knows the gateways only: no grid's, community's or police's alarms."""
    held = by.reach.covers(_subject(station, role, id_))
    return any(one.role is not By.INSTALLER or role in {Role.HOUSEHOLD, Role.GATEWAY} for one in held)


def _subject(station: Station, role: Role, id_: str) -> Subject:
    register = station.register
    if role is Role.HOUSEHOLD:
        return register.subject(id_)
    if role in {Role.COMMUNITY, Role.GRID}:
        return register.subject_of_area(id_)
    return register.subject_of_area(register.station)


def _answer(row: BrokerAccount, *, valid: bool) -> BrokerAccountAnswer:
    return BrokerAccountAnswer(
        user=row.user,
        role=AccountRole(row.role),
        id=row.id or None,
        seat=row.seat or None,
        given=iso(row.from_ms),
        by=row.by,
        ended=None if row.to_ms is None else iso(row.to_ms),
        valid=valid,
    )
