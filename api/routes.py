"""Every router of the station, in the order in which its documentation shows them."""

from typing import Final

from fastapi import APIRouter

from api.alarms import endpoints as alarms
from api.health import endpoints as health
from api.ingest import endpoints as ingest

ROUTERS: Final[tuple[APIRouter, ...]] = (
    alarms.router,
    ingest.router,
    health.router,
)
