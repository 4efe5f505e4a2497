"""Keeps check-ins and tells those who listen, in the same transaction. Takes a session, never commits.

Order, once, in `Checkins.add`: who and where by the tags and readers of that moment; one row for each, whatever is odd
about it; tags by which nobody could be found are counted apart for a person; then those who listen.

CheckinProblem
+-- NoTag                   422: what was typed is no tag
+-- TagTaken                409: .candidates: it is, or by its last bits may be, a tag that is enrolled already
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from sqlmodel import Session

from api.audit.service import record
from api.checkins import repository
from api.checkins.codes import Stands
from api.checkins.models import CheckInRow, CheckpointTag, UnknownTag
from api.checkins.rules import (
    REPEAT_MS,
    CheckIn,
    Ended,
    Flag,
    Found,
    Holders,
    Holding,
    Settled,
    Source,
    kept,
    moment_of_event,
    with_repeats,
)
from api.clock import Clock
from api.guards import service as guards
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority
from broker import qr
from broker.kinds import EventType
from broker.messages import GatewayEvent
from broker.tags import Ambiguous, Enrolled, Known, Tag, canonical, faces, parse

BY_TAG: Final[frozenset[str]] = frozenset(
    {
        Flag.UNKNOWN_TAG,
        Flag.UNKNOWN_GUARD,
        Flag.UNKNOWN_POINT,
        Flag.AMBIGUOUS,
        Flag.BY_24,
        Flag.LOST_CARD,
        Flag.PHONE_OUT,
    }
)
"""Flags that are found anew when somebody looks again whose a tag is, since they hang on it or on the guard."""
UNKNOWN_MOST: Final = 10_000
"""Unknown tags listed one by one; a reader that makes tags up fills no disk. Their check-ins are kept all the same."""
AGAIN_MOST: Final = 20_000
"""Check-ins that are looked at again in one transaction."""

Consequence = Callable[[Session, Sequence[CheckIn]], None]
Readers = Callable[[Session, Collection[tuple[str, str]]], Mapping[tuple[str, str], str]]
"""Yields the checkpoints at which readers (gateway, reader) hang; those that hang at none are left out."""
Coded = Callable[[Session, str, int], qr.Payload | None]
"""Says what a code means that was read then, if it held."""
Patrolling = Callable[[Session, str, int], Collection[str]]
"""Yields the guards who were on a duty list for a checkpoint at a moment: of its area, or of a route by it."""


class NoTag(Problem):
    """What was typed is no tag."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_tag"
    title = "This is no tag"

    def __init__(self) -> None:
        super().__init__("no tag in any of the forms that are written on cards", zh="这不是卡号")


