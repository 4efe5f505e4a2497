"""What a reading means: the verdict table of the architecture, pure.

Theory: whatever may be somebody in need goes to the police, verified or not (N13); only what is verified, known
and fresh rings at the neighbours (N12); the same press is the same event, however often it is heard (N3).
Time and identities are arguments. The memory is what was judged before: presses by key, radio codes by moment,
refused seals by rate.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, assert_never

from broker import ids, qr
from broker.ids import Epoch, EventId, GatewayId, GroupId, HouseholdId, PressKey, UnitId
from broker.kinds import AUDIBLE, OLD_AFTER_MS, Answer, EventType, Kind, Mark
from broker.messages import Command, clean
from broker.policy import QUIET, Membership, quieted
from devices import readings
from devices.readings import (
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    ContactClosed,
    ContactOpened,
    ContactStuck,
    Heartbeat,
    Key,
    PartFailed,
    PartRestored,
    PressEnded,
    Proof,
    RadioCode,
    SealRefused,
    TagRead,
    TagSeen,
    TestPressed,
    UnitHello,
)
from gateway.events import Event
from gateway.journal import Dropped
from gateway.register import Register
from gateway.settings import Household, Unit
from gateway.stamps import Stamp

KINDS: Final[Mapping[int, Kind]] = {
    Key.PANIC: Kind.PANIC,
    Key.HELP: Kind.HELP,
    Key.MEDICAL: Kind.MEDICAL,
    Key.FIRE: Kind.FIRE,
    Key.INTRUSION: Kind.INTRUSION,
    Key.DURESS: Kind.DURESS,
}
ANSWERS: Final[Mapping[int, Answer]] = {
    readings.Answer.GOING: Answer.COMING,
    readings.Answer.WATCHING: Answer.WATCHING,
    readings.Answer.CANNOT: Answer.CANNOT,
}
PARTS: Final[Mapping[int, str]] = {
    readings.Part.COVER: "cover",
    readings.Part.LOOP: "loop",
    readings.Part.MAINS: "mains",
    readings.Part.BATTERY: "battery",
    readings.Part.SOUNDER: "sounder",
}

CONDITIONS: Final = frozenset({readings.Part.MAINS, readings.Part.BATTERY, readings.Part.SOUNDER})
"""Parts whose failure is a condition that lasts, and no event by itself: `gateway.supervision`."""

KNOWN_PRESSES: Final = 20_000
RADIO_REPEAT_MS: Final = 10_000
"""Architecture, "Press key": a fixed code pressed again within this is the same press."""
ZIGBEE_REPEAT_MS: Final = 2_000
REFUSED_EACH_MS: Final = 600_000
"""One unverified alarm for each address in this time ..."""
REFUSED_PER_LINE: Final = 6
"""... and so many for a whole line; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Told:
    """A numbered message of a native unit, which waits for its answer."""

    address: int
    boot: int
    number: int


