"""Giving accounts at the broker out, taking them back, and writing down who has one.

What is written is a file for whoever runs the broker (`deploy.access`): the station needs no right over mosquitto, and
neither stops for the other. It is derived, so it is written again after each change of the register and at every start.
"""

import os
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from sqlmodel import Session

from api.audit.service import record
from api.brokers import repository, rules
from api.brokers.models import BrokerAccount
from api.brokers.problems import HasAccount, NoSuchPrincipal
from api.brokers.rules import Given
from api.clock import Clock
from api.database import Database
from api.problems import NotThere
from api.register.service import Register
from api.settings import StationSettings
from broker.access import Access
from broker.acl import SALT_BYTES, Principal, password_digest
from broker.ids import StationId
from broker.topics import Role

PASSWORD_BYTES: Final = 18

log = structlog.get_logger("api.brokers")


class Brokers:
    """The accounts at this station's broker."""

    def __init__(
        self,
        settings: StationSettings,
        register: Register,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._path = settings.broker_access
        self._set_up = settings.mqtt_households
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes
        self._written = ""
        self.owes = False
        """Whether what is written is older than the register, because it could not be written."""
        self._one_at_a_time = threading.Lock()

    def begin(self, database: Database) -> None:
        """Count in whom the site was set up with, and write down who has an account now."""
        with database.read() as session:
            known = {one.user for one in repository.given(session, self._register.station)}
        if any(self._user(Role.HOUSEHOLD, household) not in known for household in self._set_up):
            with database.write() as session:
                for household in self._set_up:
                    self._count_in(session, household)
        self.write_down(database)

    def access(self, session: Session) -> Access:
        """Who may do what at the broker now."""
        given = [_given(one) for one in repository.given(session, self._register.station)]
        return rules.access(self._register.now, self._register.gateway_keys, given)

    def write_down(self, database: Database) -> None:
        """Write who may do what for whoever runs the broker, where that changed. Trouble is told, and tried again."""
        if self._path is None:
            return
        with self._one_at_a_time:
            with database.read() as session:
                text = self.access(session).text()
            if text == self._written:
                return
            try:
                _replace(self._path, text)
            except OSError as error:
                self.owes = True
                log.error("brokers.unwritten", why=error.strerror)  # noqa: TRY400 - the reason is enough
            else:
                self._written, self.owes = text, False

    def give(self, session: Session, by: str, who: Principal, *, renew: bool) -> tuple[Principal, str]:
        """Give out an account, or another password for one; returns whose, and the password, which is kept nowhere.

        Raises NoSuchPrincipal or HasAccount.
        """
        now, station = self._register.now, str(self._register.station)
        place = now.places.get(who.id) if who.role is Role.HOUSEHOLD else None
        occupant = None if place is None else place.occupant
        asked = Given(role=who.role, id=who.id, seat=who.seat, occupant=occupant)
        if not rules.there(now, asked, gateways=self._register.gateways):
            raise NoSuchPrincipal(who.role, who.id)
        who = self._never_anothers(session, who, occupant)
        row = repository.account(session, station, who.user)
        if row is not None and row.to_ms is None and not renew:
            raise HasAccount(who.user)
        password = urlsafe_b64encode(self._random_bytes(PASSWORD_BYTES)).decode().rstrip("=")
        if row is None:
            row = BrokerAccount(station=station, user=who.user, role=who.role, id=who.id, seat=who.seat, from_ms=0)
        row.occupant, row.by = occupant, by
        row.digest = password_digest(password, salt=self._random_bytes(SALT_BYTES))
        row.from_ms, row.to_ms = self._clock(), None
        session.add(row)
        session.flush()
        record(session, at_ms=row.from_ms, by=by, action="broker.account.give", about=f"broker:{who.user}")
        return who, password

    def _never_anothers(self, session: Session, who: Principal, occupant: str | None) -> Principal:
        """A user name that no other occupant had: the broker may still keep messages for him under his."""
        station, given, times = str(self._register.station), who, 1
        while (row := repository.account(session, station, given.user)) is not None and row.occupant != occupant:
            times += 1
            given = replace(who, seat=f"{who.seat}{times}")
        return given

    def end(self, session: Session, by: str, who: Principal) -> None:
        """Take an account back, whoever gave it. Raises NotThere when it has ended already."""
        station, at_ms = str(self._register.station), self._clock()
        row = repository.account(session, station, who.user)
        if row is None:
            row = BrokerAccount(station=station, user=who.user, role=who.role, id=who.id, seat=who.seat, from_ms=at_ms)
        elif row.to_ms is not None:
            raise NotThere(f"no account {who.user!r} here")
        row.to_ms, row.digest = at_ms, None
        session.add(row)
        session.flush()
        record(session, at_ms=at_ms, by=by, action="broker.account.end", about=f"broker:{who.user}")

    def listed(self, session: Session) -> Sequence[tuple[BrokerAccount, bool]]:
        """Every account that was given out, by user name, and whether it is good."""
        valid = {one.user for one in self.access(session).principals}
        return [(row, row.user in valid) for row in repository.given(session, self._register.station)]

    def principal(self, session: Session, user: str) -> Principal:
        """Whose user name that is. Raises NotThere."""
        row = repository.account(session, str(self._register.station), user)
        if row is not None:
            return _principal(row)
        for one in self.access(session).principals:
            if one.user == user and one.role is not Role.STATION:
                return one
        raise NotThere(f"no account {user!r} here")

    def _count_in(self, session: Session, household: str) -> None:
        user, station = self._user(Role.HOUSEHOLD, household), str(self._register.station)
        place = self._register.place(household)
        if place is None or repository.account(session, station, user) is not None:
            return
        row = BrokerAccount(station=station, user=user, role=Role.HOUSEHOLD, id=household, from_ms=self._clock())
        row.occupant = place.occupant
        session.add(row)
        session.flush()

    def _user(self, role: Role, id_: str) -> str:
        return Principal(station=self._register.station, role=role, id=id_).user


def _principal(row: BrokerAccount) -> Principal:
    return Principal(station=StationId(row.station), role=Role(row.role), id=row.id, seat=row.seat)


def _given(row: BrokerAccount) -> Given:
    return Given(
        role=Role(row.role),
        id=row.id,
        seat=row.seat,
        occupant=row.occupant,
        digest=row.digest,
        ended=row.to_ms is not None,
    )


def _replace(path: Path, text: str) -> None:
    """A whole file in the place of another, which only we may read."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
