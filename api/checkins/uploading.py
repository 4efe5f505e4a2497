"""What phones upload: check-ins that waited in a queue, and positions of whoever is on duty.

NoGuard                     404: nobody who goes on patrol signs in with this account
NoMoreCodes                 409: this checkpoint's code was ended 9,998 times
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from sqlmodel import Session

from api.audit.service import record
from api.checkins import repository
from api.checkins.codes import Codes, Stands
from api.checkins.models import CheckpointCode, GuardPosition
from api.checkins.rules import CheckIn, Flag, Source, kept, moment_of_upload, same
from api.checkins.service import Checkins, Said
from api.clock import Clock
from api.guards import service as guards
from api.problems import NotThere, Problem
from api.rights.rules import Authority
from broker import qr

AHEAD_MS: Final = 60_000
"""A position may be this much later than now: phones and satellites do not agree to the second."""
MOST_VERSIONS: Final = 9_999


class NoGuard(NotThere):
    """Nobody who goes on patrol signs in with this account."""

    def __init__(self) -> None:
        super().__init__("nobody who goes on patrol signs in with this account; 该账号没有对应的巡逻人员")


class NoMoreCodes(Problem):
    """A code has four digits for its version."""

    status = HTTPStatus.CONFLICT
    type = "no_more_codes"
    title = "The code of this checkpoint cannot be ended any more"

    def __init__(self) -> None:
        super().__init__("put another checkpoint there; 请改设新的巡查点")


@dataclass(frozen=True, slots=True)
class Code:
    """The code of a checkpoint that holds now. `key`: of this checkpoint and version alone, for a screen there."""

    point: str
    version: int
    text: str
    key: bytes


@dataclass(frozen=True, slots=True)
class PhoneCheckIn:
    """One that a phone kept: with its `key` and time it is the same however often it is sent. `written`: tag or code.

    `typed`: by hand; nothing was read.
    """

    key: str
    how: Source
    written: str
    device_ms: int
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Located:
    """A position as a phone said it."""

    at_ms: int
    lat_e6: int
    lon_e6: int
    accuracy_m: int | None


class Uploads:
    """Takes in what the phones of one station's guards upload."""

    def __init__(self, checkins: Checkins, *, clock: Clock, codes: Codes, stands: Stands) -> None:
        self._checkins = checkins
        self._clock = clock
        self._codes = codes
        self._stands = stands

    def code(self, session: Session, point: str) -> Code:
        """The QR code of a checkpoint. Raises NotThere."""
        if not self._stands(session, point):
            raise NotThere(f"no checkpoint {point!r} here")
        version = repository.code_version(session, point, self._clock())
        key = self._codes.key(point, version)
        return Code(point, version, qr.printed(point, version, key=key), key)

    def screen_key(self, session: Session, by: Authority, point: str) -> Code:
        """The same, for whoever puts its key into a screen, which is recorded. Raises NotThere."""
        code = self.code(session, point)
        self._record(session, by, code, "screen")
        return code

    def end_code(self, session: Session, by: Authority, point: str) -> Code:
        """A code leaked: from now on only the next version holds, printed and shown. Raises NotThere, NoMoreCodes."""
        now, old = self._clock(), self.code(session, point)
        if old.version >= MOST_VERSIONS:
            raise NoMoreCodes
        row = CheckpointCode(point=point, version=old.version + 1, from_ms=now, made_by=by.principal.account)
        session.add(row)
        session.flush()
        code = self.code(session, point)
        self._record(session, by, code, "ended the one before")
        return code

    def _record(self, session: Session, by: Authority, code: Code, what: str) -> None:
        detail = {"version": code.version, "code": what}
        record(session, at_ms=self._clock(), by=by.principal.account, action=by.action,
               about=f"checkpoint:{code.point}", detail=detail)  # fmt: skip

    def take(
        self, session: Session, account: str, items: Sequence[PhoneCheckIn], *, device_now_ms: int
    ) -> tuple[int, list[tuple[CheckIn | None, str]]]:
        """Keep what waited. Returns the skew, and for each its check-in (None: it was there already) and id.

        Raises NoGuard.
        """
        guard = self._guard(session, account)
        now = self._clock()
        said = [self._said(session, account, guard, one, device_now_ms=device_now_ms, now_ms=now) for one in items]
        on_duty = self._duty(session, guard, [one.at_ms for one in said])
        made = self._checkins.add(
            session,
            [one if on_duty(one.at_ms) else _flagged(one, Flag.OFF_SHIFT) for one in said],
            now,
        )
        new = {one.id: one for one in made}
        return device_now_ms - now, [(new.pop(one.id, None), one.id) for one in said]

    def locate(self, session: Session, account: str, where: Located) -> bool:
        """Keep a position, if its guard is on duty then; say whether it is kept. Raises NoGuard."""
        guard = self._guard(session, account)
        now = self._clock()
        if where.at_ms > now + AHEAD_MS or not self._duty(session, guard, [where.at_ms])(where.at_ms):
            return False
        if not repository.has_position(session, guard, where.at_ms):
            session.add(
                GuardPosition(
                    guard=guard,
                    at_ms=where.at_ms,
                    server_ms=now,
                    lat_e6=where.lat_e6,
                    lon_e6=where.lon_e6,
                    accuracy_m=where.accuracy_m,
                )
            )
            session.flush()
        return True

    def entered(self, session: Session, account: str, point: str, at_ms: int) -> bool:
        """A phone says that it came to a checkpoint: the weakest of check-ins, on duty only. Raises NoGuard."""
        guard = self._guard(session, account)
        now = self._clock()
        if at_ms > now + AHEAD_MS or not self._duty(session, guard, [at_ms])(at_ms):
            return False
        known = self._stands(session, point)
        said = Said(
            id=same(at_ms, "transition", guard, point),
            source=Source.POSITION,
            tag=None,
            at_ms=at_ms,
            device_ms=at_ms,
            guard=guard,
            point=point if known else None,
        )
        self._checkins.add(session, [said], now)
        return True

    def _said(
        self, session: Session, account: str, guard: str, one: PhoneCheckIn, *, device_now_ms: int, now_ms: int
    ) -> Said:
        moment = moment_of_upload(device_ms=one.device_ms, device_now_ms=device_now_ms, server_ms=now_ms)
        is_code = one.how is Source.QR and not one.typed
        code = self._codes.read(session, one.written, moment.at_ms) if is_code else None
        point = None if code is None else code.point
        odd = ({Flag.UNVERIFIED} if is_code and code is None else set()) | ({Flag.TYPED} if one.typed else set())
        changes = code is not None and code.freshness is qr.Freshness.ROTATING
        return Said(
            id=same(one.device_ms, "phone", account, one.key),
            source=Source.QR_SCREEN if changes else one.how,
            tag=None if is_code else kept(one.written),
            at_ms=moment.at_ms,
            device_ms=one.device_ms,
            skew_ms=moment.skew_ms,
            guard=guard,
            point=point,
            flags=moment.flags | odd,
        )

    def _guard(self, session: Session, account: str) -> str:
        guard = guards.guard_of_account(session, account)
        if guard is None:
            raise NoGuard
        return guard

    def _duty(self, session: Session, guard: str, times: Sequence[int]) -> Callable[[int], bool]:
        found = guards.servings_of(session, guard, min(times), max(times) + 1)
        return lambda at_ms: any(one.from_ms <= at_ms < one.to_ms for one in found)


def _flagged(one: Said, flag: Flag) -> Said:
    return replace(one, flags=one.flags | {flag})
