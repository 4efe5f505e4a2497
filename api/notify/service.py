"""Writes deliveries in the transaction of their cause, and sends them after its commit.

A delivery is sent at least once: a station that is killed between sending and marking sends again, under the same id.
Each channel is worked by one thread at a time, and what one service does to its thread delays no other: threads are
bounded, one host has half of them at most, and so have all channels together that failed last.
"""

import json
import secrets
import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlmodel import Session

from api.accounts import repository as accounts
from api.accounts.rules import Ended, State
from api.audit.service import record
from api.clock import Clock
from api.database import Database
from api.etags import expect
from api.notify import repository, rules, transports
from api.notify.encryption import Device, StationKey
from api.notify.models import Delivery, NotifyChannel, NotifyHost
from api.notify.problems import CHANNELS_MOST, BadChannel, TooManyChannels
from api.notify.rules import Notice, Words
from api.notify.schemas import NewChannel
from api.notify.transports import Address, CannotSend, Walls
from api.problems import NotThere
from api.rights.rules import Authority
from api.sealing import SealBroken, Sealer
from broker.kinds import Kind

PURPOSE: Final = "notify channel"
PUSH_KEY: Final = "push key"
RENEWED_MS: Final = 30 * 86_400_000
"""A browser whose page was not opened for so long is not pushed to any more."""
STAYS: Final = frozenset({None, Ended.IDLE.value, Ended.OLD.value})
"""Why a session may have ended in which a browser was put down, so that it is pushed to all the same."""
THREADS: Final = 8
LOOK_S: Final = 0.5
LEASE_MS: Final = 90_000
"""After so long a delivery that somebody had in hand is anybody's: he was killed. What was in hand when a notifier
begins is its own at once: there is one at a time."""

_CHANNELS: Final = "notify.channels"
_T = TypeVar("_T", bound=Hashable)

log = structlog.get_logger("api.notify")

Undeliverable = Callable[[Session, str, int], None]
"""(session, escalation, now_ms): nobody of an account was reached about this level."""
Send = Callable[..., None]


def notify(
    session: Session, *, accounts: Collection[str], notice: Notice, now_ms: int, escalation: str | None = None
) -> int:
    """Owe a notice to every channel of these accounts that may carry it. Returns to how many; a worker sends.

    `escalation`: the deadline that tells, so that the next one comes at once when an account cannot be reached.
    Phones to which it is pushed besides are not counted: nobody was reached by that.
    """
    channels = _known(session, frozenset(accounts), repository.channels_of)
    push(session, accounts=accounts, notice=notice, now_ms=now_ms)
    return _owe(session, channels, notice=notice, now_ms=now_ms, escalation=escalation)


def push(
    session: Session,
    *,
    accounts: Collection[str],
    notice: Notice,
    now_ms: int,
    until_ms: int | None = None,
    once: str | None = None,
) -> int:
    """Owe a notice to the phones of these accounts, if it may be pushed. Returns to how many.

    `until_ms`: until when it is good; None: as an alarm. `once`: what it is about, where it may be owed twice.
    """
    if not notice.may_be_pushed:
        return 0
    expires_ms = now_ms + rules.PUSH_MS if until_ms is None else min(until_ms, now_ms + rules.PATIENT_MS)
    rows = {
        secrets.token_hex(16) if once is None else sha256(f"{one.id} {once}".encode()).hexdigest()[:32]: one
        for one in repository.browsers(session, accounts)
    }
    for known in repository.known_ids(session, rows) if once is not None else ():
        del rows[known]
    text = notice.text()
    repository.add(
        session,
        [
            (
                id_, one.station, one.id, one.account, text, False, notice.urgent, None, "waiting", 0, now_ms, now_ms,
                expires_ms, True,
            )
            for id_, one in rows.items()
        ],
    )  # fmt: skip
    return len(rows)


def notify_desk(session: Session, *, station: str, notice: Notice, now_ms: int, escalation: str | None = None) -> int:
    """Owe a notice to the station's own channels. `notice` is for the police's eyes; others' channels get less."""
    channels = _known(session, station, repository.channels_of_station)
    police = [one for one in channels if one.police]
    others = [] if notice.police_only else [one for one in channels if not one.police]
    less = replace(notice, number=None)
    return _owe(session, police, notice=notice, now_ms=now_ms, escalation=escalation) + _owe(
        session, others, notice=less, now_ms=now_ms, escalation=escalation
    )


