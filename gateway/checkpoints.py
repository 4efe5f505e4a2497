"""The answer at the checkpoint: whoever held a card to a reader hears and sees at once what became of it. Pure.

Theory. Three answers, told apart with the eyes shut: *known* (one short tone, lamp steady), *unknown* (three tones,
lamp flickers; a number of its own is kept all the same, and a person looks at it) and *not kept* (one long tone: the
disk did not take it within `LATE_NS`, so show the card again later or call the desk). Known and unknown are said when
the check-in is on disk, never before: the tone is the gateway's word that it is kept (N1). A reader answers by the
outputs that the site file gives it; a native unit with a reader by its own tone, once for known and twice for unknown.

An ambiguous number (`broker.tags`) is unknown here: the station would not know whose it is either. A wired button at a
checkpoint has no number: it is answered as known once it is kept, for it says nothing but that somebody was there.

When somebody is called at the roll (点名), the lamps of the readers on his way blink slowly, until he answered or the
time that the station gave is over by the monotonic clock; an answer to a card comes before it, and it goes on after.
Whom the station calls is not known here. A gateway that starts anew knows of no call until the station tells it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from broker.ids import EventId, UnitId
from broker.kinds import EventType
from broker.messages import Command
from broker.tags import Enrolled, Known, canonical, faces
from gateway.alert import Switch
from gateway.events import Event
from gateway.settings import Contact, Reader, Sounder

MS: Final = 1_000_000
LATE_NS: Final = 700 * MS
"""A check-in that is not on disk by then is answered as not kept: within a second of the card."""
CHIRP_AGAIN_NS: Final = 1_200 * MS
"""Between the two tones of a native unit; one lasts a second."""
OLD_MS: Final = 5_000
"""A check-in that a unit tells so late is answered by nothing: whoever held the card has left."""
MOST_PENDING: Final = 1_000
CALL_ON_NS: Final = 500 * MS
CALL_OFF_NS: Final = 1_500 * MS
"""The lamp of a reader that calls somebody: half a second in two, slower than any answer flickers."""


class Reply(Enum):
    """What a reader says of a card."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    NOT_KEPT = "not kept"


Pattern = tuple[tuple[int, int], ...]
"""When an output is on: (from, to) in ms from the answer."""

BUZZER: Final[Mapping[Reply, Pattern]] = {
    Reply.KNOWN: ((0, 150),),
    Reply.UNKNOWN: ((0, 100), (200, 300), (400, 500)),
    Reply.NOT_KEPT: ((0, 1_000),),
}
LAMP: Final[Mapping[Reply, Pattern]] = {
    Reply.KNOWN: ((0, 1_500),),
    Reply.UNKNOWN: ((0, 100), (200, 300), (400, 500), (600, 700), (800, 900)),
    Reply.NOT_KEPT: (),
}


@dataclass(frozen=True, slots=True)
class Chirp:
    """One short tone of a native unit."""

    unit: UnitId


class KnownTags:
    """The tags that may be read here, in any of their faces."""

    def __init__(self, tags: Iterable[str]) -> None:
        self.replace(tags)

    def replace(self, tags: Iterable[str]) -> None:
        """Know these from now on. Nothing is made of them here: a slice with thousands holds up no press."""
        self._values = frozenset(tags)

    def __contains__(self, value: object) -> bool:
        """Whether exactly this value is known: a reader's first frame of it is believed."""
        return value in self._values

    def knows(self, value: str) -> bool:
        """Whether it is one known tag, by any of its faces, and no other."""
        tag = canonical(value)
        if tag is None:
            return False
        end = faces(tag).low24 or tag.value
        near = (canonical(known) for known in self._values if known.endswith(end))
        return isinstance(Enrolled(one for one in near if one is not None).find(tag), Known)


def outputs(reader: Reader | Contact) -> dict[str, Sounder]:
    """The outputs of a reader or of a checkpoint's button, `buzzer` and `lamp`, as far as it has them."""
    pins = {"buzzer": reader.buzzer, "lamp": reader.lamp}
    return {
        name: Sounder(id=UnitId(f"{reader.id}.{name}"), pin=pin, active_high=reader.active_high)
        for name, pin in pins.items()
        if pin is not None
    }


