"""The gateway: everything put together for one box. `run` keeps going until it is told to stop.

Nothing here decides anything. It boots in this order: journal and counters (or new ones), lines and pins, and only
then the network, so that a gateway that has nobody to talk to still alerts and keeps (N5, N14).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretBytes

from broker import ids
from broker.ids import EventId, HouseholdId
from broker.kinds import EventType, LadderState, UpdateState
from broker.messages import (
    Action,
    AlarmUpdate,
    AlarmView,
    Command,
    ConfigPart,
    GatewayStatus,
    Outcome,
    Receipt,
    StationAudit,
    StationHello,
)
from broker.sealing import sealing_key
from broker.signing import Signer, Verifier, gateway_kid
from broker.slices import SliceRefused
from devices.frames import FRAME_BYTES
from devices.line_link import LineLink, UnitKey
from devices.pn532 import Pn532
from devices.readings import TagRefused
from devices.timing import LineTiming
from gateway import logs
from gateway.alert import Alert, Play, Switch
from gateway.checkpoints import Checkpoints, Chirp, KnownTags
from gateway.drills import Drills
from gateway.events import Entry
from gateway.history import History, highest, told_head
from gateway.https import Client, address_of
from gateway.installing import Windows
from gateway.intake import Intake, ZigbeeAction
from gateway.journal import Carried, Heard, JournalError
from gateway.keeping import Append, Keeper
from gateway.ladder import Ladder, Show
from gateway.lines import AskedLine, Hearing, NativeLine, PortLine, ReaderLine, Source, make_codec
from gateway.links.uart import Port
from gateway.mqtt import Access
from gateway.outbox import Outbox
from gateway.recorder import Batch, Recorder
from gateway.register import Register
from gateway.resumption import resume
from gateway.retelling import Retelling
from gateway.road import Road
from gateway.rounds import Rounds, Watched
from gateway.rung import keep as keep_rung
from gateway.settings import Contact, GatewaySettings, Line, Reader, Unit, public_keys
from gateway.slices import Applied, Incoming, Kept, apply, keep, site_keys
from gateway.stamps import Clock, SystemClock
from gateway.stores import Stores, open_stores, reopen
from gateway.supervision import Supervision
from gateway.trust import Credential, Identity
from gateway.unit_keys import MOST_OFFERED, SpokenKey, digest
from gateway.unit_keys import keep as keep_keys
from gateway.uplink import Uplink
from gateway.watchdog import Watchdog

if TYPE_CHECKING:
    from gateway.links.gpio import Pins
    from gateway.links.zigbee import ZigbeeLink

log = structlog.get_logger("gateway")

Wrap = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""Puts something around a named point (`journal.append`, `link.write`, `uplink.publish`): kill points, a slow disk."""


