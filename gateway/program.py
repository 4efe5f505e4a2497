"""The gateway: everything put together for one box. `run` keeps going until it is told to stop.

Nothing here decides anything. It boots in this order: journal and counters (or new ones), lines and pins, and only
then the network, so that a gateway that has nobody to talk to still alerts and keeps (N5, N14).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import shutil
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog

from broker import ids
from broker.ids import HouseholdId, UnitId
from broker.kinds import LadderState, UpdateState
from broker.messages import Action, AlarmUpdate, AlarmView, Command, GatewayStatus, Outcome, Receipt, StationHello
from broker.signing import Signer, Verifier, gateway_kid
from devices.frames import FRAME_BYTES
from devices.line_link import LineLink, UnitKey
from devices.timing import LineTiming
from gateway.alert import Alert, Play, Switch
from gateway.counters import Counters
from gateway.events import Entry
from gateway.intake import Intake, ZigbeeAction
from gateway.journal import Journal, JournalError, open_journal, put_aside
from gateway.keeping import Append, Keeper
from gateway.ladder import Ladder, Show
from gateway.lines import Hearing, NativeLine, PortLine, ReaderLine, Source, make_codec
from gateway.links.uart import Port
from gateway.mqtt import Access
from gateway.outbox import Outbox
from gateway.recorder import Recorder
from gateway.register import Register
from gateway.resumption import resume
from gateway.settings import Contact, GatewaySettings, Line
from gateway.stamps import Clock, SystemClock
from gateway.supervision import Supervision
from gateway.uplink import Uplink

log = structlog.get_logger("gateway")

DISK_FULL_SHARE: Final = 0.9
QUEUE_DEEP: Final = 1_000
LOOK_S: Final = 1.0
VIEWS_EVERY: Final = 10
PRUNE_EVERY: Final = 60
LATELY: Final = 500
"""So many of the latest messages are looked through at start for alarms that were interrupted."""

Wrap = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""Puts something around a named point (`journal.append`, `link.write`, `uplink.publish`): kill points, a slow disk."""


