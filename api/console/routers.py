"""Every page of the console."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response

from api.console import (
    admin,
    alarm,
    auditing,
    beginning,
    channels,
    checking_in,
    comments,
    company,
    complaints,
    county,
    desk,
    devices,
    drills,
    duty,
    enrolling,
    files,
    good_cards,
    health,
    joint,
    ladders,
    matters,
    own,
    patrol,
    phone,
    plan,
    planning,
    points,
    policies,
    register,
    reports,
    roll,
    signing_in,
    tips,
    tracks,
    trust,
    works,
)
from api.console.page import Elsewhere, go

ROUTERS: Final[tuple[APIRouter, ...]] = (
    files.router,
    signing_in.router,
    desk.router,
    alarm.router,
    checking_in.router,
    phone.router,
    patrol.router,
    enrolling.router,
    tracks.router,
    roll.router,
    points.router,
    comments.router,
    good_cards.router,
    company.router,
    planning.router,
    beginning.router,
    auditing.router,
    matters.router,
    joint.router,
    drills.router,
    tips.router,
    complaints.router,
    devices.router,
    register.router,
    reports.router,
    county.router,
    plan.router,
    duty.router,
    health.router,
    admin.router,
    ladders.router,
    channels.router,
    policies.router,
    own.router,
    trust.router,
    works.router,
)


def install(app: FastAPI) -> None:
    """Send whoever has to go elsewhere first."""

    async def elsewhere(_request: Request, why: Exception) -> Response:
        assert isinstance(why, Elsewhere)
        return go(why.where)

    app.add_exception_handler(Elsewhere, elsewhere)
