"""Puts browsers down, and finds whom to push to what has just happened.

The alarms are found in the feed, after their commit: pressing waits for nobody's phone. What is found is owed as
deliveries (`api.notify`), each once; a notifier that begins anew looks back as far as a push is worth anything.
"""

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

from sqlmodel import Session

from api.accounts import repository as accounts
from api.alarms.repository import by_ids
from api.alarms.rules import Action
from api.alarms.sight import look, subject_of, ties
from api.clock import Clock, iso
from api.database import Database
from api.feed import repository as feed
from api.feed import rules as feed_rules
from api.feed.rules import Seat
from api.notify import repository, transports
from api.notify.encryption import BadKeys, Device
from api.notify.models import NotifyChannel
from api.notify.rules import PUSH_MS, Notice, Pushed, tag_of
from api.notify.service import RENEWED_MS, Channels, Phones, push
from api.notify.transports import PUSH_SERVICES, Address, CannotSend
from api.push import rules
from api.push.problems import NoSession, NotSubscribed
from api.push.schemas import PushAnswer, StationPushAnswer, SubscribedAnswer, Subscription
from api.register.service import Register
from api.rights.rules import Authority, Grant, Principal, Role, rights
from api.sealing import Sealer
from api.tips import repository as tips
from api.tips.rules import TipKind
from broker.kinds import Kind, Mark

LOOK_S: Final = 0.5
SWEEP_MS: Final = 60_000
AT_ONCE: Final = 500
DEVICES_MOST: Final = 10
"""Browsers of one account; one more, and the one that was opened longest ago is over."""
DAY_MS: Final = 86_400_000
READ: Final = "alarm.read"
OVERLAP_MS: Final = 5_000
"""How long after its time a warning may be committed."""


_Found = tuple[Sequence[str], Notice, str, int]
"""Accounts, what they are told, what it is about, and until when it is good."""


def digest(endpoint: str) -> str:
    """What an address is found again by."""
    return sha256(endpoint.encode()).hexdigest()