def _known(
    session: Session, whose: _T, find: Callable[[Session, _T], Sequence[NotifyChannel]]
) -> Sequence[NotifyChannel]:
    """Channels, looked up once a transaction: a storm asks for every alarm."""
    known: dict[Hashable, Sequence[NotifyChannel]] = session.info.setdefault(_CHANNELS, {})
    if whose not in known:
        known[whose] = find(session, whose)
    return known[whose]


def _owe(
    session: Session, channels: Sequence[NotifyChannel], *, notice: Notice, now_ms: int, escalation: str | None
) -> int:
    carried = [one for one in channels if one.police or not notice.police_only]
    if not carried:
        return 0
    expires_ms = now_ms + (rules.EXPIRES_MS if notice.urgent else rules.PATIENT_MS)
    text = notice.text()
    repository.add(
        session,
        [
            (
                secrets.token_hex(16), one.station, one.id, one.account, text, notice.police_only, notice.urgent,
                escalation, "waiting", 0, now_ms, now_ms, expires_ms, notice.complaint is not None,
            )
            for one in carried
        ],
    )  # fmt: skip
    return len(carried)


class Channels:
    """The channels of one station, as people manage them."""

    def __init__(self, station: str, sealer: Sealer, *, clock: Clock, loopback: bool) -> None:
        self._station = station
        self._sealer = sealer
        self._clock = clock
        self._loopback = loopback

    def walls(self, session: Session) -> Walls:
        """What may be sent to now."""
        hosts = frozenset(row.host for row in repository.hosts(session, self._station))
        return Walls(hosts=hosts, loopback=self._loopback)

    def seal_anew(self, session: Session) -> None:
        """Seal with the station's present key what an earlier one sealed."""
        for row in repository.open_channels(session, self._station):
            if self._sealer.is_old(row.sealed, about=row.id):
                row.sealed = self._sealer.seal(self._sealer.open(row.sealed, about=row.id), about=row.id)
        session.flush()

    def address(self, row: NotifyChannel, key: StationKey | None = None) -> Address:
        """Where a channel sends; to a browser as the station of this `key`. Raises SealBroken."""
        opened = json.loads(self._sealer.open(row.sealed, about=row.id))
        if row.sort == repository.PUSH:
            device = Device.of(opened["p256dh"], opened["auth"])
            return Address(
                sort=row.sort, url=opened["url"], device=device, key=key, language=opened["language"],
                home=opened["home"],
            )  # fmt: skip
        return Address(sort=row.sort, url=opened["url"], secret=opened["secret"])

    def add(
        self, session: Session, by: Authority, new: NewChannel, *, account: str | None, police: bool
    ) -> tuple[NotifyChannel, str | None]:
        """Add a channel of an account, or of the station; with a webhook's secret, which is shown this once.

        The same address twice is one channel. Raises BadChannel or TooManyChannels.
        """
        url = new.url.get_secret_value()
        try:
            host = transports.host_of(Address(sort=new.sort, url=url), loopback=self._loopback)
        except CannotSend as error:
            raise BadChannel(error.trouble) from None
        if host not in self.walls(session).hosts:
            raise BadChannel("host_not_allowed")
        present = self.of(session, account)
        for row in present:
            if self._same(row, new.sort, url):
                return row, None
        if len(present) >= CHANNELS_MOST:
            raise TooManyChannels
        id_, secret = secrets.token_hex(16), secrets.token_urlsafe(32) if new.sort == "webhook" else ""
        row = NotifyChannel(
            id=id_,
            station=self._station,
            account=account,
            sort=new.sort,
            label=new.label,
            host=host,
            sealed=self._sealer.seal(json.dumps({"url": url, "secret": secret}), about=id_),
            police=police,
            quiet_from_min=new.quiet_from_min,
            quiet_to_min=new.quiet_to_min,
            zone=new.zone,
            made_by=by.principal.account,
            made_ms=self._clock(),
        )
        repository.add_channel(session, row)
        self._audit(session, by, f"channel:{id_}", host=host, sort=new.sort, account=account, police=police)
        return row, secret or None

    def of(self, session: Session, account: str | None) -> Sequence[NotifyChannel]:
        """The channels of an account, or of the station."""
        if account is None:
            return repository.channels_of_station(session, self._station)
        return [row for row in repository.channels_of(session, [account]) if row.station == self._station]

    def find(self, session: Session, channel: str) -> NotifyChannel:
        """One channel that has not ended, and is no browser. Raises NotThere."""
        row = repository.channel(session, self._station, channel)
        if row is None or row.ended_ms is not None or row.sort == repository.PUSH:
            raise NotThere("no such channel of yours")
        return row

    def end(self, session: Session, by: Authority, row: NotifyChannel, *, if_match: str) -> NotifyChannel:
        """Send nothing to it any more; its address is forgotten. Raises StaleVersion."""
        expect(if_match, row.version)
        row.ended_ms, row.sealed = self._clock(), ""
        row.version += 1
        session.flush()
        self._audit(session, by, f"channel:{row.id}", ended=True)
        return row

    def mark(
        self, session: Session, by: Authority, row: NotifyChannel, *, police: bool, if_match: str
    ) -> NotifyChannel:
        """Say whether only police read it. Raises StaleVersion."""
        expect(if_match, row.version)
        row.police = police
        row.version += 1
        session.flush()
        self._audit(session, by, f"channel:{row.id}", police=police)
        return row

    def trial(self, session: Session, row: NotifyChannel, *, link: str) -> None:
        """Owe it a message that says that it is a test."""
        notice = Notice(kind_shown=Kind.TEST, grid=None, number=None, link=link, police_only=False, trial=True)
        _owe(session, [row], notice=notice, now_ms=self._clock(), escalation=None)

    def hosts(self, session: Session) -> Sequence[NotifyHost]:
        """The hosts that channels may use."""
        return repository.hosts(session, self._station)

    def allow(self, session: Session, by: Authority, host: str) -> NotifyHost:
        """Let channels use a host. Twice is once."""
        row = repository.host(session, self._station, host)
        if row is None:
            row = NotifyHost(station=self._station, host=host, made_by=by.principal.account, made_ms=self._clock())
            repository.add_host(session, row)
            self._audit(session, by, f"host:{host}", allowed=True)
        return row

    def forbid(self, session: Session, by: Authority, host: str) -> None:
        """Let channels use a host no more, those that do included. Raises NotThere."""
        row = repository.host(session, self._station, host)
        if row is None:
            raise NotThere(f"no channel may use {host[:64]!r}")
        repository.remove_host(session, row)
        self._audit(session, by, f"host:{host}", allowed=False)

    def _same(self, row: NotifyChannel, sort: str, url: str) -> bool:
        try:
            return row.sort == sort and self.address(row).url == url
        except SealBroken:
            return False

    def _audit(self, session: Session, by: Authority, about: str, **detail: object) -> None:
        record(
            session, at_ms=self._clock(), by=by.principal.account, action="notify.manage", about=about, detail=detail
        )