class Checkpoints:
    """What every reader of one gateway answers, and when."""

    def __init__(self, readers: Iterable[Reader | Contact], known: KnownTags) -> None:
        """`known` may change while this works."""
        self._known = known
        self._outputs = {reader.id: outputs(reader) for reader in readers}
        self._on: set[UnitId] = set()
        self._pending: dict[EventId, tuple[UnitId, int]] = {}
        """Check-ins that are not on disk yet: their reader, and when that is said."""
        self._steps: dict[UnitId, list[tuple[int, Switch]]] = {}
        """What is still to be switched, by reader, in order."""
        self._chirps: list[tuple[int, Chirp]] = []
        self._calls: dict[UnitId, int] = {}
        """Readers whose lamp calls somebody, and until when."""
        self._blinking: set[UnitId] = set()
        """Those of them of which the steps are the call's own, and no answer's."""

    @property
    def sounders(self) -> tuple[Sounder, ...]:
        """Every output, for the pins."""
        return tuple(output for some in self._outputs.values() for output in some.values())

    def heard(self, events: Iterable[Event], now_ns: int) -> None:
        """These were heard and wait for the disk."""
        for event in events:
            if event.type is EventType.CHECK_IN and event.unit in self._outputs and len(self._pending) < MOST_PENDING:
                self._pending[event.id] = (event.unit, now_ns + LATE_NS)

    def called(self, command: Command, now_ns: int) -> list[Switch | Chirp]:
        """A `call` command, whose signature, session and counter are good, arrived: it says all that call now."""
        until_ns = now_ns + max((command.lasts_ms or 0) - command.age_ms, 0) * MS
        before, wanted = set(self._calls), set(command.units or ()) if until_ns > now_ns else set()
        self._calls = {reader: until_ns for reader in wanted if "lamp" in self._outputs.get(reader, ())}
        done: list[Switch | Chirp] = []
        for reader in sorted(before - set(self._calls)):
            if reader in self._blinking:
                done += self._dark(reader)
        for reader in sorted(set(self._calls) - before):
            if reader not in self._steps:
                self._blink(reader, now_ns)
        return done + self.advance(now_ns)

    def refused(self, reader: UnitId, now_ns: int) -> list[Switch]:
        """A card was there that has no number of its own: nothing of it is kept."""
        return self._play(reader, Reply.UNKNOWN, now_ns)

    def kept(self, events: Iterable[Event], now_ns: int) -> list[Switch | Chirp]:
        """These are on disk: say so."""
        done: list[Switch | Chirp] = []
        for event in events:
            if event.type is not EventType.CHECK_IN or event.unit is None:
                continue
            known = event.detail.get("button") is True or self._known.knows(str(event.detail.get("tag", "")))
            if event.unit not in self._outputs:
                done += self._chirp(event.unit, now_ns, known=known) if event.late_ms <= OLD_MS else []
            elif self._pending.pop(event.id, None) is not None:
                done += self._play(event.unit, Reply.KNOWN if known else Reply.UNKNOWN, now_ns)
        return done

    def advance(self, now_ns: int) -> list[Switch | Chirp]:
        """What is due by now."""
        done: list[Switch | Chirp] = []
        for event in [event for event, (_, due_ns) in self._pending.items() if due_ns <= now_ns]:
            reader, _ = self._pending.pop(event)
            done += self._play(reader, Reply.NOT_KEPT, now_ns)
        for reader, steps in list(self._steps.items()):
            done += self._switch([switch for due_ns, switch in steps if due_ns <= now_ns])
            self._steps[reader] = [step for step in steps if step[0] > now_ns]
            if not self._steps[reader]:
                del self._steps[reader]
                self._blink(reader, now_ns + CALL_OFF_NS)
        done += [chirp for due_ns, chirp in self._chirps if due_ns <= now_ns]
        self._chirps = [(due_ns, chirp) for due_ns, chirp in self._chirps if due_ns > now_ns]
        return done

    def next_due(self) -> int | None:
        """When to call `advance`."""
        dues = [due_ns for _, due_ns in self._pending.values()]
        dues += [due_ns for steps in self._steps.values() for due_ns, _ in steps]
        dues += [due_ns for due_ns, _ in self._chirps]
        return min(dues, default=None)

    def _blink(self, reader: UnitId, lit_ns: int) -> None:
        """Let the lamp call once, from `lit_ns` on, unless the call is over by then."""
        self._blinking.discard(reader)
        if lit_ns >= self._calls.get(reader, lit_ns):
            self._calls.pop(reader, None)
            return
        lamp = self._outputs[reader]["lamp"]
        self._blinking.add(reader)
        self._steps[reader] = [(lit_ns, Switch(lamp, on=True)), (lit_ns + CALL_ON_NS, Switch(lamp, on=False))]

    def _dark(self, reader: UnitId) -> list[Switch]:
        """Nobody is called here any more."""
        self._blinking.discard(reader)
        self._steps.pop(reader, None)
        return self._switch([Switch(self._outputs[reader]["lamp"], on=False)])

    def _chirp(self, unit: UnitId, now_ns: int, *, known: bool) -> list[Switch | Chirp]:
        if not known:
            self._chirps.append((now_ns + CHIRP_AGAIN_NS, Chirp(unit)))
        return [Chirp(unit)]

    def _play(self, reader: UnitId, reply: Reply, now_ns: int) -> list[Switch]:
        """Begin an answer; the one before it ends here."""
        self._blinking.discard(reader)
        steps: list[tuple[int, Switch]] = []
        for name, output in self._outputs.get(reader, {}).items():
            pattern = (BUZZER if name == "buzzer" else LAMP)[reply]
            steps.append((now_ns, Switch(output, on=False)))
            for on_ms, off_ms in pattern:
                steps += [
                    (now_ns + on_ms * MS, Switch(output, on=True)),
                    (now_ns + off_ms * MS, Switch(output, on=False)),
                ]
        self._steps[reader] = [step for step in steps if step[0] > now_ns]
        if not self._steps[reader]:
            del self._steps[reader]
            self._blink(reader, now_ns + CALL_OFF_NS)
        first = {switch.sounder.id: switch for due_ns, switch in steps if due_ns <= now_ns}
        return self._switch(list(first.values()))

    def _switch(self, switches: Sequence[Switch]) -> list[Switch]:
        """Those that change something."""
        done: list[Switch] = []
        for switch in switches:
            if switch.on == (switch.sounder.id in self._on):
                continue
            (self._on.add if switch.on else self._on.discard)(switch.sounder.id)
            done.append(switch)
        return done
