"""The way out: takes parcels from the outbox, signs them, publishes them, and hears what became of them.

A parcel is signed at the moment it is sent, because its age is signed with it. PUBACK with a good reason code moves
it to handed over (or closes a view); the delivery to the station closes on the station's receipt alone (N2).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from broker.ids import EventId, GatewayId, HouseholdId, Session, StationId
from broker.kinds import Lane
from broker.messages import (
    Action,
    AlarmUpdate,
    AlarmView,
    Body,
    Command,
    ConfigPart,
    GatewayStatus,
    Receipt,
    StationAudit,
    StationHello,
    StationStatus,
    audience_of,
)
from broker.signing import EnvelopeError, Signer, Verifier, WrongTopic, ring_refusal
from broker.topics import Name, build
from gateway import stamps
from gateway.events import STATION, Composer, Entry
from gateway.journal import Delivery, JournalError
from gateway.keeping import Keeper
from gateway.mqtt import UNHEARD, Access, Arrived, MqttLink, Will
from gateway.outbox import ROOM, Outbox, Parcel
from gateway.stamps import Clock, Stamp

log = structlog.get_logger("gateway.uplink")

SLICE: Final = 10
"""So many messages are signed before the loop may turn to the lines again: about 1 ms, and half the window. While more
than that is in flight no more is sent: one write wakes the broker for all of them."""
FIRST: Final = 2
"""When nothing is in flight: the event and its first audience go by themselves, and wait for no other signature."""
KNOWN_RUNG: Final = 1_000


class Hearer(Protocol):
    """Who acts on what the station says. Called on the loop."""

    def receipted(self, receipt: Receipt) -> None:
        """The station has these events."""

    def commanded(self, command: Command) -> None:
        """A command whose signature, session and counter are good."""

    def greeted(self, hello: StationHello) -> None:
        """What the station holds of this gateway."""

    def witnessed(self, audit: StationAudit) -> None:
        """Where the station's own record ends."""

    def configured(self, part: ConfigPart, topic: str, envelope: bytes) -> None:
        """A part of a slice of the register, whose signature is good, as it came."""

    def alarm_for(self, household: HouseholdId, view: AlarmView) -> None:
        """Another gateway's alarm shall ring at a household here."""

    def update_for(self, household: HouseholdId, update: AlarmUpdate) -> None:
        """What became of an alarm that a household here was told of."""