class Phones:
    """What the notifier asks about the browsers of a station: its key, and which of them are over."""

    def __init__(self, station: str, sealer: Sealer) -> None:
        self._station = station
        self._sealer = sealer

    def key(self, session: Session) -> StationKey | None:
        """The station's key for push services; None before the first browser. Raises SealBroken."""
        row = repository.push_key(session, self._station)
        return None if row is None else StationKey(self._sealer.open(row.sealed, about=PUSH_KEY))

    def ready_key(self, session: Session, now_ms: int) -> str:
        """The public half of the key, made if need be.

        What was sealed with a key that is lost is made anew; browsers that subscribed with the old one are over.
        """
        row = repository.push_key(session, self._station)
        if row is not None:
            try:
                self._sealer.open(row.sealed, about=PUSH_KEY)
            except SealBroken:
                for one in repository.browsers(session, None):
                    self.end(session, one, now_ms)
                repository.drop_push_key(session, row)
            else:
                return row.public
        made = StationKey.new()
        sealed = self._sealer.seal(made.private, about=PUSH_KEY)
        repository.add_push_key(session, station=self._station, sealed=sealed, public=made.public, made_ms=now_ms)
        return made.public

    def seal_anew(self, session: Session) -> None:
        """Seal with the station's present key what an earlier one sealed."""
        row = repository.push_key(session, self._station)
        if row is not None and self._sealer.is_old(row.sealed, about=PUSH_KEY):
            row.sealed = self._sealer.seal(self._sealer.open(row.sealed, about=PUSH_KEY), about=PUSH_KEY)
            session.flush()

    @staticmethod
    def is_over(session: Session, row: NotifyChannel, now_ms: int) -> bool:
        """Whether a browser is not pushed to any more: signed out, or not opened for long.

        A session that was only not used for a while is no reason: that is when a push is of use.
        """
        ended = accounts.one(session, accounts.SIGN_IN, digest=row.session or "")
        account = accounts.one(session, accounts.ACCOUNT, id=row.account or "")
        old = row.renewed_ms is None or now_ms - row.renewed_ms >= RENEWED_MS
        gone = ended is None or ended.ended_why not in STAYS
        return old or gone or account is None or account.state != State.ACTIVE

    @staticmethod
    def end(session: Session, row: NotifyChannel, now_ms: int) -> None:
        """Push nothing to it any more; its address and its keys are forgotten."""
        row.ended_ms, row.sealed = now_ms, ""
        row.version += 1
        session.flush()

    def sweep(self, session: Session, now_ms: int) -> int:
        """End the browsers that are over. Returns how many."""
        over = [row for row in repository.browsers(session, None) if self.is_over(session, row, now_ms)]
        for row in over:
            self.end(session, row, now_ms)
        return len(over)