@dataclass(frozen=True, slots=True)
class ZigbeeAction:
    """What Zigbee2MQTT said a button did."""

    name: str
    action: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be kept, what may ring at once, and whom the answer belongs to.

    `event` is kept before `told` is answered. `rings`: the event starts the local alert. `repeat` names the
    event that this reading is a repeat of. `silences`: the unit whose own sounder its owner wants quiet.
    """

    event: Event | None = None
    told: Told | None = None
    rings: bool = False
    repeat: EventId | None = None
    silences: UnitId | None = None
    cancels: EventId | None = None
    chirps: Unit | None = None
    """The unit that says by a short tone that it was heard, and nobody else."""
    heartbeat: bool = False


@dataclass(slots=True)
class IntakeCounts:
    """N9: every reading is an event, a repeat, or one of these."""

    events: int = 0
    repeats: int = 0
    heartbeats: int = 0
    conditions: int = 0
    refused_over_rate: int = 0
    unknown_radio: int = 0
    unknown_tags: int = 0
    passed_by: int = 0


NOTHING: Final = Verdict()


_Other = PressEnded | CancelPressed | AnswerGiven | TagRead | PartFailed | PartRestored | TestPressed | UnitHello
"""What units repeat until it is answered, beside presses and heartbeats."""


class Intake:
    """Judges readings of all lines of one gateway."""

    def __init__(
        self,
        register: Register,
        *,
        gateway: GatewayId,
        random_bytes: Callable[[int], bytes],
        known: Mapping[str, EventId] | None = None,
        alarm_of: Callable[[int], EventId | None] = lambda _reference: None,
        in_drill: Callable[[UnitId, GroupId | None, int], bool] = lambda _unit, _group, _now_ns: False,
        in_window: Callable[[HouseholdId | None, int], bool] = lambda _place, _now_ns: False,
    ) -> None:
        """`known` are the messages on disk by key, oldest first; `alarm_of` tells what a siren frame referred to.

        `in_drill` tells whether a press of a unit of a group is part of a drill at a moment (monotonic ns);
        `in_window`, whether units of a place that are not handed over are being installed then.
        """
        self.register = register
        self.counts = IntakeCounts()
        self._gateway = gateway
        self._random_bytes = random_bytes
        self._presses: OrderedDict[str, EventId] = OrderedDict(known or {})
        self._stale: OrderedDict[str, EventId] = OrderedDict()
        """What came with an old counter and was not said again in time, by key."""
        self._alarm_of = alarm_of
        self._in_drill = in_drill
        self._in_window = in_window
        self._last_audible: dict[UnitId, EventId] = {}
        self._unnumbered: dict[tuple[UnitId, str], tuple[int, EventId]] = {}
        self._refused: dict[tuple[str, int], int] = {}

    def judge(self, line: str, reading: object, stamp: Stamp) -> Verdict:
        """Return what `reading`, heard on `line` at `stamp`, means. Never raises, whatever a line says."""
        match reading:
            case ButtonPressed():
                verdict = self._press(line, reading, stamp)
            case SealRefused():
                verdict = self._refused_seal(line, reading, stamp)
            case RadioCode():
                verdict = self._radio_code(reading, stamp)
            case ZigbeeAction():
                verdict = self._zigbee(reading, stamp)
            case TagSeen(tag=tag, written=written):
                detail = {"tag": tag, **_code(written)}
                verdict = Verdict(self._event(EventType.CHECK_IN, stamp, unit=UnitId(line), detail=detail))
            case Heartbeat():
                verdict = Verdict(told=_told(reading), heartbeat=True)
            case (
                PressEnded()
                | CancelPressed()
                | AnswerGiven()
                | TagRead()
                | PartFailed()
                | PartRestored()
                | TestPressed()
                | UnitHello()
            ):
                verdict = self._numbered(line, reading, stamp)
            case _:
                verdict = NOTHING
        self._count(verdict)
        return verdict

    def judge_contact(self, contact: UnitId, boot: int, reading: object, stamp: Stamp) -> Verdict:
        """Return what a wired contact says. `boot` numbers the gateway's own power-ups (its journal generation)."""
        known = self.register.contact(contact)
        household = None if known is None else self.register.household(known.household)
        at_checkpoint = known is not None and known.role == "checkpoint"
        match reading:
            case ContactClosed() if at_checkpoint:
                return Verdict(self._event(EventType.CHECK_IN, stamp, unit=contact, detail={"button": True}))
            case ContactOpened() if at_checkpoint:
                return NOTHING
            case ContactClosed(count=count) if known is not None:
                return self._alarm(known.kind, _contact_press(contact, boot, count), stamp, household, unit=contact)
            case ContactOpened(count=count, held_ms=held_ms):
                return Verdict(
                    self._event(
                        EventType.DURATION,
                        stamp,
                        household,
                        unit=contact,
                        press=_contact_press(contact, boot, count),
                        detail={"held_ms": held_ms},
                    )
                )
            case ContactStuck():
                return Verdict(
                    self._event(EventType.FAULT, stamp, household, unit=contact, detail={"fault": "stuck_key"})
                )
            case readings.LoopCut():
                make = partial(self._event, stamp=stamp, household=household, unit=contact)
                return Verdict(self._part_failed(make, "loop"))
            case readings.LoopRestored():
                event = self._event(EventType.RESTORE, stamp, household, unit=contact, detail={"part": "loop"})
                return Verdict(event)
            case _:
                return NOTHING

    def fault(
        self,
        name: str,
        stamp: Stamp,
        *,
        over: bool,
        unit: UnitId | None = None,
        subject: str = "",
        detail: Mapping[str, str | int | bool] | None = None,
    ) -> Event:
        """Return the event that tells of a fault that the gateway found, or of its end."""
        known = None if unit is None else self.register.unit_by_id(unit)
        household = None if known is None else self.register.household(known.household)
        type_ = EventType.FAULT_RESTORED if over else EventType.FAULT
        about: dict[str, str | int | bool] = {"fault": name}
        if subject:
            about["subject"] = clean(subject)
        for key, value in (detail or {}).items():
            about[key] = clean(value) if isinstance(value, str) else value
        return self._event(type_, stamp, household, unit=unit, detail=about)

    def ordered(
        self,
        type: EventType,  # noqa: A002 - as in GatewayEvent
        command: Command,
        stamp: Stamp,
    ) -> Event:
        """Return the event that tells what the station ordered here, and who it said had it done."""
        detail = {"alarm": command.alarm or "", "by": command.by or "", "group": command.group or ""}
        return self._event(type, stamp, detail={name: word for name, word in detail.items() if word})

    def dropped(self, dropped: Dropped, epoch: Epoch, stamp: Stamp) -> Event:
        """Return the event that tells what gave way for want of room."""
        detail: dict[str, str | int | bool] = {
            "first": dropped.first,
            "last": dropped.last,
            "count": dropped.count,
            "epoch": epoch,
        }
        return self._event(EventType.PRUNED, stamp, detail=detail)

    def forget(self, event: Event) -> None:
        """It was not kept: its message is a new one when it comes again."""
        if event.message is not None and self._presses.get(event.message) == event.id:
            del self._presses[event.message]

    @property
    def known(self) -> Mapping[str, EventId]:
        """Every message that was judged and is still remembered, by key, oldest first."""
        return self._presses

    def resume(self, last: Mapping[UnitId, EventId]) -> None:
        """These were the latest audible presses of their units when the gateway was started."""
        self._last_audible = {**last, **self._last_audible}

    # By kind of reading

    def _press(self, line: str, press: ButtonPressed, stamp: Stamp) -> Verdict:
        unit = self.register.unit(line, press.unit)
        told = _told(press)
        if unit is None:  # it was removed from the register while it spoke
            return Verdict(self._unverified(stamp, line, press.unit, "unknown_unit"), told)
        household = self.register.household(unit.household)
        key = ids.press_key(unit.id, boot=press.boot, number=press.number)
        known = self._presses.get(key)
        if known is not None:
            return Verdict(told=told, repeat=known)
        if press.proof is not Proof.SEALED and key in self._stale:
            return Verdict(repeat=self._stale[key])
        if press.proof is Proof.STALE:
            # Not answered: if it is no replay, its unit says it again, is believed then, and rings.
            event = self._unverified(stamp, line, press.unit, "possible_replay", household=household, unit=unit.id)
            return Verdict(self._suspect(key, event))
        kind = KINDS.get(press.key, Kind.PANIC)
        if unit.silent:
            kind = Kind.DURESS
        reason = None if press.key in KINDS else "unknown_key"
        if kind is Kind.DURESS and household is not None and not household.duress:
            reason = "duress_not_agreed"  # silent all the same: whoever finds that key and presses it is in danger
        if unit.installing and self._in_window(unit.household, stamp.mono_ns - press.age_ms * 1_000_000):
            return self._installing(kind, key, stamp, household, unit=unit, told=told)
        return self._alarm(kind, key, stamp, household, unit=unit.id, told=told, late_ms=press.age_ms, reason=reason)

    def _installing(
        self, kind: Kind, key: PressKey, stamp: Stamp, household: Household | None, *, unit: Unit, told: Told
    ) -> Verdict:
        """A unit that is being installed was pressed: it sounds by itself, and nobody is alarmed."""
        event = self._event(
            EventType.TEST,
            stamp,
            household,
            unit=unit.id,
            press=key,
            message=key,
            detail={"installing": True, "key": kind.value},
        )
        self._remember(key, event.id)
        return Verdict(event, told, chirps=None if kind is Kind.DURESS else unit)

    def _alarm(
        self,
        kind: Kind,
        key: PressKey,
        stamp: Stamp,
        household: Household | None,
        *,
        unit: UnitId,
        told: Told | None = None,
        late_ms: int = 0,
        verified: bool = True,
        reason: str | None = None,
    ) -> Verdict:
        event = self._event(
            EventType.PRESS,
            stamp,
            household,
            kind=kind,
            unit=unit,
            press=key,
            message=key,
            late_ms=late_ms,
            verified=verified,
            reason=reason,
            detail=_quieted(kind, stamp, household),
        )
        if kind in AUDIBLE and self._in_drill(unit, event.group, stamp.mono_ns - late_ms * 1_000_000):
            event = replace(event, mark=Mark.DRILL)
        self._remember(key, event.id)
        if kind in AUDIBLE:
            self._last_audible[unit] = event.id
        return Verdict(event, told, rings=late_ms <= OLD_AFTER_MS)

    def _refused_seal(self, line: str, refused: SealRefused, stamp: Stamp) -> Verdict:
        now = stamp.mono_ns // 1_000_000
        self._refused = {at: when for at, when in self._refused.items() if now - when < REFUSED_EACH_MS}
        on_line = sum(1 for at, _ in self._refused if at == line)
        if (line, refused.unit) in self._refused or on_line >= REFUSED_PER_LINE:
            self.counts.refused_over_rate += 1
            return NOTHING
        self._refused[line, refused.unit] = now
        reason = "bad_seal" if refused.known else "unknown_unit"
        unit = self.register.unit(line, refused.unit)
        household = None if unit is None else self.register.household(unit.household)
        return Verdict(
            self._unverified(
                stamp, line, refused.unit, reason, household=household, unit=None if unit is None else unit.id
            )
        )

    def _radio_code(self, code: RadioCode, stamp: Stamp) -> Verdict:
        remote = self.register.remote(code.identity, code.command)
        if remote is None:
            self.counts.unknown_radio += 1  # somebody's doorbell: the air is full of them
            return NOTHING
        household = self.register.household(remote.household)
        return self._unnumbered_press(
            remote.id, str(code.command), remote.kind, stamp, household, within_ms=RADIO_REPEAT_MS, verified=False
        )

    def _zigbee(self, action: ZigbeeAction, stamp: Stamp) -> Verdict:
        button = self.register.button(action.name)
        kind = None if button is None else button.actions.get(action.action)
        if button is None or kind is None:
            return NOTHING
        household = self.register.household(button.household)
        return self._unnumbered_press(
            button.id, action.action, kind, stamp, household, within_ms=ZIGBEE_REPEAT_MS, verified=True
        )

    def _unnumbered_press(
        self,
        unit: UnitId,
        key: str,
        kind: Kind,
        stamp: Stamp,
        household: Household | None,
        *,
        within_ms: int,
        verified: bool,
    ) -> Verdict:
        """A press by something that does not count its presses: again within `within_ms` is the same one."""
        now = stamp.mono_ns // 1_000_000
        when, known = self._unnumbered.get((unit, key), (None, None))
        if when is not None and known is not None and now - when < within_ms:
            self._unnumbered[unit, key] = (now, known)
            return Verdict(repeat=known)
        press = PressKey(f"{unit}:0:{now % 10_000_000_000}")
        reason = None if verified else "fixed_code"
        verdict = self._alarm(kind, press, stamp, household, unit=unit, verified=verified, reason=reason)
        assert verdict.event is not None
        self._unnumbered[unit, key] = (now, verdict.event.id)
        return verdict

    def _numbered(
        self,
        line: str,
        reading: _Other,
        stamp: Stamp,
    ) -> Verdict:
        unit = self.register.unit(line, reading.unit)
        told = _told(reading)
        if unit is None:  # it was removed from the register while it spoke; nothing is kept, so nothing is answered
            return NOTHING
        if isinstance(reading, PartFailed | PartRestored) and reading.part in CONDITIONS:
            return Verdict(told=told)  # supervision makes one fault of many, and heartbeats tell it again
        # One memory serves all: numbers are drawn from one series in a unit, so keys never clash.
        key = ids.press_key(unit.id, boot=reading.boot, number=reading.number)
        known = self._presses.get(key)
        if known is not None:
            return Verdict(told=told, repeat=known)
        if reading.proof is not Proof.SEALED and key in self._stale:
            return Verdict(repeat=self._stale[key])
        household = self.register.household(unit.household)
        verified = reading.proof is not Proof.STALE
        message = key if verified else None
        make = partial(self._event, stamp=stamp, household=household, unit=unit.id, verified=verified, message=message)
        silences: UnitId | None = None
        cancels: EventId | None = None
        match reading:
            case PressEnded(press=press, held_ms=held_ms):
                pressed = ids.press_key(unit.id, boot=reading.boot, number=press)
                event = make(EventType.DURATION, press=pressed, detail={"held_ms": held_ms})
            case CancelPressed(press=press):
                # A cancel that cannot be verified is refused (N13): it is kept, and changes nothing.
                pressed = ids.press_key(unit.id, boot=reading.boot, number=press)
                if verified:
                    cancels = self._presses.get(pressed) if press else self._last_audible.get(unit.id)
                event = make(EventType.CANCEL, press=pressed, reason=None if verified else "possible_replay")
            case AnswerGiven(answer=readings.Answer.SILENCE_MINE):
                silences = unit.id if verified else None
                event = make(EventType.SILENCED)
            case AnswerGiven(answer=answer, alarm=alarm):
                word = ANSWERS.get(answer)
                meant = self._alarm_of(alarm)
                detail = {"answer": "unknown" if word is None else word.value, "alarm": alarm}
                event = make(EventType.ANSWER, detail=detail if meant is None else {**detail, "event": meant})
            case TagRead(tag=tag, age_ms=age_ms):
                event = make(EventType.CHECK_IN, late_ms=age_ms, detail={"tag": tag})
            case PartFailed(part=part):
                event = self._part_failed(make, PARTS.get(part, "unknown"))
            case PartRestored(part=part):
                event = make(EventType.RESTORE, detail={"part": PARTS.get(part, "unknown")})
            case TestPressed():
                event = make(EventType.TEST, kind=Kind.TEST)
            case UnitHello(firmware=firmware, reason=reason):
                event = make(EventType.HELLO, detail={"firmware": firmware, "reason": reason})
            case never:
                assert_never(never)
        if not verified:
            return Verdict(self._suspect(key, event))
        self._remember(key, event.id)
        return Verdict(event, told, silences=silences, cancels=cancels)

    @staticmethod
    def _part_failed(make: Callable[..., Event], part: str) -> Event:
        """An opened cover or a cut wire: for people to look at, without a siren."""
        return make(EventType.TAMPER, kind=Kind.TAMPER, detail={"part": part})

    def _unverified(
        self,
        stamp: Stamp,
        line: str,
        address: int,
        reason: str,
        *,
        household: Household | None = None,
        unit: UnitId | None = None,
    ) -> Event:
        return self._event(
            EventType.UNVERIFIED,
            stamp,
            household,
            kind=Kind.UNVERIFIED,
            unit=unit,
            verified=False,
            reason=reason,
            detail={"line": clean(line), "address": address},
        )

    def _event(
        self,
        type: EventType,  # noqa: A002 - as in GatewayEvent
        stamp: Stamp,
        household: Household | None = None,
        *,
        kind: Kind | None = None,
        unit: UnitId | None = None,
        press: PressKey | None = None,
        message: PressKey | None = None,
        verified: bool = True,
        reason: str | None = None,
        late_ms: int = 0,
        detail: Mapping[str, str | int | bool] | None = None,
    ) -> Event:
        membership: Membership = self.register.membership(household)
        return Event(
            id=ids.event_id(max(stamp.wall_ms, 0), self._random_bytes(ids.EVENT_ID_RANDOM_BYTES)),
            type=type,
            stamp=stamp,
            kind=kind,
            unit=unit,
            place=None if household is None else household.id,
            group=membership.group,
            door=None if household is None else household.door,
            label=None if household is None else clean(household.label) or None,
            press=press,
            message=message,
            verified=verified,
            reason=reason,
            detail=detail or {},
            late_ms=late_ms,
            membership=membership,
            medical_consent=household is not None and household.medical_consent,
        )

    def _suspect(self, key: str, event: Event) -> Event:
        """What may be a replay is told once; its key stays free for the message itself."""
        self._stale[key] = event.id
        while len(self._stale) > KNOWN_PRESSES:
            self._stale.popitem(last=False)
        return event

    def _remember(self, key: str, event: EventId) -> None:
        self._presses[key] = event
        while len(self._presses) > KNOWN_PRESSES:
            self._presses.popitem(last=False)

    def _count(self, verdict: Verdict) -> None:
        self.counts.events += verdict.event is not None
        self.counts.repeats += verdict.repeat is not None
        self.counts.heartbeats += verdict.heartbeat
        self.counts.conditions += verdict.told is not None and not (
            verdict.heartbeat or verdict.event is not None or verdict.repeat is not None
        )
        self.counts.passed_by += verdict is NOTHING


def _contact_press(contact: UnitId, boot: int, count: int) -> PressKey:
    return PressKey(f"{contact}:{boot % 65_536}:{count}")


def _quieted(kind: Kind, stamp: Stamp, household: Household | None) -> dict[str, str | int | bool]:
    until_ms = None if household is None else household.quiet_until_ms
    return {QUIET: True} if quieted(kind, until_ms, stamp.wall_ms, clock=stamp.quality) else {}


def _code(written: Iterable[str]) -> dict[str, str]:
    """The first of these that is a code of a checkpoint, or an address that ends in one.

    Nothing else that people write on their cards leaves the gateway. The station finds whether it is signed.
    """
    codes = (text.rpartition("/")[2] for text in written)
    return next(({"code": code.strip()} for code in codes if qr.parse(code) is not None), {})


def _told(reading: readings.Numbered) -> Told:
    return Told(reading.unit, reading.boot, reading.number)