class Uplink:
    """One gateway's connection to its station."""

    def __init__(
        self,
        *,
        station: StationId,
        gateway: GatewayId,
        access: Access,
        signer: Signer,
        verifier: Verifier,
        keeper: Keeper,
        outbox: Outbox,
        clock: Clock,
        hearer: Hearer,
        status: Callable[[Session, int], GatewayStatus],
        new_session: Callable[[], Session],
        first_generation: int,
        remote: tuple[HouseholdId, ...],
        jitter: Callable[[], float],
        wrap: Callable[[str, Callable[..., object]], Callable[..., object]] = lambda _name, call: call,
        rung: Mapping[str, Sequence[EventId]] | None = None,
        rang: Callable[[], None] = lambda: None,
    ) -> None:
        """`status(session, generation)` tells the present state; `wrap` puts something around named points.

        `rung`: alarms of others that rang before, by audience, oldest first; `rang` is called when one more did.

        `remote`: households here that other gateways ring by message. Generations rise from `first_generation`,
        by one a connect.
        """
        self._signer = signer
        self._verifier = verifier
        self._keeper = keeper
        self._outbox = outbox
        self._clock = clock
        self._hearer = hearer
        self._status = status
        self._new_session = new_session
        self._composer = Composer(station, gateway)
        self._status_topic = build(Name.GATEWAY_STATUS, station, gateway)
        self._receipts = build(Name.GATEWAY_RECEIPT, station, gateway)
        self._commands = build(Name.GATEWAY_COMMAND, station, gateway)
        self._config = build(Name.GATEWAY_CONFIG, station, gateway)
        self._station_status = build(Name.STATION_STATUS, station)
        self._station = station
        self._own = self._topics_of(remote)
        self._rung = {audience: OrderedDict.fromkeys(alarms) for audience, alarms in (rung or {}).items()}
        """The alarms that rang before, by audience: two households here may be told of the same one."""
        self._rang = rang
        self._publish_parcel = wrap("uplink.publish", self._send)
        self.session = new_session()
        self.generation = first_generation
        self.refused: dict[str, int] = {}
        """Messages that were refused, by reason in one word (N9)."""
        self._counter = -1
        self._tickets: dict[int, Parcel] = {}
        self._answers: list[tuple[int, str | None]] = []
        """What the broker said to publishes, since the last slice."""
        self._pumping: asyncio.Handle | None = None
        self._refilling = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.link = MqttLink(
            access,
            client_id=access.user or gateway,
            listener=self,
            subscriptions=self._subscriptions,
            will=self._will,
            jitter=jitter,
            urgent=lambda: self._outbox.owes_alarm(now_ns=self._clock().mono_ns),
        )

    def set_remote(self, remote: tuple[HouseholdId, ...]) -> None:
        """Hear of the alarms of other gateways for these households from now on."""
        own = self._topics_of(remote)
        if own != self._own:
            self._own = own
            self.link.set_subscriptions(self._subscriptions)

    @property
    def _subscriptions(self) -> tuple[str, ...]:
        return (self._receipts, self._commands, self._config, self._station_status, *self._own)

    def _topics_of(self, remote: tuple[HouseholdId, ...]) -> dict[str, HouseholdId]:
        names = (Name.HOUSEHOLD_ALARM, Name.HOUSEHOLD_UPDATE)
        return {build(name, self._station, household): household for household in remote for name in names}

    def start(self) -> None:
        """Connect, and deliver from now on."""
        self.link.start()
        self.refill()

    async def close(self) -> None:
        """Say that we go, and disconnect."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close(self._presence(online=False))

    def committed(self, entries: list[Entry], targets: Callable[[Entry], list[str]]) -> None:
        """These are on disk: deliver them."""
        now_ns = self._clock().mono_ns
        self._outbox.add([(entry, targets(entry)) for entry in entries], now_ns=now_ns)
        if any(entry.event.lane is Lane.ALARM for entry in entries):
            self.link.hurry()
        if self._pumping is None:
            self._pump()
            self.link.flush()

    def tell_status(self) -> None:
        """Publish the present state, where there is a connection."""
        if self.link.up:
            presence = self._presence(online=True)
            self.link.publish(presence.topic, presence.payload, retain=True)

    def pump(self) -> None:
        """Publish as much as there is room for, a slice at a time."""
        if self._pumping is None:
            self._pumping = self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = None
        now = self._clock()
        self._hear_answers(now.mono_ns)
        most = SLICE if self._tickets else FIRST
        if self.link.room < most:
            return  # the answers that are due will bring us back
        for _ in range(most):
            parcel = self._outbox.take(now.mono_ns)
            if parcel is None:
                self.refill()
                return
            self._publish_parcel(parcel, now)
        self.pump()

    def _hear_answers(self, now_ns: int) -> None:
        answers, self._answers = self._answers, []
        handed: list[Delivery] = []
        done: list[Delivery] = []
        for ticket, refusal in answers:
            parcel = self._tickets.pop(ticket, None)
            if parcel is None:
                continue  # a status
            unheard = refusal == UNHEARD
            # A household's page is open or it is not; the station has to be there. What waits for it waits here, in the
            # order of its urgency, until it says so; the pause is for a station that says nothing.
            if refusal is not None and not (unheard and parcel.target != STATION):
                self.count(f"broker: {refusal}")
                self._outbox.refused(parcel, now_ns=now_ns, longer=not unheard)
                self._loop.call_later(5.0, self.pump)
                continue
            now_handed, now_done = self._outbox.handed(parcel, now_ns=now_ns)
            handed += now_handed
            done += now_done
        if handed or done:
            self._keeper.mark(handed=handed, done=done)

    def _send(self, parcel: Parcel, now: Stamp) -> None:
        age_ms = stamps.age_ms(parcel.entry.event.stamp, now)
        try:
            written = self._composer.write(parcel.entry, parcel.target, age_ms=age_ms)
        except ValueError as error:
            log.error("no message can be made of an event", id=parcel.entry.event.id, why=str(error)[:500])  # noqa: TRY400 - the reason is enough
            self._keeper.mark(done=self._outbox.unsendable(parcel))
            return
        if written is None:  # a newer policy has nothing for them
            self._keeper.mark(done=[parcel.delivery])
            self._outbox.handed(parcel, now_ns=now.mono_ns)
            return
        ticket = self.link.publish(written.topic, self._signer.seal(written.body))
        if ticket is None:
            self._outbox.lost(now_ns=now.mono_ns)
            return
        self._tickets[ticket] = parcel

    def owed_again(self) -> None:
        """The journal has deliveries again that were done with."""
        self._outbox.owed_again(now_ns=self._clock().mono_ns)
        self.refill()

    def refill(self) -> None:
        """Read deliveries from the journal that found no room before."""
        if self._outbox.wants_more and not self._refilling:
            self._refilling = True
            task = self._loop.create_task(self._refill())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _refill(self) -> None:
        self._outbox.begin_reading()
        try:
            await self._read_spilled()
        except JournalError:
            self._outbox.break_off_reading()  # it is in `Keeper.trouble`, and tried again
        except Exception:  # a mistake of ours: it is told, and must not leave what was spilled where it is
            self._outbox.break_off_reading()
            raise
        finally:
            self._refilling = False

    async def _read_spilled(self) -> None:
        limit = ROOM // 2
        known = self._outbox.known(self._keeper.epoch)
        await self._keeper.flush()
        pending = await self._keeper.ask(lambda journal: journal.pending(limit=limit, without=known))
        now = self._clock()
        own = [(entry, targets) for entry, targets in pending if entry.epoch == self._keeper.epoch]
        aged = [(entry, targets, stamps.age_ms(entry.event.stamp, now) * 1_000_000) for entry, targets in own]
        complete = len(pending) < limit and len(own) == len(pending)
        self._outbox.refill(aged, now_ns=now.mono_ns, complete=complete)
        if own:
            self.pump()

    # What the connection says

    def connected(self) -> None:
        """Say who we are; everything that waits may go."""
        self.tell_status()
        self.pump()

    def disconnected(self, why: str) -> None:
        """What was in flight goes again."""
        del why  # the link keeps it for the health page
        self._tickets.clear()
        self._answers.clear()
        self._outbox.lost(now_ns=self._clock().mono_ns)

    def published(self, ticket: int, refusal: str | None) -> None:
        """The broker answered one publish: it is looked at together with others that came with it."""
        self._answers.append((ticket, refusal))
        self.pump()

    def arrived(self, message: Arrived) -> None:
        """Believe nothing that is not signed by the station for this very topic."""
        try:
            body = self._verifier.open(message.topic, message.payload, retained=message.retained)
        except EnvelopeError as error:
            self.count(error.code)
            return
        if isinstance(body, ConfigPart):
            self._hearer.configured(body, message.topic, message.payload)
        else:
            self._act(body, retained=message.retained)

    def envelope(self, entry: Entry) -> bytes:
        """An event as the station takes it, by whichever road. ValueError: no message can be made of it."""
        age_ms = stamps.age_ms(entry.event.stamp, self._clock())
        written = self._composer.write(entry, STATION, age_ms=age_ms)
        assert written is not None, "the station is told everything"
        return self._signer.seal(written.body)

    def presence(self) -> bytes:
        """The signed status as it is now, for another road than the broker's."""
        return self._presence(online=True).payload

    def receipted_elsewhere(self, payload: bytes) -> frozenset[EventId]:
        """A receipt that came by another road than the broker's: it counts like any. Raises EnvelopeError."""
        body = self._verifier.open(self._receipts, payload)
        if not isinstance(body, Receipt):
            raise WrongTopic(self._receipts, f"is no receipt: {body.type}")
        self._act(body, retained=False)
        return frozenset(body.outcomes())

    def _may_ring(self, body: AlarmView | Command, alarm: EventId, *, retained: bool) -> bool:
        """The last of three gates: old, retained, known or foreign alarms do not ring (N4, N12)."""
        rung = self._rung.setdefault(body.audience, OrderedDict())
        ours = {body.audience} if body.topic in self._own or body.topic == self._commands else set()
        refusal = ring_refusal(body, retained=retained, known_ids=rung, member_of=ours)
        if refusal is not None:
            self.count(refusal.code)
            return False
        rung[alarm] = None
        while len(rung) > KNOWN_RUNG:
            rung.popitem(last=False)
        self._rang()
        return True

    @property
    def rung(self) -> dict[str, list[EventId]]:
        """The alarms of others that rang here, by audience, oldest first."""
        return {audience: list(alarms) for audience, alarms in self._rung.items()}

    def _act(self, body: Body, *, retained: bool) -> None:
        match body:
            case AlarmView():
                if self._may_ring(body, body.id, retained=retained):
                    self._hearer.alarm_for(self._own[body.topic], body)
            case Receipt():
                now_ns = self._clock().mono_ns
                self._hear_answers(now_ns)  # they came before
                self._keeper.mark(done=self._outbox.receipt(body.outcomes(), now_ns=now_ns))
                self._hearer.receipted(body)
                self.pump()
            case StationStatus(online=online, generation=generation):
                if online:
                    now_ns = self._clock().mono_ns
                    self._hear_answers(now_ns)  # they came before
                    self._outbox.station_started(generation, now_ns=now_ns)
                    self.pump()
            case StationHello():
                self._hearer.greeted(body)
            case StationAudit():
                self._hearer.witnessed(body)
            case Command():
                if self._may_command(body, retained=retained):
                    self._hearer.commanded(body)
            case AlarmUpdate() if body.topic in self._own:
                self._hearer.update_for(self._own[body.topic], body)
            case _:
                self.count("not_for_us")

    def _may_command(self, command: Command, *, retained: bool) -> bool:
        """Of this session, not heard before; and what rings passes the gate of everything that rings."""
        if command.session != self.session:
            self.count("other_session")
            return False
        if command.counter <= self._counter:
            self.count("old_counter")
            return False
        self._counter = command.counter
        if command.action is not Action.ALERT or command.alarm is None:
            return True
        return self._may_ring(command, EventId(command.alarm), retained=retained)

    def count(self, why: str) -> None:
        """A message was refused, for this reason."""
        self.refused[why] = self.refused.get(why, 0) + 1

    def _will(self) -> Will:
        """Every connect has its own session, so that commands to an earlier one are void."""
        self.session = self._new_session()
        self._counter = -1
        self.generation += 1
        return self._presence(online=False)

    def _presence(self, *, online: bool) -> Will:
        body = self._status(self.session, self.generation).model_copy(
            update={"online": online, "topic": self._status_topic, "audience": audience_of(self._status_topic)}
        )
        return Will(self._status_topic, self._signer.envelope(body))