class Notifier:
    """The worker: one thread that looks, and a bounded number that send."""

    def __init__(
        self,
        database: Database,
        channels: Channels,
        *,
        station: str,
        undeliverable: Undeliverable,
        clock: Clock,
        phones: Phones,
        send: Send = transports.send,
    ) -> None:
        self._phones = phones
        self._database = database
        self._channels = channels
        self._station = station
        self._undeliverable = undeliverable
        self._clock = clock
        self._send = send
        self._began_ms = 0
        self._lock = threading.Lock()
        self._busy: dict[str, str] = {}
        """The channels that are worked now, with their hosts."""
        self._ailing: set[str] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="notify")
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left behind."""
        self._began_ms = self._clock()
        self._thread.start()

    def wake(self) -> None:
        """Look at the table now."""
        self._wake.set()

    def stop(self) -> None:
        """Finish what is on its way, each within its time limit; what is not stays owed."""
        self._stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._threads.shutdown(cancel_futures=True)

    @property
    def alive(self) -> bool:
        """Whether the worker works."""
        return self._thread.is_alive()

    def look(self) -> int:
        """Hand what is due to threads, as far as there are any. Returns how many channels began to be worked."""
        now = self._clock()
        with self._database.read() as session:
            due = repository.due_channels(session, self._station, now_ms=now, claimed_before_ms=self._stale_ms(now))
        began = 0
        for channel, host in due:
            with self._lock:
                if self._stopping or channel in self._busy or not self._room(channel, host):
                    continue
                self._busy[channel] = host
            began += 1
            self._threads.submit(self._work, channel)
        return began

    def _stale_ms(self, now: int) -> int:
        """What was taken into hand before then is in nobody's."""
        return max(now - LEASE_MS, self._began_ms)

    def _room(self, channel: str, host: str) -> bool:
        """Whether there is a thread: half of them at most for channels that failed last, and half for one host."""
        sick = sum(one in self._ailing for one in self._busy)
        same = sum(one == host for one in self._busy.values())
        half = THREADS // 2
        return len(self._busy) < THREADS and same < half and not (channel in self._ailing and sick >= half)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(LOOK_S)
            self._wake.clear()
            try:
                self.look()
            except Exception:  # the rows stay, and are looked at again
                log.exception("notify.look_failed")

    def _work(self, channel: str) -> None:
        try:
            self.serve(channel)
        except Exception:  # the same
            log.exception("notify.failed", channel=channel)
        finally:
            with self._lock:
                self._busy.pop(channel, None)

    def serve(self, channel: str) -> None:
        """Send what is due on one channel, message by message."""
        with self._database.write(patient=True) as session:
            plan = self._claim(session, channel)
        if plan is None:
            return
        address, walls, messages = plan
        for message, words in messages:
            trouble = "sealed_with_another_key" if address is None else self._try(address, walls, message, words)
            with self._lock:
                (self._ailing.discard if trouble is None else self._ailing.add)(channel)
            with self._database.write(patient=True) as session:
                self._mark(session, message, trouble)

    def _claim(self, session: Session, channel: str) -> tuple[Address | None, Walls, list[tuple[str, Words]]] | None:
        """Take what is to be sent now into hand; end what is too late, put off what has to be quiet."""
        now = self._clock()
        stale_ms = self._stale_ms(now)
        row = repository.channel(session, self._station, channel)
        if row is None:
            return None
        try:
            address = self._channels.address(row, self._phones.key(session) if row.sort == repository.PUSH else None)
        except SealBroken:
            address = None
        if row.sort == repository.PUSH and row.ended_ms is None and self._phones.is_over(session, row, now):
            self._phones.end(session, row, now)
        due = [*repository.due(session, channel, now_ms=now, claimed_before_ms=stale_ms)]
        waiting = [one for one in due if self._goes(session, row, one, now=now)]
        minute_ms = now - now % rules.MINUTE_MS
        singly, gathered = repository.sent_since(session, channel, minute_ms)
        numbers = [one.number for one in waiting if one.number is not None]
        notices = {one.number: Notice.read(one.notice) for one in waiting}
        messages = []
        for batch in rules.batches(numbers, singly=singly, gathered=gathered):
            # One alone keeps its id when it is tried again; another gathering is another message.
            alone = None if batch.gathered else next(one.id for one in waiting if one.number == batch.numbers[0])
            message = alone or secrets.token_hex(16)
            mine = repository.claim(session, batch.numbers, message=message, now_ms=now, claimed_before_ms=stale_ms)
            if mine:
                until_ms = min(one.expires_ms for one in waiting if one.number in mine)
                messages.append((message, self._words(address, [notices[number] for number in mine], until_ms)))
        if numbers and not messages:  # the minute is full
            for one in waiting:
                one.due_ms = minute_ms + rules.MINUTE_MS
        session.flush()
        return address, self._channels.walls(session), messages

    @staticmethod
    def _words(address: Address | None, notices: Sequence[Notice], expires_ms: int) -> Words:
        if address is None or address.device is None:
            return rules.words(notices)
        return rules.push_words(notices, language=address.language, home=address.home, expires_ms=expires_ms)

    def _goes(self, session: Session, channel: NotifyChannel, one: Delivery, *, now: int) -> bool:
        over = (
            (channel.ended_ms is not None, "channel_ended"),
            (one.police and not channel.police, "not_for_the_police_alone"),
            (now >= one.expires_ms, "too_late"),
        )
        if why := next((why for is_so, why in over if is_so), None):
            self._give_up(session, one, why, now=now)
            return False
        local = datetime.fromtimestamp(now / 1_000, ZoneInfo(channel.zone))
        minute = local.hour * 60 + local.minute
        left = rules.quiet_for_min(minute, from_min=channel.quiet_from_min, to_min=channel.quiet_to_min)
        if left and not one.urgent:
            one.due_ms = now - now % rules.MINUTE_MS + left * rules.MINUTE_MS
            return False
        return True

    def _try(self, address: Address, walls: Walls, message: str, words: Words) -> str | None:
        send = partial(self._send, address, words, delivery=message, station=self._station, walls=walls)
        try:
            send(now_s=self._clock() // 1_000)
        except CannotSend as error:
            return error.trouble
        return None

    def _mark(self, session: Session, message: str, trouble: str | None) -> None:
        now = self._clock()
        for one in repository.of_message(session, message):
            one.claimed_ms = one.claimed_ms if trouble is None else None
            if trouble is None:
                one.state, one.done_ms, one.trouble = "sent", now, None
                continue
            next_ms = now + rules.pause_ms(one.tries)
            if trouble == transports.GONE:
                self._forget(session, one.channel, now)
                self._give_up(session, one, trouble, now=now)
            elif rules.is_over(tries=one.tries, next_ms=next_ms, expires_ms=one.expires_ms):
                self._give_up(session, one, trouble, now=now)
            else:
                one.state, one.due_ms, one.trouble, one.message = "failed", next_ms, trouble, None
        session.flush()
        if trouble is not None:
            log.warning("notify.failed", message=message, trouble=trouble)

    def _forget(self, session: Session, channel: str, now: int) -> None:
        """The push service knows this browser no more."""
        row = repository.channel(session, self._station, channel)
        if row is not None and row.ended_ms is None:
            self._phones.end(session, row, now)

    def _give_up(self, session: Session, one: Delivery, trouble: str, *, now: int) -> None:
        one.state, one.done_ms, one.trouble = "undeliverable", now, trouble
        session.flush()
        if one.escalation is not None and not repository.hopeful(session, one.escalation, one.account):
            self._undeliverable(session, one.escalation, now)
