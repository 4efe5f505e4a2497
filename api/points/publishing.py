"""Comments (点评) as they are kept, edited and published. Takes a session, never commits.

A comment has a part about the whole area and one about each company, each made of sentences that cite facts. Whoever
edits may say it otherwise, and says with each sentence what it rests on. Published, it never changes; what turns out to
be wrong is corrected by a comment of its own, which names the one before it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from sqlmodel import Session

from api.accounts.naming import names
from api.audit.service import record
from api.etags import expect
from api.points import repository
from api.points.commenting import draft
from api.points.facts import Fact
from api.points.models import PointsComment, PointsFact, PointsSentence
from api.points.problems import BadComment, CommentPublished, CommentThere, FactsChanged, NothingSaid
from api.points.rules import Fault
from api.points.service import Points
from api.problems import NotThere
from api.register.service import Register
from api.reports.rules import Period, span
from api.rights.rules import Authority, Over, Role

PERIODS: Final = frozenset({Period.DAY, Period.WEEK})
ABOVE: Final = Role.COMMAND_CENTRE
"""The level above: it reads the weekly comments that are published."""
_COMPANY: Final = frozenset({Over.COMPANY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A sentence as somebody writes it. `company`: whose part it is in; `cites`: keys of facts."""

    company: str | None
    zh: str
    en: str | None
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A comment as somebody may read it. `outdated`: cited facts that were judged anew since; `corrected_by`: an id."""

    row: PointsComment
    sentences: tuple[PointsSentence, ...]
    outdated: frozenset[str]
    corrected_by: str | None
    names: Mapping[str, str] = field(default_factory=dict)
    """What its editors are called, by account; for whom the whole is."""


class Publishing:
    """The comments of one station."""

    def __init__(self, points: Points, register: Register) -> None:
        self._points = points
        self._register = register

    def keep(
        self, session: Session, by: Authority, area: str, *, period: Period, day: date, corrects: str | None
    ) -> Read:
        """Begin one from its draft. Raises NotThere, CommentThere or NothingSaid."""
        self._reached(by, area)
        when = span(period, day, self._points.zone)
        now = self._points.clock()
        if when.from_ms > now:
            raise NothingSaid("it has not begun")
        before = repository.comment_on(session, self._points.station, area, period.value, when.from_ms)
        if corrects is not None:
            before = repository.comment(session, corrects)
            same = before is not None and (before.area, before.period, before.from_ms) == (
                area, period.value, when.from_ms,
            )  # fmt: skip
            if before is None or not same or before.published_ms is None:
                raise NotThere(f"no published comment {corrects!r} on this")
            before = repository.correction_of(session, (corrects,)).get(corrects)
        if before is not None:
            raise CommentThere(before.id)
        row = PointsComment(
            id=self._points.new_id(),
            station=self._points.station,
            area=area,
            period=period.value,
            from_ms=when.from_ms,
            to_ms=when.to_ms,
            version=1,
            made_ms=now,
            made_by=by.principal.account,
            edited_ms=now,
            edited_by=by.principal.account,
            corrects=corrects,
        )
        repository.add(session, row)
        self._say(session, row, self._drafted(session, row))
        self._audit(session, by, row)
        return self._read(session, [row])[0]

    def edit(self, session: Session, by: Authority, id_: str, said: Sequence[Said], *, if_match: str) -> Read:
        """Say it otherwise. Raises NotThere, StaleVersion, CommentPublished or BadComment."""
        row = self._open(session, by, id_, if_match)
        self._say(session, row, said)
        row.version += 1
        row.edited_ms, row.edited_by = self._points.clock(), by.principal.account
        repository.add(session, row)
        self._audit(session, by, row)
        return self._read(session, [row])[0]

    def publish(self, session: Session, by: Authority, id_: str, *, if_match: str) -> Read:
        """Let the companies read their parts, and the level above a weekly one.

        Raises NotThere, StaleVersion, CommentPublished, NothingSaid or FactsChanged.
        """
        row = self._open(session, by, id_, if_match)
        read = self._read(session, [row])[0]
        if not read.sentences:
            raise NothingSaid("it has no sentence")
        if read.outdated:
            raise FactsChanged(sorted(read.outdated))
        row.version += 1
        row.published_ms, row.published_by = self._points.clock(), by.principal.account
        repository.add(session, row)
        self._audit(session, by, row)
        return read

    def listed(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[Read]:
        """Comments that the account may read, newest first."""
        station = self._points.station
        seen = []
        for held in by.reach.held:
            if held.over in _COMPANY:
                seen.append(repository.seen_by_company({held.scope}))
            elif held.over is Over.AREA:
                areas = None if held.scope == station else self._register.within(held.scope)
                weekly = Period.WEEK.value if held.role is ABOVE else None
                seen.append(repository.seen_in(areas, period=weekly))
        rows = repository.comments(session, station, seen, below=below, limit=limit) if seen else []
        return [self._part(by, one) for one in self._read(session, rows)]

    def one(self, session: Session, by: Authority, id_: str) -> Read:
        """A comment, or the part of it that the account may read. Raises NotThere."""
        row = repository.comment(session, id_)
        if row is None:
            raise NotThere(f"no comment {id_!r} of yours")
        part = self._part(by, self._read(session, [row])[0])
        if not part.sentences and not self._whole(by, row):
            raise NotThere(f"no comment {id_!r} of yours")
        return part

    def weekly(self, session: Session, area: str, from_ms: int, to_ms: int) -> int:
        """How many weekly comments on an area, on a part of it or on what it lies in, were published for a time."""
        areas = self._register.within(area) | self._register.lies_in(area)
        return repository.published(session, areas, Period.WEEK.value, from_ms, to_ms)

    def _open(self, session: Session, by: Authority, id_: str, if_match: str) -> PointsComment:
        row = repository.comment(session, id_)
        if row is None or not by.reach.covers(self._register.subject_of_area(row.area)):
            raise NotThere(f"no comment {id_!r} of yours")
        if row.published_ms is not None:
            raise CommentPublished
        expect(if_match, row.version)
        return row

    def _reached(self, by: Authority, area: str) -> None:
        known = area == self._points.station or self._register.area(area) is not None
        if not known or not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")

    def _within(self, area: str) -> frozenset[str]:
        return self._register.within(area) | {area}

    def _facts(self, session: Session, row: PointsComment) -> list[Fact]:
        within = self._within(row.area)
        facts = repository.facts(session, self._points.station, row.from_ms, row.to_ms)
        return [fact for fact in facts if fact.area in within]

    def _drafted(self, session: Session, row: PointsComment) -> list[Said]:
        facts = self._facts(session, row)
        companies = sorted({fact.company for fact in facts if fact.company is not None})
        parts = [(None, facts), *((one, [fact for fact in facts if fact.company == one]) for one in companies)]
        return [
            Said(company=company, zh=one.words.zh, en=one.words.en, cites=one.cites)
            for company, some in parts
            for one in draft(some, Period(row.period))
        ]

    def _say(self, session: Session, row: PointsComment, said: Sequence[Said]) -> None:
        """Write sentences down, each with the revisions that it cites. Raises BadComment."""
        known = repository.newest(session, self._points.station, {key for one in said for key in one.cites})
        within = self._within(row.area)
        faults = [
            Fault(f"sentences[{nth}].cites", why)
            for nth, one in enumerate(said)
            for key in one.cites
            if (why := _why_not(key, known.get(key), row, within, one.company)) is not None
        ]
        if faults:
            raise BadComment(faults)
        repository.say(
            session,
            row.id,
            [
                PointsSentence(
                    comment=row.id,
                    nth=nth,
                    company=one.company,
                    zh=one.zh,
                    en=one.en,
                    cites=json.dumps([[key, known[key].revision] for key in one.cites]),
                    written_ms=self._points.clock(),
                )
                for nth, one in enumerate(said)
            ],
        )

    def _read(self, session: Session, rows: Sequence[PointsComment]) -> list[Read]:
        said = repository.sentences(session, [row.id for row in rows])
        cited = {one.id: [pair for row in said[one.id] for pair in cites(row)] for one in rows}
        now = repository.newest(session, self._points.station, {key for pairs in cited.values() for key, _ in pairs})
        corrections = repository.correction_of(session, [row.id for row in rows])
        called = names(session, {id_ for row in rows for id_ in (row.edited_by, row.published_by) if id_})
        found = []
        for row in rows:
            later = corrections.get(row.id)
            outdated = frozenset(key for key, revision in cited[row.id] if _revision(now, key) != revision)
            found.append(
                Read(
                    row=row,
                    sentences=tuple(said[row.id]),
                    outdated=outdated,
                    corrected_by=None if later is None or later.published_ms is None else later.id,
                    names=called,
                )
            )
        return found

    def _whole(self, by: Authority, row: PointsComment) -> bool:
        """Whether all of it is for whoever asks."""
        covering = by.reach.covers(self._register.subject_of_area(row.area))
        weekly = row.published_ms is not None and row.period == Period.WEEK.value
        return any(held.role is not ABOVE or weekly for held in covering)

    def _part(self, by: Authority, read: Read) -> Read:
        if self._whole(by, read.row):
            return read
        companies = by.reach.over(Over.COMPANY) if read.row.published_ms is not None else frozenset()
        sentences = tuple(one for one in read.sentences if one.company in companies)
        mine = {key for one in sentences for key, _ in cites(one)}
        return Read(
            row=read.row, sentences=sentences, outdated=read.outdated & mine, corrected_by=read.corrected_by
        )  # fmt: skip

    def _audit(self, session: Session, by: Authority, row: PointsComment) -> None:
        record(
            session,
            at_ms=self._points.clock(),
            by=by.principal.account,
            action=by.action,
            about=f"points_comment:{row.id}",
            detail={"version": row.version, "published": row.published_ms is not None},
        )


def cites(row: PointsSentence) -> list[tuple[str, int]]:
    """The facts that a sentence cites, each with its revision of then."""
    return [(key, revision) for key, revision in json.loads(row.cites)]


def _revision(now: Mapping[str, PointsFact], key: str) -> int | None:
    return now[key].revision if key in now else None


def _why_not(
    key: str, fact: PointsFact | None, row: PointsComment, within: Collection[str], company: str | None
) -> str | None:
    if fact is None or fact.area not in within or not row.from_ms <= fact.occurred_ms < row.to_ms:
        return f"there is no fact {key!r} of this area and time"
    if company is not None and fact.company != company:
        return f"fact {key!r} is not of {company}"
    return None
