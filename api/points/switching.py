"""Trying other rules on the past and switching them on. Takes a session, never commits."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from sqlmodel import Session

from api.audit.service import record
from api.etags import expect
from api.points import repository
from api.points.models import PointsRules, PointsTrial
from api.points.problems import BadRuleTable, NotSimulated, NotThisMonth
from api.points.rules import DEFAULT, BadRules, RuleSet, read
from api.points.service import SYSTEM, Points
from api.points.trying import Trial, simulate
from api.register.service import Register
from api.rights.rules import Authority

LONGEST_MS = 366 * 86_400_000
"""So much of the past is simulated at most."""


class Switching:
    """The rules of one station, as people change them."""

    def __init__(self, points: Points, register: Register) -> None:
        self._points = points
        self._register = register

    def all(self, session: Session) -> Sequence[PointsRules]:
        """Every version as it was written, the first one first; the one of this release where there is none yet."""
        return repository.rule_rows(session, self._points.station) or [self._first()]

    def simulate(self, session: Session, by: Authority, text: str, *, from_ms: int, to_ms: int) -> tuple[str, Trial]:
        """What these rules would have made of a span; returns their digest with it. Raises BadRuleTable or MayNot."""
        self._register.whole(by)
        new = self._read(text)
        from_ms = max(from_ms, to_ms - LONGEST_MS)
        facts = repository.facts(session, self._points.station, from_ms, to_ms)
        trial = simulate(self._points.sets(session), new, facts, zone=self._points.zone)
        digest = sha256(text.encode()).hexdigest()
        now = self._points.clock()
        row = PointsTrial(
            station=self._points.station,
            digest=digest,
            from_ms=from_ms,
            to_ms=to_ms,
            made_ms=now,
            made_by=by.principal.account,
        )
        repository.add(session, row)
        self._audit(session, by, simulated=digest)
        return digest, trial

    def switch_on(
        self, session: Session, by: Authority, text: str, *, month: str, reason: str, if_match: str
    ) -> PointsRules:
        """Let these rules hold from the beginning of a month that is to come.

        Raises StaleVersion, BadRuleTable, NotSimulated, NotThisMonth or MayNot.
        """
        self._register.whole(by)
        rows = [*self.all(session)]
        expect(if_match, rows[-1].version)
        new = self._read(text)
        now = self._points.clock()
        if not repository.tried(session, self._points.station, sha256(text.encode()).hexdigest()):
            raise NotSimulated
        from_ms, _ = repository.month_span(month, self._points.zone)
        if from_ms <= now or from_ms < rows[-1].from_ms:
            raise NotThisMonth(f"{month} has begun, or another version begins after it")
        if new.version != rows[-1].version + 1:
            raise NotThisMonth(f"the next version is {rows[-1].version + 1}, not {new.version}")
        if not repository.rule_rows(session, self._points.station):
            repository.add(session, self._first())
        row = PointsRules(
            station=self._points.station,
            version=new.version,
            text=text,
            from_ms=from_ms,
            made_ms=now,
            made_by=by.principal.account,
            reason=reason,
        )
        repository.add(session, row)
        session.info.pop("points_rules", None)
        self._audit(session, by, version=new.version, month=month)
        return row

    def _first(self) -> PointsRules:
        text = DEFAULT.read_text(encoding="utf-8")
        return PointsRules(
            station=self._points.station,
            version=read(text).version,
            text=text,
            from_ms=0,
            made_ms=0,
            made_by=SYSTEM,
            reason="the proposed set (缺省方案)",
        )

    @staticmethod
    def _read(text: str) -> RuleSet:
        try:
            return replace(read(text), from_ms=0)
        except BadRules as bad:
            raise BadRuleTable(bad.faults) from None

    def _audit(self, session: Session, by: Authority, **detail: object) -> None:
        about = f"points_rules:{self._points.station}"
        record(
            session,
            at_ms=self._points.clock(),
            by=by.principal.account,
            action=by.action,
            about=about,
            detail=detail,
        )
