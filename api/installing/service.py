"""Installing: windows are opened and told to gateways, chirps go on a list, addresses are read back, units handed over.

A chirp is believed to be one only when the register says that its unit is being installed and a window of ours was
open; else it was somebody in need, whatever the gateway took it for, and it goes on as a press.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, or_, select, update
from sqlmodel import Session, SQLModel

from api.audit.service import record
from api.clock import Clock, iso
from api.ingest.models import Gateway
from api.installing import rules
from api.installing.models import Installation, InstallationWindow
from api.installing.problems import BadWindow, NotReady, OtherAddress
from api.installing.schemas import (
    InstallationAnswer,
    LeftAnswer,
    RecordAnswer,
    SirenHeard,
    WindowAnswer,
    WindowAsked,
)
from api.outgoing import service as outgoing
from api.problems import NotThere
from api.register.registrar import Edit
from api.register.service import Register
from api.register.snapshot import UnitNow
from api.rights.rules import Authority, Subject
from api.shapes import words_answer
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from broker.kinds import EventType, Kind
from broker.messages import Action, GatewayEvent, GatewayStatus


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


def _said_of(row: Installation | None, unit: str, place: str) -> dict[str, Any]:
    """The fields of a RecordAnswer."""
    row = row or Installation(station="", unit=unit, place=place)
    return {
        "unit": unit,
        "place": place,
        "chirps": row.chirps,
        "chirped": None if row.chirped_ms is None else iso(row.chirped_ms),
        "siren": row.siren,
        "siren_words": words_answer(rules.SIREN_WORDS[row.siren]),
        "siren_said": None if row.siren_ms is None else iso(row.siren_ms),
        "siren_said_by": row.siren_by,
        "read_back": None if row.read_ms is None else iso(row.read_ms),
        "read_back_by": row.read_by,
    }


class Installing:
    """The verbs of installing."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes
        self._station = str(register.station)

    # Windows

    def open(self, session: Session, by: Authority, asked: WindowAsked) -> WindowAnswer:
        """Open a window and tell the gateway. Raises NotThere or BadWindow."""
        self._reached(by, asked.gateway, asked.place)
        now_ms = self._clock()
        self._end(session, asked.gateway, asked.place, now_ms)
        window = InstallationWindow(
            station=self._station,
            gateway=asked.gateway,
            place=asked.place,
            by=by.principal.account,
            from_ms=now_ms,
            to_ms=now_ms + asked.minutes * 60_000,
        )
        session.add(window)
        session.flush()
        self._tell(session, window, now_ms)
        self._record(session, by, f"window:{window.number}", now_ms, {"gateway": asked.gateway, "place": asked.place})
        return self._window(session, window, now_ms)

    def close(self, session: Session, by: Authority, number: int) -> WindowAnswer:
        """Close a window before its end; one that is over stays as it is. Raises NotThere."""
        window = session.get(InstallationWindow, number)
        if window is None or window.station != self._station:
            raise NotThere(f"no installation window {number} here")
        self._reached(by, window.gateway, window.place)
        now_ms = self._clock()
        if window.to_ms > now_ms:
            window.to_ms = now_ms
            session.flush()
            self._tell(session, window, now_ms)
            self._record(session, by, f"window:{number}", now_ms, None)
        return self._window(session, window, now_ms)

    def windows(self, session: Session, by: Authority) -> list[WindowAnswer]:
        """The windows that are open and reached."""
        now_ms = self._clock()
        return [
            self._window(session, window, now_ms)
            for window in self._open(session, now_ms)
            if self._covers(by, window.gateway, window.place)
        ]

    def reported(self, session: Session, status: GatewayStatus) -> None:
        """A gateway is there. One that has begun anew is told of its windows again."""
        now_ms = self._clock()
        for window in self._open(session, now_ms):
            if window.gateway == status.gateway and window.told != status.session and status.online:
                if window.told is not None:
                    self._tell(session, window, now_ms)
                window.told = status.session
                session.flush()

    # What gateways send

    def judge(self, session: Session, events: Sequence[GatewayEvent]) -> list[GatewayEvent]:
        """Put chirps on the list; give back what may be somebody in need."""
        return [judged for event in events if (judged := self._judge(session, event)) is not None]

    def _judge(self, session: Session, event: GatewayEvent) -> GatewayEvent | None:
        if event.event is not EventType.TEST or event.detail.get("installing") is not True:
            return event
        unit = self._register.unit(event.unit)
        now_ms = self._clock()
        if unit is not None and not unit.handed and event.verified and self._was_open(session, event, unit, now_ms):
            row = self._row(session, unit)
            row.chirps += 1
            row.chirped_ms = now_ms
            session.flush()
            return None
        try:
            kind = Kind(str(event.detail.get("key")))
        except ValueError:
            kind = Kind.PANIC
        return event.model_copy(update={"event": EventType.PRESS, "kind": kind})

    def _was_open(self, session: Session, event: GatewayEvent, unit: UnitNow, now_ms: int) -> bool:
        happened_ms = now_ms - event.age_ms
        one = _table("installation_window")
        found = select(one.c.number).where(
            one.c.station == self._station,
            one.c.gateway == event.gateway,
            or_(one.c.place.is_(None), one.c.place == unit.place),
            one.c.from_ms <= happened_ms + rules.LATE_MS,
            one.c.to_ms + rules.LATE_MS >= happened_ms,
        )
        return session.connection().execute(found.limit(1)).first() is not None

    # The list

    def listed(self, session: Session, by: Authority, *, after: str | None, limit: int) -> list[InstallationAnswer]:
        """Units that are being installed in places that are reached, by id."""
        found: list[InstallationAnswer] = []
        for unit in self._register.now.contents.units:
            if unit.handed or (after is not None and unit.id <= after):
                continue
            if by.reach.covers(self._register.subject(unit.place)):
                found.append(self._answer(session, unit))
                if len(found) == limit:
                    break
        return found

    def read_back(self, session: Session, by: Authority, unit: str, address: str) -> InstallationAnswer:
        """Sign that the address was read out at the door and is the register's. Raises NotThere or OtherAddress."""
        there = self._unit(by, unit)
        place = self._register.place(there.place)
        known = "" if place is None else place.address or place.label
        if not rules.same_address(address, known):
            raise OtherAddress(known)
        now_ms = self._clock()
        row = self._row(session, there)
        row.read_ms, row.read_by = now_ms, by.principal.account
        session.flush()
        self._record(session, by, f"unit:{unit}", now_ms, {"place": there.place})
        return self._answer(session, there)

    def hear(self, session: Session, by: Authority, unit: str, asked: SirenHeard) -> RecordAnswer:
        """Keep whether the siren sounded, the last that was heard. Raises NotThere where it does not hang, nor did."""
        there = self._register.unit(unit)
        row = session.get(Installation, (self._station, unit, asked.place))
        hangs = there is not None and there.place == asked.place
        if (row is None and not hangs) or not by.reach.covers(self._register.subject(asked.place)):
            raise NotThere(f"no unit {unit!r} is being installed here")
        if row is None:
            row = Installation(station=self._station, unit=unit, place=asked.place)
            session.add(row)
        now_ms = self._clock()
        heard_ms = rules.heard_ms(
            now_ms,
            at_ms=None if asked.at is None else round(asked.at.timestamp() * 1_000),
            phone_now_ms=None if asked.now is None else round(asked.now.timestamp() * 1_000),
        )
        if row.siren_ms is None or heard_ms >= row.siren_ms:
            said = (row.siren, row.siren_by)
            row.siren, row.siren_ms, row.siren_by = asked.heard, heard_ms, by.principal.account
            session.flush()
            if said != (row.siren, row.siren_by):
                self._record(session, by, f"unit:{unit}", now_ms, {"place": asked.place, "siren": asked.heard})
        return RecordAnswer(**_said_of(row, unit, asked.place))

    def records(self, session: Session, by: Authority, unit: str) -> list[RecordAnswer]:
        """What was done about a unit in each place that is reached, also after it was handed over."""
        one = _table("installation")
        found = select(one.c.place).where(one.c.station == self._station, one.c.unit == unit).order_by(one.c.place)
        return [
            RecordAnswer(**_said_of(session.get(Installation, (self._station, unit, place)), unit, place))
            for place in session.connection().execute(found).scalars()
            if by.reach.covers(self._register.subject(place))
        ]

    def hand_over(self, edit: Edit, by: Authority, unit: str) -> None:
        """From now on the unit is in earnest. Raises NotThere or NotReady."""
        there = self._unit(by, unit)
        row = edit.session.get(Installation, (self._station, unit, str(there.place)))
        left = self._left(there, row)
        if left[:-1]:
            raise NotReady(left[:-1])
        edit.hand_over(unit)

    def _unit(self, by: Authority, unit: str) -> UnitNow:
        found = self._register.unit(unit)
        if found is None or found.handed or not by.reach.covers(self._register.subject(found.place)):
            raise NotThere(f"no unit {unit!r} is being installed here")
        return found

    def _row(self, session: Session, unit: UnitNow) -> Installation:
        key = (self._station, str(unit.id), str(unit.place))
        found = session.get(Installation, key)
        if found is None:
            found = Installation(station=key[0], unit=key[1], place=key[2])
            session.add(found)
        return found

    def _left(self, unit: UnitNow, row: Installation | None) -> tuple[rules.Left, ...]:
        return rules.left(
            wired=unit.gateway is not None,
            chirped=row is not None and row.chirps > 0,
            read_back=row is not None and row.read_ms is not None,
        )

    def _answer(self, session: Session, unit: UnitNow) -> InstallationAnswer:
        row = session.get(Installation, (self._station, str(unit.id), str(unit.place)))
        place = self._register.place(unit.place)
        return InstallationAnswer(
            **_said_of(row, unit.id, unit.place),
            address="" if place is None else place.address or place.label,
            gateway=unit.gateway,
            line=unit.line,
            line_address=unit.address,
            since=iso(unit.since_ms),
            left=[
                LeftAnswer(step=step, words=words_answer(rules.LEFT_WORDS[step])) for step in self._left(unit, row)
            ],
        )  # fmt: skip

    # Below

    def _reached(self, by: Authority, gateway: str, place: str | None) -> None:
        if gateway not in self._register.gateways or not self._covers(by, gateway, place):
            raise NotThere(f"no gateway {gateway!r} here")
        if place is not None and not any(
            unit.gateway == gateway for unit in self._register.now.units_at.get(place, ())
        ):  # fmt: skip
            raise BadWindow(f"no unit of {place!r} is on {gateway!r}")

    def _covers(self, by: Authority, gateway: str, place: str | None) -> bool:
        """A window over a whole gateway needs all that hangs on it, one over a place that place."""
        register = self._register
        if place is not None:
            return register.place(place) is not None and bool(by.reach.covers(register.subject(place)))
        hanging = {str(unit.place) for unit in register.now.contents.units if unit.gateway == gateway}
        subjects: list[Subject] = [register.subject(one) for one in sorted(hanging)]
        return all(by.reach.covers(one) for one in subjects or [register.subject(None)])

    def _open(self, session: Session, now_ms: int) -> list[InstallationWindow]:
        one = _table("installation_window")
        found = select(one.c.number).where(one.c.station == self._station, one.c.to_ms > now_ms).order_by(one.c.number)
        rows = [session.get(InstallationWindow, number) for number in session.connection().execute(found).scalars()]
        return [row for row in rows if row is not None]

    def _end(self, session: Session, gateway: str, place: str | None, now_ms: int) -> None:
        one = _table("installation_window")
        same = one.c.place.is_(None) if place is None else one.c.place == place
        session.connection().execute(
            update(one)
            .where(one.c.station == self._station, one.c.gateway == gateway, same, one.c.to_ms > now_ms)
            .values(to_ms=now_ms)
        )

    def _tell(self, session: Session, window: InstallationWindow, now_ms: int) -> None:
        outgoing.order(
            session,
            window.gateway,
            Action.INSTALL,
            station=self._register.station,
            id=event_id(now_ms, self._random_bytes(EVENT_ID_RANDOM_BYTES)),
            happened_ms=now_ms,
            place=window.place,
            lasts_ms=max(0, window.to_ms - now_ms),
        )

    def _window(self, session: Session, window: InstallationWindow, now_ms: int) -> WindowAnswer:
        assert window.number is not None
        gateway = session.get(Gateway, window.gateway)
        return WindowAnswer(
            number=window.number,
            gateway=window.gateway,
            place=window.place,
            by=window.by,
            begins=iso(window.from_ms),
            ends=iso(window.to_ms),
            open=window.to_ms > now_ms,
            gateway_online=gateway is not None and gateway.online,
        )

    def _record(
        self, session: Session, by: Authority, about: str, at_ms: int, detail: dict[str, object] | None
    ) -> None:  # fmt: skip
        record(session, at_ms=at_ms, by=by.principal.account, action=by.action, about=about, detail=detail)
