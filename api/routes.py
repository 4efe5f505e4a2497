"""Every router of the station, in the order in which its documentation shows them."""

from typing import Final

from fastapi import APIRouter

from api.alarms import endpoints as alarms
from api.drills import endpoints as drills
from api.feed import endpoints as feed
from api.health import endpoints as health
from api.ingest import endpoints as ingest
from api.tips import endpoints as tips

ROUTERS: Final[tuple[APIRouter, ...]] = (
    alarms.router,
    feed.router,
    drills.router,
    tips.router,
    ingest.router,
    health.router,
)