def leave(_name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Put nothing around anything."""
    return call


class Gateway:
    """One gateway. Build it on the loop that it shall run on."""

    def __init__(self, settings: GatewaySettings, stores: Stores, *, clock: Clock, wrap: Wrap = leave) -> None:
        """`stores` come from `open_stores`, which blocks."""
        self._set_up = settings
        """As the site file says; what the station said of people and places since then is in `_settings`."""
        kept = stores.found.kept
        self._spoken = dict(stores.spoken)
        """Keys of units that speak with another one by now than the site file says."""
        applied = Applied(settings) if kept is None else apply(settings, kept.slice, kept.keys, self._spoken)
        self._unusable = applied.unusable
        self._drift = stores.found.drift
        self._incoming = (
            Incoming(settings, runs=0) if kept is None else Incoming(settings, runs=kept.slice.version, keys=kept.keys)
        )
        self._sealing_key = sealing_key(settings.signing_seed.get_secret_value()).hex()
        self._settings = settings = applied.settings
        self._keeping_slice: asyncio.Task[None] | None = None
        self._keeping_rung: asyncio.Task[None] | None = None
        self._rung_again = False
        self._clock = clock
        self._wrap = wrap
        self._loop = asyncio.get_running_loop()
        self._register = Register(settings)
        self._start_number = stores.start
        self._counters_lost = stores.counters_lost
        self._supervision = Supervision(
            [(unit.id, unit.line) for unit in settings.units],
            heartbeat_s=settings.heartbeat_s,
            now_ns=clock().mono_ns,
        )
        self._alert = Alert(
            self._register, siren_s=settings.siren_s, night=settings.night, utc_offset_min=settings.utc_offset_min
        )
        self._ladder = Ladder(not_reached_s=settings.not_reached_s)
        self._tags = KnownTags(settings.tags)
        buttons = [contact for contact in settings.contacts if contact.role == "checkpoint"]
        self._checkpoints = Checkpoints([*settings.readers, *buttons], self._tags)
        self._outbox = Outbox()
        self._drills = Drills()
        self._windows = Windows()
        self._intake = Intake(
            self._register,
            gateway=settings.gateway,
            random_bytes=secrets.token_bytes,
            known=stores.known,
            alarm_of=self._alert.alarm_of,
            in_drill=self._drills.names,
            in_window=self._windows.covers,
        )
        self._keeper = Keeper(
            stores.journal,
            stores.counters,
            reopen=partial(reopen, settings, clock=clock),
            carry=self._carry,
            renewed=self._journal_renewed,
            wrap=self._wrap_append,
        )
        self._recorder = Recorder(
            gateway=settings.gateway,
            intake=self._intake,
            alert=self._alert,
            ladder=self._ladder,
            supervision=self._supervision,
            keeper=self._keeper,
            clock=clock,
            sound=self._sound,
            show=self._show_with_answers,
            committed=self._committed,
        )
        self._hearing = Hearing(self._recorder, self._supervision, clock)
        self._own = Source("own", self._hearing)
        """Events without a port: contacts, Zigbee, faults of the gateway itself."""
        self._lately = stores.lately
        self._heard = dict(stores.heard)
        """Replay windows of units that have hung here, whether they do now or not."""
        self._lines: dict[str, PortLine] = {line.name: self._make_line(line, stores) for line in settings.lines}
        self._pins: Pins | None = None
        self._simulator: asyncio.AbstractServer | None = None
        self._zigbee: ZigbeeLink | None = None
        self._remote = {household.id for household in settings.households if household.remote}
        self._verifier = Verifier(settings.station, public_keys(settings))
        self._uplink = self._make_uplink(stores.rung)
        self._road = self._make_road()
        self._history = History(self._keeper, told=self._history_told, refused=self._uplink.count)
        self._retelling = Retelling(self._keeper, clock=clock, owed_again=self._uplink.owed_again)
        self._renewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0
        self._watchdog = Watchdog(os.environ)
        certificate = settings.broker.certificate
        self._credential = None if certificate is None else Credential(certificate)
        self._rounds = Rounds(
            Watched(
                keeper=self._keeper,
                outbox=self._outbox,
                uplink=self._uplink,
                supervision=self._supervision,
                recorder=self._recorder,
                lines=self._lines,
                own=self._own,
                zigbee=lambda: None if self._zigbee is None else self._zigbee.link,
                health=self.health,
                failures=self._all_failures,
                road=self._road,
                credential=self._credential,
            ),
            settings,
            clock=clock,
            watchdog=self._watchdog,
        )

    async def start(self) -> None:
        """Hear from now on; then connect."""
        for line in self._lines.values():
            line.start()
        if self._settings.gpio != "none":
            await self._start_pins()
        self._resume()
        self._uplink.start()
        if self._settings.zigbee is not None:
            self._start_zigbee()
        self._rounds.start()
        self._own.note(self._supervision.state("counters_lost", "downlink", wrong=self._counters_lost))
        self._own.note(self._supervision.state("register_drift", "register", wrong=self._drift))
        self._tell_unusable({})
        log.info("gateway ready", gateway=self._settings.gateway, lines=len(self._lines), epoch=self._keeper.epoch)
        self._watchdog.say("READY=1")

    async def close(self) -> None:
        """Keep what was heard, say goodbye, close."""
        self._watchdog.say("STOPPING=1")
        await self._rounds.close()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(source.close() for source in (*self._lines.values(), self._own)))
        if self._simulator is not None:
            self._simulator.close()
        if self._pins is not None:
            self._pins.close()
        if self._zigbee is not None:
            await self._zigbee.link.close()
        if self._road is not None:
            await self._road.close()
        await self._uplink.close()
        if self._renewing is not None:
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._keeping_slice is not None:
            await asyncio.gather(self._keeping_slice, return_exceptions=True)
        if self._keeping_rung is not None:
            await asyncio.gather(self._keeping_rung, return_exceptions=True)
        await self._history.close()
        await self._retelling.close()
        await self._keeper.close()
        self._watchdog.close()

    def failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something of ours raised where nobody was there to catch it: that is a fault, and no reason to end."""
        del loop
        self._failures += 1
        error = context.get("exception")
        log.error("a mistake of the program", what=context.get("message"), exc_info=error)

    def _resume(self) -> None:
        """Go on with what a restart interrupted."""
        now = self._clock()
        gateway = self._settings.gateway
        resumed = resume(self._lately, alert=self._alert, ladder=self._ladder, gateway=gateway, now=now)
        self._lately = []
        self._intake.resume(resumed.last)
        self._show(resumed.shows, with_answer=True)
        self._sound(resumed.sounds)
        self._wake()

    # Putting together

    def _carry(self) -> Carried:
        """What must not be lost with a journal file."""
        natives = [line for line in self._lines.values() if isinstance(line, NativeLine)]
        heard = [Heard(unit, window) for line in natives for unit, window in line.windows.items()]
        return Carried(self._outbox.open, heard, self._recorder.known, self._keeper.audit)

    def _journal_renewed(self) -> None:
        """What was not delivered is in the new journal; read it from there."""
        self._outbox.clear()
        self._uplink.refill()
        self._uplink.tell_status()

    def _wrap_append(self, append: Append) -> Append:
        wrapped: Append = self._wrap("journal.append", append)
        return wrapped

    def _make_line(self, line: Line, stores: Stores) -> PortLine:
        open_port = partial(self._open_port, line.name)
        if line.kind != "native":
            if line.kind == "pn532":
                return AskedLine(line, Pn532(), hearing=self._hearing, open_port=open_port, answers=self._read)
            reader = next((reader for reader in self._settings.readers if reader.line == line.name), None)
            codec = make_codec(line, reader, self._tags)
            return ReaderLine(line, codec, hearing=self._hearing, open_port=open_port, answers=self._read)
        units, keys = self._units_on(line.name, stores.known)
        link = LineLink(
            units=keys,
            timing=LineTiming(line.baud, FRAME_BYTES),
            take_counter=self._keeper.take_counter,
            random_bytes=secrets.token_bytes,
        )
        return NativeLine(
            line,
            link,
            units=units,
            hearing=self._hearing,
            open_port=open_port,
            commit_s=lambda: self._keeper.counts.last_commit_s,
            raise_above=self._keeper.counters.raise_above,
            key_taken=self._key_taken,
        )

    def _units_on(self, line: str, known: Mapping[str, EventId]) -> tuple[tuple[Unit, ...], dict[int, UnitKey]]:
        """The units of a line, and what its link must know of each."""
        units = tuple(unit for unit in self._settings.units if unit.line == line)
        messages = _messages(known)
        keys = {
            unit.address: UnitKey(
                unit.key.get_secret_value(),
                None if unit.next_key is None else unit.next_key.get_secret_value(),
                self._heard.get(unit.id, 0),
                messages.get(unit.id, ()),
                tuple(one.get_secret_value() for one in unit.other_keys),
            )
            for unit in units
        }
        return units, keys

    def _open_port(self, name: str, path: Any, baud: int, user: Any) -> Port:
        port = Port(path, baud, user)
        port.write = self._wrap(f"link.write.{name}", port.write)  # type: ignore[method-assign] # a kill point
        return port

    def _make_uplink(self, rung: Mapping[str, Sequence[EventId]]) -> Uplink:
        settings = self._settings
        broker = settings.broker
        return Uplink(
            station=settings.station,
            gateway=settings.gateway,
            access=Access(
                broker.host,
                broker.port,
                broker.user,
                None if broker.password is None else broker.password.get_secret_value(),
                broker.ca,
                own=None
                if broker.certificate is None or broker.key is None
                else Identity(broker.certificate, broker.key),
            ),
            signer=Signer(gateway_kid(settings.gateway), settings.signing_seed.get_secret_value()),
            verifier=self._verifier,
            keeper=self._keeper,
            outbox=self._outbox,
            clock=self._clock,
            hearer=self,
            status=self._status,
            new_session=lambda: ids.session(secrets.token_bytes(ids.SESSION_RANDOM_BYTES)),
            first_generation=self._start_number << 16,
            remote=tuple(sorted(self._remote)),
            jitter=lambda: random.uniform(0.7, 1.3),  # noqa: S311 - spreads reconnects, guards nothing
            wrap=self._wrap,
            rung=rung,
            rang=self._rang,
        )

    def _rang(self) -> None:
        """An alarm of another gateway rings here. It sounds at once; that it did is known after a restart."""
        if self._keeping_rung is None or self._keeping_rung.done():
            self._keeping_rung = self._loop.create_task(self._keep_rung())
        else:
            self._rung_again = True

    async def _keep_rung(self) -> None:
        while True:
            self._rung_again = False
            try:
                await self._loop.run_in_executor(None, keep_rung, self._set_up.state, self._uplink.rung)
            except OSError as error:
                log.error("what rang could not be kept", trouble=error.strerror)  # noqa: TRY400 - the reason is enough
            if not self._rung_again:
                return

    def _make_road(self) -> Road | None:
        """The road to the station by HTTPS, where the site file has one."""
        access = self._settings.road
        if access is None:
            return None
        return Road(
            gateway=self._settings.gateway,
            after_s=access.after_s,
            outbox=self._outbox,
            deliverer=self._uplink,
            client=Client(address_of(access.url), ca=access.ca),
            clock=self._clock,
            jitter=lambda: random.uniform(0.7, 1.3),  # noqa: S311 - as above
        )

    def _all_failures(self) -> int:
        """Times that something of ours raised, wherever it was."""
        return self._failures + self._uplink.link.failures + (0 if self._road is None else self._road.failures)

    async def _start_pins(self) -> None:
        from gateway.links.gpio import GpioError, Pins, make_factory  # noqa: PLC0415 - 60 ms saved where there are no pins

        assert self._settings.gpio != "none"
        try:
            self._pins = Pins(
                make_factory(self._settings.gpio),
                contacts=self._settings.contacts,
                sounders=(*self._settings.sounders, *self._checkpoints.sounders),
                readers=self._settings.readers,
                user=self,
            )
            if self._settings.gpio_socket is not None:
                self._simulator = await self._pins.serve_simulator(self._settings.gpio_socket)
        except (GpioError, ImportError, OSError) as error:
            log.error("pins cannot be used", trouble=str(error))  # noqa: TRY400 - the reason is enough
            self._own.note(self._supervision.state("pins_lost", "gpio", wrong=True, detail={"why": str(error)[:90]}))
            for reader in self._settings.readers:
                if reader.line is None:
                    self._own.note(self._supervision.state("reader_silent", reader.id, wrong=True))
        if self._pins is not None:
            self._pins.start()

    def _start_zigbee(self) -> None:
        from gateway.links.zigbee import ZigbeeLink  # noqa: PLC0415 - only where there are such buttons

        assert self._settings.zigbee is not None
        self._zigbee = ZigbeeLink(
            self._settings.zigbee,
            client_id=f"{self._settings.gateway}-zigbee",
            buttons=self._settings.zigbee_buttons,
            said=self.zigbee_said,
            jitter=lambda: random.uniform(0.7, 1.3),  # noqa: S311 - as above
        )
        self._zigbee.link.start()

    # Towards units and pins

    def _sound(self, changes: Sequence[Play | Switch]) -> None:
        touched: dict[str, NativeLine] = {}
        for change in changes:
            if isinstance(change, Switch):
                self._switch(change)
                continue
            line = self._lines.get(change.unit.line)
            if isinstance(line, NativeLine):
                line.sound(change.unit, change.siren)
                touched[line.name] = line
        for line in touched.values():
            line.flush()
        if changes:
            self._wake()

    def _switch(self, switch: Switch) -> None:
        """Turn a wired sounder on or off; one that is broken must not keep the others silent."""
        if self._pins is None:
            return
        broken = self._pins.switch(switch.sounder, on=switch.on)
        wrong = broken is not None
        detail = {"why": (broken or "")[:90]}
        self._own.note(self._supervision.state("sounder", switch.sounder.id, wrong=wrong, detail=detail))

    def _show_with_answers(self, shows: Sequence[Show]) -> None:
        self._show(shows, with_answer=True)
        if shows:
            self._wake()

    def _show(self, shows: Sequence[Show], *, with_answer: bool = False) -> None:
        for show in shows:
            unit = self._register.unit_by_id(show.unit)
            line = None if unit is None else self._lines.get(unit.line)
            if unit is not None and isinstance(line, NativeLine):
                line.show(unit, show.lamp, with_answer=with_answer)
                if not with_answer:
                    line.flush()

    def contact_said(self, contact: Contact, reading: object) -> None:
        """A wired contact has something to say."""
        batch = self._recorder.hear_contact(contact.id, self._start_number, reading)
        self._read(contact.id, (), batch)
        self._own.take(batch)

    def reader_said(self, reader: Reader, readings: Sequence[object]) -> None:
        """A Wiegand reader on two pins read something."""
        batch = self._recorder.hear(reader.id, readings)
        self._read(reader.id, readings, batch)
        self._own.take(batch)

    def zigbee_said(self, action: ZigbeeAction) -> None:
        """A Zigbee button was pressed."""
        self._own.take(self._recorder.hear("zigbee", [action]))

    # Towards the checkpoints

    def _read(self, reader: ids.UnitId, readings: Sequence[object], batch: Batch) -> None:
        """A reader read cards: they are answered when they are on disk, or when that takes too long."""
        now_ns = self._clock().mono_ns
        self._checkpoints.heard(batch.events, now_ns)
        if any(isinstance(reading, TagRefused) for reading in readings):
            self._reply(self._checkpoints.refused(reader, now_ns))
        self._wake()

    def _reply(self, replies: Sequence[Switch | Chirp]) -> None:
        for reply in replies:
            if isinstance(reply, Switch):
                self._switch(reply)
            elif (unit := self._register.unit_by_id(reply.unit)) is not None and self._hears(unit):
                self._sound(self._alert.chirp(unit))

    def _hears(self, unit: Unit) -> bool:
        """Whether its line is listened to: a tone is not worth another unit's frame, which it would go into."""
        line = self._lines.get(unit.line)
        return line is None or line.may_listen

    # Towards the station

    def _committed(self, entries: list[Entry]) -> None:
        replies = self._checkpoints.kept((entry.event for entry in entries), self._clock().mono_ns)
        if replies:
            self._reply(replies)
            self._wake()
        self._uplink.committed(entries, lambda entry: entry.event.targets(self._settings.gateway))

    def receipted(self, receipt: Receipt) -> None:
        """The station has these."""
        reached = [event for event, outcome in receipt.outcomes().items() if outcome is not Outcome.REJECTED]
        self._show(self._ladder.receipted(reached))
        if receipt.holds is not None:
            self._history.compare([receipt.holds])

    def commanded(self, command: Command) -> None:
        """Do what the station orders; its signature, session and counter are good."""
        now_ns = self._clock().mono_ns
        match command.action:
            case Action.LADDER if command.alarm is not None and command.state is not None:
                self._show(self._ladder.moved(command.alarm, command.state))
                if command.state is LadderState.CLOSED and self._stop(command.alarm):
                    self._own.take(self._recorder.order(EventType.SILENCED, command))
            case Action.STOP if command.alarm is not None:
                self._stop(command.alarm)
                self._own.take(self._recorder.order(EventType.SILENCED, command))
            case Action.STAND_BACK if command.alarm is not None:
                self._sound(self._alert.stand_back(command.alarm))
            case Action.DRILL:
                self._drills.ordered(command, now_ns)
            case Action.INSTALL:
                self._windows.ordered(command, now_ns)
            case Action.CALL:
                self._reply(self._checkpoints.called(command, now_ns))
                self._wake()
            case Action.ALERT:
                self._sound(self._alert.ring_command(command, now_ns=now_ns))
                self._own.take(self._recorder.order(EventType.ALERT, command))
            case _:
                log.info("command is not for this version", action=command.action)

    def _stop(self, alarm: EventId) -> bool:
        """End the sound of an alarm; whether there was any."""
        changes = self._alert.stop(alarm)
        self._sound(changes)
        return bool(changes)

    def greeted(self, hello: StationHello) -> None:
        """The station holds more of this epoch than we do: an old card is in this box. Open a new epoch."""
        keeper = self._keeper
        epoch, head = keeper.head
        ahead = any(held.epoch == epoch and highest(held) > head.seq for held in hello.highest)
        self._own.note(self._supervision.state("old_journal", "journal", wrong=ahead))
        if ahead and (self._renewing is None or self._renewing.done()):
            self._renewing = self._loop.create_task(self._open_epoch())
        self._history.compare(hello.highest)
        self._retelling.compare(hello.highest)

    def witnessed(self, audit: StationAudit) -> None:
        """Where the station's own record ends: to be kept, and told back with the next status."""
        self._history.witness(audit)

    async def _open_epoch(self) -> None:
        try:
            await self._keeper.open_epoch()
        except JournalError as error:  # the next hello finds it so again
            log.error("no new epoch could be opened", trouble=error.what)  # noqa: TRY400 - the reason is enough

    def _history_told(self, changed: int | None) -> None:
        """The station was told another digest than the one that we have, of the row `changed`; None: the same."""
        detail = {} if changed is None else {"seq": changed}
        self._own.note(self._supervision.state("history_changed", "journal", wrong=changed is not None, detail=detail))

    def configured(self, part: ConfigPart, topic: str, envelope: bytes) -> None:
        """A part of a slice of the register. Once it is whole it is what counts, from the next reading on."""
        try:
            kept = self._incoming.take(part, topic, envelope)
        except SliceRefused as refused:
            self._uplink.count(refused.code)
            detail: dict[str, str | int | bool] = {"why": refused.code, "version": part.version}
            self._own.note(self._supervision.state("slice_refused", "register", wrong=True, detail=detail))
            return
        if kept is None:
            return
        self._apply(kept)
        before = self._keeping_slice
        self._keeping_slice = self._loop.create_task(self._keep_slice(kept, after=before))

    def _apply(self, kept: Kept) -> None:
        """Let a slice count, in one turn of the loop: no reading is judged by half of it."""
        self._remember_keys(kept.keys)
        applied = apply(self._set_up, kept.slice, kept.keys, self._spoken)
        natives = [line for line in self._lines.values() if isinstance(line, NativeLine)]
        for line in natives:
            self._heard |= {str(unit): window for unit, window in line.windows.items()}
        self._settings = applied.settings
        self._register = self._alert.register = self._intake.register = Register(applied.settings)
        self._tags.replace(applied.settings.tags)
        for line in natives:
            line.set_units(*self._units_on(line.name, self._recorder.known))
        units = [(unit.id, unit.line) for unit in applied.settings.units]
        self._supervision.watch(units, now_ns=self._clock().mono_ns)
        here = {unit for unit, _ in units}
        for change in self._supervision.open:  # of whoever hangs here no more nothing can be restored
            if change.unit is not None and change.unit in self._heard and change.unit not in here:
                self._own.note(self._supervision.state(change.fault, change.subject, wrong=False, unit=change.unit))
        before, self._unusable = self._unusable, applied.unusable
        self._tell_unusable(before)
        for fault in ("slice_refused", "register_drift"):
            self._own.note(self._supervision.state(fault, "register", wrong=False))
        self._remote = {household.id for household in applied.settings.households if household.remote}
        self._verifier.believe(public_keys(applied.settings))
        self._uplink.set_remote(tuple(sorted(self._remote)))
        log.info("register slice applied", version=kept.slice.version, units=len(units), unusable=len(self._unusable))

    def _remember_keys(self, came: Mapping[str, bytes]) -> None:
        """What units speak with, and what they were offered, before other keys come: no working key is lost."""
        site = site_keys(self._set_up)
        for unit in self._settings.units:
            key, instead_of = unit.key.get_secret_value(), digest(site.get(unit.id))
            offered = [one.get_secret_value() for one in unit.other_keys]
            if unit.next_key is not None and came.get(unit.id) != unit.next_key.get_secret_value():
                offered = [*offered, unit.next_key.get_secret_value()][-MOST_OFFERED:]
            if offered or key not in (site.get(unit.id), came.get(unit.id)) or unit.id in self._spoken:
                self._spoken[unit.id] = SpokenKey(key, instead_of, tuple(offered))

    def _key_taken(self, unit: ids.UnitId, key: bytes) -> None:
        """A unit speaks with its new key: that counts after a restart, too."""
        self._spoken[unit] = SpokenKey(key, digest(site_keys(self._set_up).get(unit)))

        def renewed(one: Unit) -> Unit:
            later = None if one.next_key is None or one.next_key.get_secret_value() == key else one.next_key
            return one.model_copy(update={"key": SecretBytes(key), "next_key": later, "other_keys": ()})

        units = tuple(renewed(one) if one.id == unit else one for one in self._settings.units)
        self._settings = self._settings.model_copy(update={"units": units})
        before = self._keeping_slice
        self._keeping_slice = self._loop.create_task(self._keep_key_of(unit, after=before))

    async def _keep_key_of(self, unit: ids.UnitId, *, after: asyncio.Task[None] | None) -> None:
        """Say so when it is on disk: from then on it counts whatever happens."""
        if after is not None:
            await asyncio.gather(after, return_exceptions=True)
        await self._keep_spoken()
        log.info("a unit has taken its new key", unit=unit)

    async def _keep_spoken(self) -> None:
        try:
            await self._loop.run_in_executor(None, keep_keys, self._set_up, dict(self._spoken))
        except OSError as error:  # after a restart the unit is believed by either again
            log.error("keys of units could not be kept", trouble=error.strerror)  # noqa: TRY400 - the reason is enough

    async def _keep_slice(self, kept: Kept, *, after: asyncio.Task[None] | None) -> None:
        """Keep it as the last known good one, and say that it runs."""
        if after is not None:
            await asyncio.gather(after, return_exceptions=True)
        if self._spoken:
            await self._keep_spoken()
        trouble = ""
        try:
            await self._loop.run_in_executor(None, keep, self._set_up, kept)
        except OSError as error:  # it counts all the same; after a restart the station sends it again
            trouble = str(error)
        detail = {"why": trouble[:90]} if trouble else {}
        self._own.note(self._supervision.state("register_unkept", "register", wrong=bool(trouble), detail=detail))
        self._uplink.tell_status()

    def _tell_unusable(self, before: Mapping[str, str]) -> None:
        """Units that the register has here and that cannot be heard: their key or their line is not here."""
        for unit in sorted({*before, *self._unusable}):
            why = self._unusable.get(unit)
            detail = {} if why is None else {"why": why}
            self._own.note(self._supervision.state("unit_unusable", unit, wrong=why is not None, detail=detail))

    def alarm_for(self, household: HouseholdId, view: AlarmView) -> None:
        """A household here is rung by another gateway's alarm; it was checked that this may ring."""
        self._sound(self._alert.ring_view(view, household, now_ns=self._clock().mono_ns))

    def update_for(self, household: HouseholdId, update: AlarmUpdate) -> None:
        """What became of an alarm that rings at a household here."""
        del household
        if update.state is UpdateState.STAND_BACK:
            self._sound(self._alert.stand_back(update.alarm))
        elif update.state in (UpdateState.CANCELLED_BY_HOUSEHOLD, UpdateState.FALSE_ALARM, UpdateState.CLOSED):
            self._sound(self._alert.stop(update.alarm))

    def _status(self, session: ids.Session, generation: int) -> GatewayStatus:
        now = self._clock()
        keeper = self._keeper
        epoch, head = keeper.head
        return GatewayStatus(
            topic="sw1/x",
            audience="station",
            id=ids.event_id(max(now.wall_ms, 0), secrets.token_bytes(ids.EVENT_ID_RANDOM_BYTES)),
            age_ms=0,
            gateway=self._settings.gateway,
            online=True,
            generation=generation,
            session=session,
            epoch=epoch,
            head=head.seq,
            digest=head.digest.hex(),
            low=min(keeper.low, head.seq + 1),
            clock=now.quality,
            queued=self._keeper.queued,
            faults=self._supervision.faults,
            register_version=self._incoming.runs,
            sealing_key=self._sealing_key,
            audit=None if keeper.audit is None else told_head(keeper.audit),
        )

    # Timers

    def _wake(self) -> None:
        """Set the clock for whatever is due next: sirens that end, police that are not reached."""
        told = (self._alert.next_due(), self._ladder.next_due(), self._checkpoints.next_due())
        dues = [due for due in told if due is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if dues:
            delay_s = max(0, min(dues) - self._clock().mono_ns) / 1e9
            self._timer = self._loop.call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        now_ns = self._clock().mono_ns
        self._sound(self._alert.advance(now_ns))
        self._show(self._ladder.advance(now_ns))
        self._reply(self._checkpoints.advance(now_ns))
        self._wake()

    def health(self) -> dict[str, object]:
        """Return what there is to know about this gateway now, for people and `doctor`; nothing personal."""
        return {
            "gateway": self._settings.gateway,
            "epoch": self._keeper.epoch,
            "head": self._keeper.head_seq,
            "queued": self._keeper.queued,
            "register": self._incoming.runs,
            "uplink": {
                "up": self._uplink.link.up,
                "trouble": self._uplink.link.trouble,
                "refused": self._uplink.refused,
            },
            "road": None if self._road is None else {"trouble": self._road.trouble, **_plain(self._road.counts)},
            "lines": {
                line.name: {
                    "up": line.port.up,
                    "trouble": line.port.trouble,
                    "unkept": line.unkept,
                    "held_back": line.held_back,
                    "gave_way": line.gave_way,
                    **_line_counts(line),
                }
                for line in self._lines.values()
            },
            "readers": {} if self._pins is None else {name: _plain(seen) for name, seen in self._pins.wiegand.items()},
            "faults": [f"{change.fault} {change.subject}" for change in self._supervision.open],
            "journal": _plain(self._keeper.counts),
            "outbox": _plain(self._outbox.counts),
            "told_again": self._retelling.count,
            "intake": _plain(self._intake.counts),
            "clock": self._clock().quality,
            "keys_offered": sorted(unit.id for unit in self._settings.units if unit.next_key is not None),
            "certificate_ends_ms": None if self._credential is None else self._credential.ends_ms,
        }


def _messages(known: Mapping[str, EventId]) -> dict[str, list[tuple[int, int]]]:
    """(boot, number) of the messages that are known, by unit, oldest first."""
    messages: dict[str, list[tuple[int, int]]] = {}
    for key in known:
        unit, boot, number = key.split(":")
        messages.setdefault(unit, []).append((int(boot), int(number)))
    return messages


def _line_counts(line: PortLine) -> dict[str, object]:
    match line:
        case NativeLine(link=link):
            return {"framing": _plain(link.framing), "link": _plain(link.counts)}
        case ReaderLine(codec=codec):
            return {"reader": _plain(codec.counts)}
        case _:
            return {}


def _plain(counts: Any) -> dict[str, object]:
    return {name: getattr(counts, name) for name in counts.__slots__}


async def run(settings: GatewaySettings, *, clock: Clock | None = None, wrap: Wrap = leave) -> None:
    """Run a gateway until SIGTERM or SIGINT. Raises InUse (a JournalError) when another process does already."""
    logs.configure()
    os.umask(0o077)  # the journal knows who pressed when
    loop = asyncio.get_running_loop()
    clock = clock if clock is not None else await loop.run_in_executor(None, SystemClock)
    found = loop.run_in_executor(None, partial(open_stores, settings, clock=clock))
    gateway = Gateway(settings, await found, clock=clock, wrap=wrap)
    del found  # thousands of events and keys, which would be kept until the end
    loop.set_exception_handler(gateway.failed)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await gateway.start()
    gc.collect()
    gc.freeze()  # a collection that looks at all that was imported stops the loop for 20 ms, on a Pi for more
    await stop.wait()
    await gateway.close()
