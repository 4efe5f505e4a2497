"""Every router of the station, in the order in which its documentation shows them."""

from functools import cache
from typing import Final

from fastapi import APIRouter
from starlette.routing import BaseRoute

from api.accounts import endpoints as accounts
from api.alarms import endpoints as alarms
from api.audit import endpoints as audit
from api.board import endpoints as board
from api.brokers import endpoints as brokers
from api.checkins import endpoints as checkins
from api.colours import endpoints as colours
from api.complaints import endpoints as complaints
from api.console import routers as console
from api.drills import endpoints as drills
from api.duty import endpoints as duty
from api.escalation import endpoints as escalation
from api.faults import endpoints as faults
from api.feed import endpoints as feed
from api.guards import endpoints as guards
from api.health import endpoints as health
from api.helps import endpoints as helps
from api.ingest import endpoints as ingest
from api.ingest import road
from api.inspections import endpoints as inspections
from api.installing import endpoints as installing
from api.manual import endpoints as manual
from api.notify import endpoints as notify
from api.orders import endpoints as orders
from api.patrols import endpoints as patrols
from api.planner import endpoints as planner
from api.points import comment_endpoints, standing_endpoints
from api.points import endpoints as points
from api.privacy import endpoints as privacy
from api.push import endpoints as push
from api.register import endpoints as register
from api.register import planned, quieting, transfer
from api.reports import endpoints as reports
from api.rewards import endpoints as rewards
from api.rollcalls import endpoints as rollcalls
from api.tasks import endpoints as tasks
from api.tips import endpoints as tips
from api.tracks import endpoints as tracks
from api.works import endpoints as works

ROUTERS: Final[tuple[APIRouter, ...]] = (
    alarms.router,
    orders.router,
    helps.router,
    duty.router,
    escalation.router,
    notify.router,
    push.router,
    feed.router,
    drills.router,
    planner.router,
    tracks.router,
    tips.router,
    tasks.router,
    patrols.router,
    guards.router,
    colours.router,
    rollcalls.router,
    inspections.router,
    checkins.router,
    points.router,
    standing_endpoints.router,
    comment_endpoints.router,
    rewards.router,
    reports.router,
    register.router,
    transfer.router,
    quieting.router,
    planned.router,
    installing.router,
    board.router,
    complaints.router,
    brokers.router,
    accounts.router,
    audit.router,
    works.router,
    privacy.router,
    faults.router,
    ingest.router,
    road.router,
    health.router,
    manual.router,
    *console.ROUTERS,
)


@cache
def routes(*, serves: bool) -> tuple[BaseRoute, ...]:
    """Every route, or those of a process that serves nobody but whoever looks after it.

    What FastAPI reckons for each (half a second for all) stays with them, for the next station of the same process.
    """
    whole = APIRouter()
    for router in ROUTERS if serves else (health.router,):
        whole.include_router(router)
    return (*whole.routes,)