class Pushing:
    """The browsers of one station that are pushed to."""

    def __init__(
        self, register: Register, channels: Channels, phones: Phones, sealer: Sealer, *, clock: Clock, loopback: bool
    ) -> None:
        self._register = register
        self._channels = channels
        self._phones = phones
        self._sealer = sealer
        self._clock = clock
        self._loopback = loopback
        self._behind: int | None = None
        """The entry of the feed behind which nothing was looked at; None: nobody was pushed to."""
        self._warned_ms = 0
        self._swept_ms = 0

    def services(self, session: Session) -> tuple[str, ...]:
        """The push services that are allowed."""
        hosts = self._channels.walls(session).hosts
        return tuple(sorted(one for one in hosts if one in PUSH_SERVICES or self._loopback))

    def offer(self, session: Session, by: Authority) -> PushAnswer:
        """What a browser needs to know before it asks its user."""
        offered = bool(self.services(session))
        key = self._phones.ready_key(session, self._clock()) if offered else None
        return PushAnswer(offered=offered, key=key, devices=len(self._of(session, by.principal.account)))

    def subscribe(
        self, session: Session, by: Authority, what: Subscription, *, signed_in: str | None
    ) -> SubscribedAnswer:
        """Push to this browser from now on. Raises NotSubscribed or NoSession."""
        account, now = by.principal.account, self._clock()
        if signed_in is None or by.principal.via != "session":
            raise NoSession
        url = what.endpoint.get_secret_value()
        try:
            host = transports.host_of(Address(sort=repository.PUSH, url=url), loopback=self._loopback)
            Device.of(what.p256dh, what.auth)
        except CannotSend as error:
            raise NotSubscribed(error.trouble) from None
        except BadKeys:
            raise NotSubscribed("bad_keys") from None
        if host not in self._channels.walls(session).hosts:
            raise NotSubscribed("host_not_allowed")
        self._phones.ready_key(session, now)
        row = repository.browser(session, self._register.station, digest(url))
        if row is not None and row.account != account:
            self._phones.end(session, row, now)  # somebody else has the phone now
            row = None
        if row is None:
            row = self._add(session, account, host, digest(url), now)
        kept = {
            "url": url, "p256dh": what.p256dh, "auth": what.auth, "language": what.language,
            "home": "/phone/" if what.page == "household" else f"/phone/{what.page}",
        }  # fmt: skip
        row.sealed = self._sealer.seal(json.dumps(kept), about=row.id)
        row.session, row.renewed_ms = signed_in, now
        session.flush()
        return SubscribedAnswer(renewed=iso(now), until=iso(now + RENEWED_MS))

    def unsubscribe(self, session: Session, by: Authority, endpoint: str) -> None:
        """Push nothing there any more, if it was the account's own."""
        row = repository.browser(session, self._register.station, digest(endpoint))
        if row is not None and row.account == by.principal.account:
            self._phones.end(session, row, self._clock())

    def trial(self, session: Session, by: Authority) -> None:
        """Owe the account's browsers a message that says that it is a test."""
        notice = Notice(
            kind_shown=Kind.TEST, grid=None, number=None, link="", police_only=False, trial=True, pushed=Pushed.TRIAL,
            tag=tag_of("trial"),
        )  # fmt: skip
        push(session, accounts=[by.principal.account], notice=notice, now_ms=self._clock())

    def state(self, session: Session) -> StationPushAnswer:
        """What became of what was pushed."""
        services, devices = self.services(session), len(repository.browsers(session, None))
        counts, last = repository.pushed(session, self._register.station, self._clock() - DAY_MS)
        failed = last is not None and last.trouble not in {None, transports.GONE, "too_late", "channel_ended"}
        return StationPushAnswer(
            state="off" if not services else "unused" if not devices else "quiet" if last is None
            else "not_reached" if failed else "reached",
            services=services,
            devices=devices,
            sent=counts.get("sent", 0),
            failed=counts.get("undeliverable", 0),
            waiting=counts.get("waiting", 0) + counts.get("failed", 0),
            last=None if last is None else iso(last.made_ms),
            trouble=last.trouble if last is not None and failed else None,
        )  # fmt: skip

    # By the clock

    def look(self, database: Database, now_ms: int, *, wake: Callable[[], None]) -> int:
        """Owe what has just happened to whoever is pushed to. Returns to how many browsers."""
        if now_ms - self._swept_ms >= SWEEP_MS:
            self._sweep(database, now_ms)
        with database.read() as session:
            if not repository.any_browser(session, self._register.station):
                self._behind = None
                return 0
            if self._behind is None:
                self._behind, self._warned_ms = feed.before(session, now_ms - PUSH_MS), now_ms - PUSH_MS
            entries = feed.after(session, self._behind, limit=AT_ONCE)
            opened = {
                entry.about.partition(":")[2]
                for entry in entries
                if entry.topic == feed_rules.ALARM
                and entry.body.get("action") == Action.RECEIVE
                and entry.body.get("before") is None
            }
            found = [*self._alarms(session, opened, now_ms), *self._warnings(session, now_ms)]
        many = 0
        if found:
            with database.write(patient=True) as session:
                for told, notice, once, until_ms in found:
                    many += push(session, accounts=told, notice=notice, now_ms=now_ms, once=once, until_ms=until_ms)
        self._behind = entries[-1].number if entries else self._behind
        self._warned_ms = now_ms
        if many:
            wake()
        return many

    def _sweep(self, database: Database, now_ms: int) -> None:
        self._swept_ms = now_ms
        with database.read() as session:
            if not repository.any_browser(session, self._register.station):
                return
        with database.write(patient=True) as session:
            self._phones.sweep(session, now_ms)

    def _alarms(self, session: Session, opened: Collection[str], now_ms: int) -> Iterator[_Found]:
        alarms = [
            alarm
            for alarm in (by_ids(session, opened) if opened else ())
            if rules.worth(
                Kind(alarm.kind), None if alarm.mark is None else Mark(alarm.mark),
                happened_ms=alarm.happened_ms, now_ms=now_ms,
            )
        ]  # fmt: skip
        if not alarms:
            return
        tied, seats = ties(session, opened), self._seats(session, now_ms)
        for alarm in alarms:
            subject = subject_of(alarm, self._register, tied)
            near = subject.areas | ({*self._register.places_in(alarm.group)} if alarm.group_known else set())
            told: dict[tuple[Pushed, Kind, Mark | None], list[str]] = {}
            for seat in {one.account: one for scope in near for one in seats.get(scope, ())}.values():
                seen = look(seat.authority(feed_rules.ALARM), alarm, self._register, tied)
                if seen is None or alarm.raised_by == seat.account:
                    continue
                reason = rules.why(seen.shown.eyes, own=seen.shown.own, dispatched=seen.shown.dispatched)
                if reason is not None:
                    told.setdefault((reason, seen.shown.kind, seen.shown.mark), []).append(seat.account)
            for (reason, kind, mark), people in told.items():
                notice = Notice(
                    kind_shown=kind, grid=None, number=None, link="", police_only=False, mark=mark, pushed=reason,
                    tag=tag_of(alarm.id),
                )  # fmt: skip
                yield people, notice, f"alarm:{alarm.id}", alarm.happened_ms + PUSH_MS

    def _warnings(self, session: Session, now_ms: int) -> Iterator[_Found]:
        begun = tips.begun(session, after_ms=self._warned_ms - OVERLAP_MS, until_ms=now_ms)
        warnings = [one for one in begun if one.kind == TipKind.WARNING and one.number is not None]
        if not warnings:
            return
        areas = tips.areas(session, [one.number for one in warnings if one.number is not None])
        seats = self._seats(session, now_ms)
        for one in warnings:
            assert one.number is not None
            wanted = {*areas[one.number]}
            told = {
                seat.account
                for scope, seated in seats.items()
                for seat in seated
                if any(grant.role is Role.HOUSEHOLD and grant.scope == scope for grant in seat.principal.grants)
                and wanted & self._register.subject(scope).areas
            }
            if told:
                notice = Notice(
                    kind_shown=None, grid=None, number=None, link="", police_only=False, urgent=False,
                    pushed=Pushed.WARNING, tag=tag_of(f"tip:{one.number}"),
                )  # fmt: skip
                yield sorted(told), notice, f"tip:{one.number}", one.expires_ms

    # Inside

    def _of(self, session: Session, account: str) -> list[NotifyChannel]:
        return [*repository.browsers(session, [account])]

    def _add(self, session: Session, account: str, host: str, endpoint: str, now: int) -> NotifyChannel:
        mine = sorted(self._of(session, account), key=lambda one: one.renewed_ms or 0)
        for one in mine[: max(0, len(mine) - DEVICES_MOST + 1)]:
            self._phones.end(session, one, now)
        row = NotifyChannel(
            id=secrets.token_hex(16),
            station=self._register.station,
            account=account,
            sort=repository.PUSH,
            label="",
            host=host,
            sealed="",
            zone="UTC",
            made_by=account,
            made_ms=now,
            endpoint=endpoint,
            renewed_ms=now,
        )
        repository.add_channel(session, row)
        return row

    def _seats(self, session: Session, now_ms: int) -> Mapping[str, Sequence[Seat]]:
        """Whoever is pushed to, as he stands now, by the areas and places of his grants."""
        people = {row.account for row in repository.browsers(session, None) if row.account is not None}
        grants: dict[str, list[Grant]] = {}
        for row in accounts.grants(session, people):
            grant = Grant(role=Role(row.role), scope=row.scope, from_ms=row.from_ms, to_ms=row.to_ms)
            if grant.holds(now_ms):
                grants.setdefault(row.account, []).append(grant)
        found: dict[str, list[Seat]] = {}
        for account, held in grants.items():
            principal = Principal(account=account, name="", grants=tuple(held), via="push")
            seat = feed_rules.seat(principal, rights(), groups=self._register.groups_of_places)
            if seat is not None:
                for scope in {grant.scope for grant in held}:
                    found.setdefault(scope, []).append(seat)
        return found