class TagTaken(Problem):
    """Another tag that is enrolled may be this one. Field: `candidates`."""

    status = HTTPStatus.CONFLICT
    type = "tag_taken"
    title = "This may be a tag that is enrolled already"

    def __init__(self, candidates: Iterable[Tag]) -> None:
        self.candidates = tuple(tag.value for tag in candidates)
        super().__init__(
            "end that enrolment first, or enrol the whole number",
            zh="请先结束原登记, 或登记完整卡号",
            candidates=[*self.candidates],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A check-in as it was said, before anybody looked whose tag it is. What is known otherwise stands in it.

    `code`: that of a checkpoint, as it was written on the card.
    """

    id: str
    source: Source
    tag: str | None
    at_ms: int
    device_ms: int | None
    skew_ms: int | None = None
    gateway: str | None = None
    reader: str | None = None
    guard: str | None = None
    point: str | None = None
    code: str | None = None
    flags: frozenset[Flag] = frozenset()


def of_guard(session: Session, guard: str, from_ms: int, to_ms: int) -> list[CheckIn]:
    """What a guard checked in from `from_ms` until before `to_ms`, in order of time; repeats and flagged ones too."""
    found = with_repeats(repository.of_guard(session, guard, from_ms - REPEAT_MS, to_ms))
    return [one for one in found if one.at_ms >= from_ms]


def of_guards(session: Session, guards: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """What all these guards checked in from `from_ms` until before `to_ms`, in order of time, in one question."""
    found = with_repeats(repository.of_guards(session, guards, from_ms - REPEAT_MS, to_ms))
    return [one for one in found if one.at_ms >= from_ms]


def at_points(session: Session, points: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """What was checked in at these checkpoints from `from_ms` until before `to_ms`, in order of time."""
    found = with_repeats(repository.at_points(session, points, from_ms - REPEAT_MS, to_ms))
    return [one for one in found if one.at_ms >= from_ms]


def weights(session: Session, ids: Collection[str]) -> dict[str, int]:
    """How much each of these check-ins weighs as evidence."""
    return {one.id: one.source.weight for one in repository.by_ids(session, ids)}


def last_read(session: Session, point: str, gateway: str, reader: str, *, from_ms: int) -> int | None:
    """When this reader last read anything at this checkpoint since `from_ms`; None: never since."""
    return repository.last_read(session, point, gateway, reader, from_ms=from_ms)


def tags_now(session: Session) -> list[str]:
    """Every tag that is known now: cards of guards, then tags of checkpoints; without whose, and where they hang."""
    return [*guards.cards_now(session), *repository.tags_now(session)]


def tags_mark(session: Session) -> tuple[object, ...]:
    """Another one where `tags_now` may say something else: cheap, to be asked often."""
    return guards.cards_mark(session), repository.tags_mark(session)


def of_tags(session: Session, tags: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """What was read of these tags from `from_ms` until before `to_ms`, in order of time; `repeat` is not said."""
    return repository.of_tags(session, tags, from_ms, to_ms)


def near(session: Session, where: Collection[tuple[str, int]], within_ms: int) -> list[CheckIn]:
    """What was checked in at these (checkpoint, moment) within so much time, in order of time; no `repeat` either."""
    return repository.near(session, where, within_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the phone of a guard on duty said that it was: weak evidence. WGS-84, in millionths of a degree."""

    guard: str
    at_ms: int
    lat_e6: int
    lon_e6: int
    accuracy_m: int | None


def positions(session: Session, guard: str, from_ms: int, to_ms: int) -> list[Position]:
    """Where a guard's phone was from `from_ms` until before `to_ms`, in order of time; never outside a duty."""
    return [
        Position(guard=guard, at_ms=row.at_ms, lat_e6=row.lat_e6, lon_e6=row.lon_e6, accuracy_m=row.accuracy_m)
        for row in repository.positions(session, guard, from_ms, to_ms)
    ]


class Checkins:
    """The check-ins of one station."""

    def __init__(
        self,
        register: Register,
        *,
        clock: Clock,
        readers: Readers = lambda _session, _readers: {},
        stands: Stands = lambda _session, _point: True,
        patrolling: Patrolling = lambda _session, _point, _at_ms: (),
        coded: Coded = lambda _session, _text, _at_ms: None,
        consequences: Sequence[Consequence] = (),
        unsaid: Sequence[Consequence] = (),
    ) -> None:
        """`consequences` hear of new check-ins, and of those about which something else was found out.

        `unsaid` hear of check-ins as they are no more: whose or where it was turned out otherwise, so look again there.
        """
        self._register = register
        self._clock = clock
        self._readers = readers
        self._stands = stands
        self._patrolling = patrolling
        self._coded = coded
        self._consequences = consequences
        self._unsaid = unsaid

    def absorb(self, session: Session, events: Sequence[GatewayEvent], received_ms: int) -> None:
        """Keep what tags were read at readers. The inbox has each event once, and so has this."""
        said = [_said(event, received_ms) for event in events if event.event is EventType.CHECK_IN]
        if said:
            self._keep(session, said, received_ms)

    def add(self, session: Session, said: Sequence[Said], server_ms: int) -> list[CheckIn]:
        """Keep those that are not there yet, and return them: what comes twice is once."""
        there = repository.held(session, [one.id for one in said])
        new = {one.id: one for one in said if one.id not in there}
        return self._keep(session, [*new.values()], server_ms) if new else []

    def _keep(self, session: Session, said: Sequence[Said], server_ms: int) -> list[CheckIn]:
        holders = _holders(session, (one.tag for one in said if one.tag is not None))
        wanted = {(one.gateway, one.reader) for one in said if one.gateway is not None and one.reader is not None}
        places = self._readers(session, {(gateway, reader) for gateway, reader in wanted if gateway and reader})
        said = [self._placed(session, self._pressed(session, one, places), places) for one in said]
        found = [(one, _find(holders, one)) for one in said]
        made = _dead_phones(session, [_made(one, whose, places, server_ms) for one, whose in found])
        repository.add(session, [(one, of.gateway, of.reader) for one, of in zip(made, said, strict=True)])
        self._count(session, [(one, whose) for one, whose in found if whose.why is not None])
        self._tell(session, made)
        return made

    def _pressed(self, session: Session, one: Said, places: Mapping[tuple[str, str], str]) -> Said:
        """A button knows nobody: it was whoever was the only one on duty there, and else nobody knows who."""
        point = places.get((one.gateway or "", one.reader or "")) if one.source is Source.BUTTON else None
        there = {*self._patrolling(session, point, one.at_ms)} if point is not None else set()
        return replace(one, guard=there.pop()) if len(there) == 1 else one

    def _placed(self, session: Session, one: Said, places: Mapping[tuple[str, str], str]) -> Said:
        """Where a reader hangs is where its cards are. At one that hangs nowhere, a signed code on a card says where.

        That proves no more than the code does: anybody may write it on another card.
        """
        if one.code is None or (one.gateway or "", one.reader or "") in places:
            return one
        said = self._coded(session, one.code, one.at_ms)
        if said is None:
            return replace(one, flags=one.flags | {Flag.UNVERIFIED})
        return replace(one, source=Source.QR, point=said.point)

    def _tell(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        for consequence in self._consequences:
            consequence(session, check_ins)

    def _count(self, session: Session, found: Sequence[tuple[Said, Found]]) -> None:
        """Keep apart what nobody could be found by, one row a tag and reason."""
        keys = {(kept(one.tag or ""), whose.why.value) for one, whose in found if whose.why is not None}
        if not keys:
            return
        known = repository.unknown_by(session, keys)
        new: dict[tuple[str, str], UnknownTag] = {}
        room = UNKNOWN_MOST - repository.how_many_unknown(session) if keys - known.keys() else 0
        for one, whose in found:
            assert whose.why is not None
            key = kept(one.tag or ""), whose.why.value
            row = known.get(key) or new.get(key)
            if row is None and len(new) < room:
                new[key] = row = UnknownTag(tag=key[0], why=key[1], times=0, first_ms=one.at_ms, last_ms=one.at_ms)
            if row is not None:
                row.times += 1
                row.first_ms, row.last_ms = min(row.first_ms, one.at_ms), max(row.last_ms, one.at_ms)
                row.gateway, row.reader = one.gateway, one.reader
                if row.settled == Settled.ENROLLED.value:
                    row.settled = row.settled_by = row.settled_ms = None
        for row in known.values():
            session.add(row)
        repository.add_unknown(session, new.values())

    def look_again(self, session: Session, tag: Tag, *, from_ms: int) -> list[CheckIn]:
        """Somebody was given a tag, or lost it: find out anew whose the check-ins since then are. Returns the changed.

        A card that a reader gives with fewer bits is the same card.
        """
        unknown = repository.unknown_like(session, tag)
        values = {tag.value, *(row.tag for row in unknown), *filter(None, (faces(tag).low32, faces(tag).low24))}
        rows = repository.by_tags(session, values, from_ms=from_ms, limit=AGAIN_MOST)
        holders = _holders(session, values)
        changed: list[CheckIn] = []
        gone: list[CheckIn] = []
        for one, after in zip(rows, _dead_phones(session, [_again(one, holders) for one in rows]), strict=True):
            if after != one:
                repository.change(session, after)
                changed.append(after)
                if (one.guard, one.point) != (after.guard, after.point):
                    gone.append(one)
        now = self._clock()
        for row in unknown:
            if row.settled is None and holders.find(row.tag, row.last_ms).why is None:
                row.settled, row.settled_ms = Settled.ENROLLED.value, now
                session.add(row)
        session.flush()
        for unsay in self._unsaid if gone else ():
            unsay(session, gone)
        if changed:
            self._tell(session, changed)
        return changed

    def name(self, session: Session, found: Mapping[str, str]) -> list[CheckIn]:
        """Somebody who was unknown when these check-ins (id: guard) were kept is known now. Returns the changed."""
        changed = [
            replace(one, guard=found[one.id], flags=one.flags - {Flag.UNKNOWN_GUARD.value})
            for one in repository.by_ids(session, found)
            if one.guard is None
        ]
        changed = _dead_phones(session, changed)
        for one in changed:
            repository.change(session, one)
        if changed:
            self._tell(session, changed)
        return changed

    def phone_told(self, session: Session, guard: str, from_ms: int, to_ms: int) -> None:
        """A guard's phone was told to be dead: what he checked in then already is marked, too."""
        before = repository.of_guard(session, guard, from_ms, to_ms)
        for one, after in zip(before, _dead_phones(session, before), strict=True):
            if after != one:
                repository.change(session, after)

    def whose(self, session: Session, tag: str, at_ms: int) -> str | None:
        """The guard who had this card then; None where that is not certain."""
        return _holders(session, [tag]).find(tag, at_ms).guard

    def read_at(self, session: Session, gateway: str, reader: str, *, point: str, from_ms: int) -> list[CheckIn]:
        """A reader has been given a checkpoint: put the check-ins there that nobody knew where to put."""
        changed = [
            replace(one, point=point, flags=one.flags - {Flag.UNKNOWN_POINT.value})
            for one in repository.nowhere(session, gateway, reader, from_ms=from_ms, limit=AGAIN_MOST)
        ]
        for one in changed:
            repository.change(session, one)
        if changed:
            self._tell(session, changed)
        return changed

    def hang(self, session: Session, by: Authority, *, written: str, point: str, from_ms: int | None) -> CheckpointTag:
        """Enrol a tag at a checkpoint. Raises NotThere, NoTag or TagTaken."""
        self._all(by)
        if not self._stands(session, point):
            raise NotThere(f"no checkpoint {point!r} here")
        tag = parse(written)
        if tag is None:
            raise NoTag
        now = self._clock()
        still = [one.tag for one in _holdings(session, [tag]) if one.to_ms is None]
        match Enrolled(still).find(tag):
            case Known(tag=same):
                raise TagTaken([same])
            case Ambiguous(candidates=candidates):
                raise TagTaken(candidates)
        begins = now if from_ms is None else min(from_ms, now)
        row = repository.add_tag(
            session,
            CheckpointTag(
                tag=tag.value,
                low24=faces(tag).low24,
                point=point,
                from_ms=begins,
                made_ms=now,
                made_by=by.principal.account,
            ),
        )
        self._record(session, by, f"checkpoint_tag:{row.number}", {"tag": tag.value, "point": point, "from_ms": begins})
        self.look_again(session, tag, from_ms=begins)
        return row

    def take_down(
        self, session: Session, by: Authority, number: int, *, how: Ended, at_ms: int | None
    ) -> CheckpointTag:
        """End a tag's hanging there; once. Raises NotThere."""
        self._all(by)
        row = repository.tag(session, number)
        if row is None:
            raise NotThere(f"no tag {number} here")
        if row.to_ms is None:
            now = self._clock()
            row.to_ms = max(row.from_ms, min(now if at_ms is None else at_ms, now))
            row.ended, row.ended_by = how.value, by.principal.account
            session.add(row)
            session.flush()
            self._record(session, by, f"checkpoint_tag:{number}", {"ended": how.value, "to_ms": row.to_ms})
            self.look_again(session, Tag(row.tag), from_ms=row.to_ms)
        return row

    def shares_24(self, session: Session, tag: Tag) -> list[str]:
        """Other tags that are enrolled now and end in the same 24 bits: none of them is found by 24 bits."""
        low24 = faces(tag).low24
        found = {one.tag.value for one in _holdings(session, [tag]) if one.to_ms is None} if low24 else set()
        return sorted(found - {tag.value})

    def tags(
        self, session: Session, by: Authority, *, point: str | None, still: bool, below: int | None, limit: int
    ) -> Sequence[CheckpointTag]:
        """Tags of checkpoints, newest first. Raises NotThere."""
        self._all(by)
        return repository.tags(session, point=point, still=still, below=below, limit=limit)

    def unknown(
        self, session: Session, by: Authority, *, still: bool, below: int | None, limit: int
    ) -> Sequence[UnknownTag]:
        """Tags by which nobody could be found, newest first. Raises NotThere."""
        self._all(by)
        return repository.unknown_page(session, still=still, below=below, limit=limit)

    def settle(self, session: Session, by: Authority, number: int, *, dismiss: bool) -> UnknownTag:
        """Dismiss an unknown tag, or look again whose it is now that somebody was given it. Raises NotThere."""
        self._all(by)
        row = repository.unknown(session, number)
        if row is None:
            raise NotThere(f"no unknown tag {number} here")
        tag = canonical(row.tag)
        if not dismiss and tag is not None:
            self.look_again(session, tag, from_ms=row.first_ms)
        if dismiss:
            row.settled, row.settled_ms = Settled.DISMISSED.value, self._clock()
        if row.settled is not None:
            row.settled_by = by.principal.account
        session.add(row)
        session.flush()
        self._record(session, by, f"unknown_tag:{number}", {"dismiss": dismiss, "settled": row.settled})
        return row

    def page(
        self, session: Session, by: Authority, *, ids: Collection[str] = (), below: int | None, limit: int
    ) -> Sequence[CheckInRow]:
        """Check-ins as they came in, newest first; with `ids` those alone. Raises NotThere."""
        self._all(by)
        return repository.page(session, ids, below=below, limit=limit)

    def _all(self, by: Authority) -> None:
        """Tags and readers of a station are looked after by those who reach the whole of it. Raises NotThere."""
        if not by.reach.covers(self._register.subject_of_area(self._register.station)):
            raise NotThere("nothing of this station is yours to look after")

    def _record(self, session: Session, by: Authority, about: str, detail: Mapping[str, object]) -> None:
        record(session, at_ms=self._clock(), by=by.principal.account, action=by.action, about=about, detail=detail)


def _said(event: GatewayEvent, received_ms: int) -> Said:
    moment = moment_of_event(
        device_ms=event.at_ms, age_ms=event.age_ms, synced=event.clock == "synced", server_ms=received_ms
    )
    flags = moment.flags if event.verified else moment.flags | {Flag.UNVERIFIED}
    button, code = event.detail.get("button") is True, event.detail.get("code")
    return Said(
        id=event.id,
        source=Source.BUTTON if button else Source.FIXED_READER,
        tag=None if button else kept(str(event.detail.get("tag", ""))),
        at_ms=moment.at_ms,
        device_ms=event.at_ms,
        gateway=event.gateway,
        reader=event.unit,
        code=code if isinstance(code, str) else None,
        flags=flags,
    )


def _holdings(session: Session, tags: Collection[Tag]) -> list[Holding]:
    """Whatever is or was enrolled that one of these tags may be: cards of guards and tags of checkpoints."""
    cards = [Holding(one.tag, one.guard, None, one.from_ms, one.to_ms, one.lost) for one in guards.cards(session, tags)]
    return [*cards, *repository.holdings(session, tags)]


def _holders(session: Session, read: Iterable[str]) -> Holders:
    tags = {tag for one in {*read} if (tag := canonical(one)) is not None}
    return Holders(_holdings(session, tags) if tags else ())


def _find(holders: Holders, said: Said) -> Found:
    return Found() if said.tag is None else holders.find(said.tag, said.at_ms)


def _made(said: Said, whose: Found, places: Mapping[tuple[str, str], str], server_ms: int) -> CheckIn:
    place = places.get((said.gateway, said.reader)) if said.gateway and said.reader else None
    guard, point = said.guard or whose.guard, place or said.point or whose.point
    return CheckIn(
        id=said.id,
        guard=guard,
        tag=said.tag,
        point=point,
        source=said.source,
        at_ms=said.at_ms,
        device_ms=said.device_ms,
        server_ms=server_ms,
        skew_ms=said.skew_ms,
        flags=_flags(said.flags, whose, guard, point),
    )


def _dead_phones(session: Session, check_ins: Sequence[CheckIn]) -> list[CheckIn]:
    """These, marked where the guard's phone was told to be dead."""
    people = {one.guard for one in check_ins if one.guard is not None}
    if not people:
        return [*check_ins]
    times = [one.at_ms for one in check_ins]
    dead = guards.phones_out(session, people, min(times), max(times) + 1)
    return [
        replace(one, flags=one.flags | {Flag.PHONE_OUT.value})
        if any(from_ms <= one.at_ms < to_ms for from_ms, to_ms in dead.get(one.guard or "", ()))
        else one
        for one in check_ins
    ]


def _flags(before: Iterable[str], whose: Found, guard: str | None, point: str | None) -> frozenset[str]:
    flags = {str(one) for one in (*before, *whose.flags)}
    if guard is None and whose.why is None:
        flags.add(Flag.UNKNOWN_GUARD.value)
    if point is None:
        flags.add(Flag.UNKNOWN_POINT.value)
    return frozenset(flags)


def _again(one: CheckIn, holders: Holders) -> CheckIn:
    """As it is now that its tag may be somebody's. A gateway's reader reads people's cards, all else the checkpoint's.

    A tag with a code was read by a reader, unless it was typed in: what a phone scans has none.
    """
    assert one.tag is not None
    whose = holders.find(one.tag, one.at_ms)
    fixed = one.source is Source.FIXED_READER or (one.source is Source.QR and Flag.TYPED.value not in one.flags)
    guard, point = (whose.guard, one.point) if fixed else (one.guard, whose.point)
    return replace(one, guard=guard, point=point, flags=_flags(one.flags - BY_TAG, whose, guard, point))