def leave(_name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Put nothing around anything."""
    return call


class Gateway:
    """One gateway. Build it on the loop that it shall run on."""

    def __init__(self, settings: GatewaySettings, *, clock: Clock, wrap: Wrap = leave) -> None:
        """Open journal and counters. Raises JournalError (InUse: a second process) when that cannot be."""
        self._settings = settings
        self._clock = clock
        self._wrap = wrap
        self._loop = asyncio.get_running_loop()
        self._register = Register(settings)
        settings.state.mkdir(parents=True, exist_ok=True)
        counters = Counters(settings.state / "counters", random_bytes=secrets.token_bytes)
        journal = self._open_journal()
        with contextlib.suppress(OSError):
            while counters.short:
                counters.renew()
        self._generation = journal.take_generation()
        self._keeper = Keeper(journal, counters, reopen=self._reopen_journal, wrap=self._wrap_append)
        self._supervision = Supervision(
            [(unit.id, unit.line) for unit in settings.units],
            heartbeat_s=settings.heartbeat_s,
            now_ns=clock().mono_ns,
        )
        self._alert = Alert(
            self._register, siren_s=settings.siren_s, night=settings.night, utc_offset_min=settings.utc_offset_min
        )
        self._ladder = Ladder(not_reached_s=settings.not_reached_s)
        self._outbox = Outbox()
        known = journal.known_messages()
        self._intake = Intake(self._register, gateway=settings.gateway, random_bytes=secrets.token_bytes, known=known)
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
        heard = journal.heard()
        self._lately = journal.lately(limit=LATELY)
        self._lines: dict[str, PortLine] = {line.name: self._make_line(line, heard, known) for line in settings.lines}
        self._pins: Any = None
        self._zigbee: Any = None
        self._remote = {household.id for household in settings.households if household.remote}
        self._renewing: asyncio.Task[None] | None = None
        self._uplink = self._make_uplink()
        self._timer: asyncio.TimerHandle | None = None
        self._looker: asyncio.Task[None] | None = None
        self._counters_lost = counters.lost

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
        self._looker = self._loop.create_task(self._look(), name="gateway.look")
        self._own.note(self._supervision.state("counters_lost", "downlink", wrong=self._counters_lost))
        log.info(
            "gateway ready", gateway=self._settings.gateway, lines=len(self._lines), epoch=self._keeper.journal.epoch
        )

    async def close(self) -> None:
        """Keep what was heard, say goodbye, close."""
        if self._looker is not None:
            self._looker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looker
        if self._timer is not None:
            self._timer.cancel()
        for line in self._lines.values():
            await line.close()
        await self._own.close()
        if self._pins is not None:
            self._pins.close()
        if self._zigbee is not None:
            await self._zigbee.link.close()
        await self._uplink.close()
        await self._keeper.close()

    def _resume(self) -> None:
        """Go on with what a restart interrupted."""
        now = self._clock()
        gateway = self._settings.gateway
        resumed = resume(self._lately, alert=self._alert, ladder=self._ladder, gateway=gateway, now=now)
        self._lately = []
        self._show(resumed.shows, with_answer=True)
        self._sound(resumed.sounds)
        self._wake()

    # Putting together

    def _open_journal(self) -> Journal:
        opened = open_journal(
            self._settings.state / "journal.db",
            station=self._settings.station,
            gateway=self._settings.gateway,
            now=self._clock(),
            random_bytes=secrets.token_bytes,
            ballast_bytes=self._settings.ballast_bytes,
        )
        if opened.set_aside is not None:
            log.error("journal was damaged and is set aside", file=str(opened.set_aside), trouble=opened.trouble)
        return opened.journal

    def _reopen_journal(self) -> Journal:
        """On the journal's thread, when the file went bad while running."""
        with contextlib.suppress(JournalError):
            self._keeper.journal.close()
        aside = put_aside(self._settings.state / "journal.db", self._clock())
        log.error("journal went bad and is set aside", file=str(aside))
        return self._open_journal()

    def _wrap_append(self, append: Append) -> Append:
        wrapped: Append = self._wrap("journal.append", append)
        return wrapped

    def _make_line(self, line: Line, heard: dict[str, int], known: dict[str, Any]) -> PortLine:
        open_port = partial(self._open_port, line.name)
        if line.kind != "native":
            codec = make_codec(line, self._settings.tags)
            return ReaderLine(line, codec, hearing=self._hearing, open_port=open_port)
        units = tuple(unit for unit in self._settings.units if unit.line == line.name)
        keys = {
            unit.address: UnitKey(
                unit.key.get_secret_value(),
                None if unit.next_key is None else unit.next_key.get_secret_value(),
                heard.get(unit.id, 0),
                _messages_of(unit.id, known),
            )
            for unit in units
        }
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
        )

    def _open_port(self, name: str, path: Any, baud: int, user: Any) -> Port:
        port = Port(path, baud, user)
        port.write = self._wrap(f"link.write.{name}", port.write)  # type: ignore[method-assign] # a kill point
        return port

    def _make_uplink(self) -> Uplink:
        settings = self._settings
        broker = settings.broker
        return Uplink(
            station=settings.station,
            gateway=settings.gateway,
            access=Access(broker.host, broker.port, broker.user, broker.password.get_secret_value(), broker.ca),
            signer=Signer(gateway_kid(settings.gateway), settings.signing_seed.get_secret_value()),
            verifier=Verifier(settings.station, {kid: bytes.fromhex(key) for kid, key in settings.known_keys.items()}),
            keeper=self._keeper,
            outbox=self._outbox,
            clock=self._clock,
            hearer=self,
            status=self._status,
            new_session=lambda: ids.session(secrets.token_bytes(ids.SESSION_RANDOM_BYTES)),
            first_generation=self._generation << 16,
            remote=tuple(sorted(self._remote)),
            jitter=lambda: random.uniform(0.7, 1.3),  # noqa: S311 - spreads reconnects, guards nothing
            wrap=self._wrap,
        )

    async def _start_pins(self) -> None:
        from gateway.links.gpio import GpioError, Pins, make_factory  # noqa: PLC0415 - 60 ms saved where there are no pins

        assert self._settings.gpio != "none"
        try:
            self._pins = Pins(
                make_factory(self._settings.gpio),
                contacts=self._settings.contacts,
                sounders=self._settings.sounders,
                user=self,
            )
        except (GpioError, ImportError) as error:
            log.error("pins cannot be used", trouble=str(error))  # noqa: TRY400 - the reason is enough
            self._own.note(self._supervision.state("pins_lost", "gpio", wrong=True, detail={"why": str(error)[:90]}))
            return
        if self._settings.gpio_socket is not None:
            await self._pins.serve_simulator(self._settings.gpio_socket)
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
                if self._pins is not None:
                    self._pins.switch(change.sounder, on=change.on)
                continue
            line = self._lines.get(change.unit.line)
            if isinstance(line, NativeLine):
                line.sound(change.unit, change.siren)
                touched[line.name] = line
        for line in touched.values():
            line.flush()
        if changes:
            self._wake()

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
        self._own.take(self._recorder.hear_contact(contact.id, self._generation, reading))

    def zigbee_said(self, action: ZigbeeAction) -> None:
        """A Zigbee button was pressed."""
        self._own.take(self._recorder.hear("zigbee", [action]))

    # Towards the station

    def _committed(self, entries: list[Entry]) -> None:
        self._uplink.committed(entries, lambda entry: entry.event.targets(self._settings.gateway))

    def receipted(self, receipt: Receipt) -> None:
        """The station has these."""
        reached = [event for event, outcome in receipt.outcomes().items() if outcome is not Outcome.REJECTED]
        self._show(self._ladder.receipted(reached))

    def commanded(self, command: Command) -> None:
        """Do what the station orders; its signature, session and counter are good."""
        now_ns = self._clock().mono_ns
        match command.action:
            case Action.LADDER if command.alarm is not None and command.state is not None:
                self._show(self._ladder.moved(command.alarm, command.state))
                if command.state is LadderState.CLOSED:
                    self._sound(self._alert.stop(command.alarm))
            case Action.STOP if command.alarm is not None:
                self._sound(self._alert.stop(command.alarm))
            case Action.STAND_BACK if command.alarm is not None:
                self._sound(self._alert.stand_back(command.alarm))
            case Action.ALERT:
                members = self._register.members(command.group)
                self._sound(self._alert.ring_command(command, members, now_ns=now_ns))
            case _:
                log.info("command is not for this version", action=command.action)

    def greeted(self, hello: StationHello) -> None:
        """The station holds more of this epoch than we do: an old card is in this box. Open a new epoch."""
        journal = self._keeper.journal
        ahead = any(head.epoch == journal.epoch and head.seq > journal.head_seq for head in hello.highest)
        self._own.note(self._supervision.state("old_journal", "journal", wrong=ahead))
        if ahead and self._renewing is None:
            self._renewing = self._loop.create_task(self._open_epoch())

    async def _open_epoch(self) -> None:
        await self._keeper.open_epoch()
        self._outbox.clear()
        self._uplink.refill()
        self._uplink.tell_status()
        self._renewing = None

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
        journal = self._keeper.journal
        return GatewayStatus(
            topic="sw1/x",
            audience="station",
            id=ids.event_id(max(now.wall_ms, 0), secrets.token_bytes(ids.EVENT_ID_RANDOM_BYTES)),
            age_ms=0,
            gateway=self._settings.gateway,
            online=True,
            generation=generation,
            session=session,
            epoch=journal.epoch,
            head=journal.head_seq,
            low=min(self._keeper.low, journal.head_seq + 1),
            clock=now.quality,
            queued=self._keeper.queued,
            faults=self._supervision.faults,
        )

    # Timers

    def _wake(self) -> None:
        """Set the clock for whatever is due next: sirens that end, police that are not reached."""
        dues = [due for due in (self._alert.next_due(), self._ladder.next_due()) if due is not None]
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
        self._wake()

    async def _look(self) -> None:
        """Once a second: silent units, lines, disk, clock, queue; the status as often as it is due."""
        looks = 0
        status_every = max(1, int(self._settings.status_s / LOOK_S))
        told = self._supervision.faults
        while True:
            now = self._clock()
            changes = self._supervision.advance(now.mono_ns)
            changes += self._supervision.state("clock", "wall", wrong=now.quality == "unsynced")
            changes += self._supervision.state("journal", "disk", wrong=bool(self._keeper.trouble))
            changes += await self._loop.run_in_executor(None, self._look_at_disk)
            changes += self._supervision.state("uplink", "broker", wrong=not self._uplink.link.up)
            changes += self._supervision.state("queue", "outbox", wrong=self._keeper.queued > QUEUE_DEEP)
            self._own.note(changes)
            for line in self._lines.values():
                if isinstance(line, NativeLine) and looks % status_every == 0:
                    line.supervise()
            with contextlib.suppress(JournalError):
                await self._keeper.look()
                if looks % PRUNE_EVERY == 0:
                    await self._keeper.ask(lambda journal: journal.prune(self._settings.keep_events))
            if looks % VIEWS_EVERY == 0:
                self._keeper.mark(done=self._outbox.drop_old_views(now.mono_ns))
            if looks % status_every == 0 or self._supervision.faults != told:
                told = self._supervision.faults
                self._uplink.tell_status()
                await self._loop.run_in_executor(None, self._write_health, self.health())
            self._uplink.refill()
            self._uplink.pump()
            looks += 1
            await asyncio.sleep(LOOK_S)

    def _look_at_disk(self) -> list[Any]:
        try:
            usage = shutil.disk_usage(self._settings.state)
        except OSError as error:
            return self._supervision.state("disk", "state", wrong=True, detail={"why": str(error)[:90]})
        full = usage.used > DISK_FULL_SHARE * usage.total or self._keeper.journal.ballast_used
        full = full and self._settings.ballast_bytes > 0
        return self._supervision.state("disk", "state", wrong=full, detail={"free_mib": usage.free >> 20})

    def health(self) -> dict[str, object]:
        """Return what there is to know about this gateway now, for people and `doctor`; nothing personal."""
        return {
            "gateway": self._settings.gateway,
            "epoch": self._keeper.journal.epoch,
            "head": self._keeper.journal.head_seq,
            "queued": self._keeper.queued,
            "uplink": {
                "up": self._uplink.link.up,
                "trouble": self._uplink.link.trouble,
                "refused": self._uplink.refused,
            },
            "lines": {
                line.name: {"up": line.port.up, "trouble": line.port.trouble, **_line_counts(line)}
                for line in self._lines.values()
            },
            "faults": [f"{change.fault} {change.subject}" for change in self._supervision.open],
            "journal": _plain(self._keeper.counts),
            "outbox": _plain(self._outbox.counts),
            "intake": _plain(self._intake.counts),
            "clock": self._clock().quality,
        }

    def _write_health(self, health: dict[str, object]) -> None:
        path = self._settings.state / "health.json"
        fresh = path.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(health, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            fresh.replace(path)


def _messages_of(unit: UnitId, known: dict[str, Any]) -> list[tuple[int, int]]:
    prefix = f"{unit}:"
    pairs = [key.split(":") for key in known if key.startswith(prefix)]
    return [(int(boot), int(number)) for _, boot, number in pairs]


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
    """Run a gateway until SIGTERM or SIGINT. Raises JournalError when there is no journal to be had."""
    gateway = Gateway(settings, clock=clock or SystemClock(), wrap=wrap)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await gateway.start()
    await stop.wait()
    await gateway.close()
