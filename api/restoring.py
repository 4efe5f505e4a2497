"""What a station's tables need after a backup was restored into them, before the station starts.

They are older than what others know. Commands to gateways must count on above what these have heard; whoever was signed
in must sign in again, since his session may have been ended since; households that were erased since are to be erased
again; and the record of who did what says that it was restored, and to which head.
"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from api.accounts import repository as accounts
from api.accounts.rules import Ended
from api.audit import repository as chain
from api.audit import service as audit
from api.database import Database, DatabaseError
from api.database.looking import looking
from api.ingest.models import Gateway
from api.leases.service import where
from api.privacy import erasures
from api.privacy.erasures import Erased

ENDS: Final = (
    "account.close",
    "account.password",
    "account.reset",
    "grant.take",
    "token.revoke",
    "broker.account.end",
    "register.gateway.key",
    "register.gateway.revoke",
    "register.unit.key",
    "register.move_out",
)
"""What the record calls the end of something that somebody could use; its words stand in `api.audit.words`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What was done to restored tables."""

    sessions_ended: int
    erasures: int
    """So many households are named by the list; the station erases again those that are in the tables."""


def adopt(
    url: str, *, station: str, made_ms: int, head: tuple[int, str], erased: Iterable[Erased], now_ms: int
) -> Adopted:
    """Bring restored tables forward and make them fit to go on. Raises DatabaseError.

    `made_ms` and `head`: when the backup was made, and where its audit chain ended.
    """
    with closing(Database.open(url, station=station)) as database, database.write() as session:
        counters = update(Gateway).where(col(Gateway.command_counter) < now_ms)
        session.connection().execute(counters.values(command_counter=now_ms))
        ended = accounts.end_sessions(session, Ended.CREDENTIALS, now_ms=now_ms)
        owed = erasures.owe_again(session, erased)
        detail = {"made_ms": made_ms, "seq": head[0], "digest": head[1], "sessions": ended, "erasures": owed}
        audit.record(session, at_ms=now_ms, by=None, action="station.restore", about=f"station:{station}",
                     detail=detail)  # fmt: skip
    return Adopted(sessions_ended=ended, erasures=owed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revived:
    """Something that was ended after the backup was made, and counts again. `about`: as the record names it."""

    action: str
    about: str
    at_ms: int


def ended_in(url: str, *, station: str, head: tuple[int, str]) -> list[Revived] | None:
    """What the tables that are about to be replaced say was ended after `head` of their record.

    None where they cannot be read any more, or are another station's history: then nobody here knows.
    """
    try:
        with looking(url, station=station) as session:
            if head[0] and chain.digest_at(session, head[0]) != head[1]:
                return None
            return [
                Revived(action=one.action, about=one.about, at_ms=one.at_ms)
                for one in chain.after_of(session, head[0], ENDS)
            ]
    except (SQLAlchemyError, DatabaseError):
        return None


def erasures_in(url: str, *, station: str) -> list[Erased]:
    """The list of erasures in tables that are about to be replaced; empty where they cannot be read any more."""
    try:
        with looking(url, station=station) as session:
            return erasures.listed(session)
    except (SQLAlchemyError, DatabaseError):
        return []  # older than the list, or damaged: then the file beside it counts


def who_runs(url: str, *, station: str, now_ms: int) -> str | None:
    """Where the station runs on PostgreSQL, in words; None: nowhere, or there is nothing of it yet."""
    try:
        with looking(url, station=station) as session:
            found = {place for place in where(session, station, now_ms=now_ms).values() if place is not None}
    except (SQLAlchemyError, DatabaseError):
        return None
    return ", ".join(sorted(f"{place.host} (process {place.pid})" for place in found)) or None
