"""What every action on an alarm has in common: who may, on which version, once, and what is answered."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Annotated, Final

from fastapi import Depends, Header, Path, Response
from pydantic import BaseModel
from sqlmodel import Session

from api.access import Authority
from api.accounts import repository as accounts
from api.alarms import repository
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord
from api.alarms.problems import AskedDifferently
from api.alarms.schemas import AlarmAnswer, People, Person, alarm_answer
from api.alarms.sight import Seen, look, ties
from api.etags import etag, expect
from api.station import CurrentStation, Station
from broker.ids import EVENT_ID

KEPT_MS: Final = 24 * 3_600_000
"""How long an Idempotency-Key is remembered."""

AlarmId = Annotated[str, Path(pattern=EVENT_ID, description="Id of the alarm, or of any press that is part of it")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9]{1,18}"$',
        description="The ETag of what was read: 412 when it is not what is there",
    ),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=64,
        pattern=r"^[!-~]+$",
        description="Asked again with the same key within a day, nothing is done twice; what it became is answered",
    ),
]


def people_of(station: Station, session: Session) -> People:
    """Who accounts are, each looked up once."""

    @cache
    def person(account: str) -> Person | None:
        row = accounts.one(session, accounts.ACCOUNT, id=account)
        if row is None:
            return None
        now = station.clock()
        roles = [
            grant.role
            for grant in accounts.grants(session, [account])
            if grant.from_ms <= now and (grant.to_ms is None or now < grant.to_ms)
        ]
        return Person(row.name, roles[0] if roles else None)

    return person


def actor(by: Authority, seen: Seen | None = None, behalf: str | None = None) -> Actor:
    """Who acts, in the role that shows him the alarm."""
    role = by.principal.grants[0].role if seen is None else seen.held.role
    return Actor(account=by.principal.account, role=role.value, behalf=behalf)


class OnAlarm:
    """An action on one alarm: which one, as it was read, and done once."""

    def __init__(
        self,
        station: CurrentStation,
        response: Response,
        *,
        alarm: AlarmId,
        match: IfMatch = None,
        key: Key = None,
    ) -> None:
        self.station = station
        self.alarms = station.alarms
        self._alarm = alarm
        self._match = match
        self._key = key
        self._response = response

    def do(
        self,
        by: Authority,
        verb: Callable[[Session, Seen, Actor], AlarmRecord],
        request: BaseModel | None = None,
        *,
        name: str = "",
    ) -> AlarmAnswer:
        """Do it, and answer what the alarm became. `name` tells actions apart that share a right."""
        behalf = getattr(request, "behalf", None)

        def do(session: Session, seen: Seen) -> AlarmRecord:
            return verb(session, seen, actor(by, seen, behalf))

        answer = act(self.station, by, self._alarm, do, name=name, request=request, match=self._match, key=self._key)
        if answer.version is not None:
            self._response.headers["ETag"] = etag(answer.version)
        return answer


On = Annotated[OnAlarm, Depends(OnAlarm)]


def act(
    station: Station,
    by: Authority,
    alarm: str,
    do: Callable[[Session, Seen], AlarmRecord],
    *,
    name: str = "",
    request: BaseModel | None = None,
    match: str | None = None,
    key: str | None = None,
) -> AlarmAnswer:
    """Do something to an alarm that this account sees, in one transaction; what it became is answered.

    Raises NoSuchAlarm, StaleVersion, AskedDifferently, and what `do` raises.
    """

    def work(session: Session) -> AlarmAnswer:
        seen = station.alarms.see(session, by, alarm, lock=True)
        if match is not None:
            expect(match, seen.alarm.version)
        after = do(session, seen)
        shown = look(by, after, station.register, ties(session, [after.id]))
        if shown is None:  # it was let go of: what was seen before is the last that is shown
            return alarm_answer(seen.shown, people_of(station, session))
        return alarm_answer(shown.shown, people_of(station, session))

    return once(station, by, work, what=f"{by.action} {name} {alarm}", request=request, key=key)


def once(
    station: Station,
    by: Authority,
    work: Callable[[Session], AlarmAnswer],
    *,
    what: str,
    request: BaseModel | None,
    key: str | None,
) -> AlarmAnswer:
    """Do `work` in one transaction; with a key that was used before, only show what has become of the alarm."""
    account = by.principal.account
    asked = f"{what} {'' if request is None else request.model_dump_json()}"
    digest = sha256(asked.encode()).hexdigest()
    with station.database.write() as session:
        if key is not None:
            earlier = repository.request(session, account, key)
            if earlier is not None:
                if earlier.digest != digest:
                    raise AskedDifferently
                seen = station.alarms.see(session, by, earlier.alarm)
                return alarm_answer(seen.shown, people_of(station, session))
        done = work(session)
        if key is not None:
            now = station.clock()
            repository.forget_requests(session, before_ms=now - KEPT_MS)
            repository.keep_request(session, account, key, digest=digest, alarm=done.id, at_ms=now)
    station.sender.wake()
    return done
