"""What both ends of the native link need to be tried alone: frames of the other end, made and read by hand."""

from dataclasses import dataclass, field
from random import Random

from devices.commands import Command
from devices.frames import (
    DOWN,
    FRAME_BYTES,
    UP,
    build_frame,
    decode_downlink,
    decode_uplink,
    encode_downlink,
    encode_uplink,
    new_deframer,
    split_content,
)
from devices.line_link import LineLink, UnitKey
from devices.readings import ButtonPressed, Confirmation, Heartbeat, LinkReading, NotUnderstood, Numbered, Proof
from devices.sealing import Seal
from devices.timing import LineTiming, S
from devices.unit_link import Order, UnitLink

START_NS = 1_000 * S
UNIT = 7
SLOW_LINE = LineTiming(9600, FRAME_BYTES)
SEALED = Proof.SEALED


def key_of(unit: int) -> bytes:
    return unit.to_bytes(2, "big") * 8


def first(_below: int) -> int:
    """Dice that always fall on the first slot."""
    return 0


@dataclass(frozen=True)
class Frame:
    """A frame as its receiver reads it."""

    direction: int
    unit: int
    counter: int
    body: bytes

    @property
    def said(self) -> Numbered | Confirmation | NotUnderstood:
        return decode_uplink(self.body, self.unit, self.counter >> 16, SEALED)

    @property
    def command(self) -> Command | None:
        return decode_downlink(self.body)


def read(data: bytes, *, keys: dict[int, bytes] | None = None) -> list[Frame]:
    """Return the frames in `data`, each opened with its unit's key."""
    frames = []
    for content in new_deframer().receive_data(data):
        split = split_content(content)
        assert split is not None
        header, header_bytes, sealed = split
        key = (keys or {}).get(header.unit, key_of(header.unit))
        body = Seal(key).open(header_bytes, sealed)
        assert body is not None
        frames.append(Frame(header.direction, header.unit, header.counter, body))
    return frames


def down(command: Command, counter: int, *, unit: int = UNIT, key: bytes | None = None) -> bytes:
    """A frame of the gateway."""
    return build_frame(Seal(key or key_of(unit)), DOWN, unit, counter, encode_downlink(command))


def up(said: Numbered | Confirmation, counter: int, *, unit: int = UNIT, key: bytes | None = None) -> bytes:
    """A frame of a unit."""
    return build_frame(Seal(key or key_of(unit)), UP, unit, counter, encode_uplink(said))


def a_press(number: int, *, boot: int = 1, key: int = 1, unit: int = UNIT, age_ms: int = 0) -> ButtonPressed:
    return ButtonPressed(unit, boot, number, key, age_ms, SEALED)


def a_heartbeat(number: int, *, boot: int = 1, unit: int = UNIT) -> Heartbeat:
    return Heartbeat(
        unit,
        boot,
        number,
        battery=80,
        mains=True,
        cover_open=False,
        sounder_broken=False,
        firmware=1,
        floor=0,
        proof=SEALED,
    )


@dataclass
class UnitEnd:
    """A unit with a line that nobody else speaks on."""

    link: UnitLink
    now_ns: int = START_NS
    sent: list[tuple[int, Frame]] = field(default_factory=list)

    def run(self, until_ns: int) -> list[Frame]:
        """Let it send what it wants up to then."""
        before = len(self.sent)
        while (due := self.link.next_due()) is not None and due <= until_ns:
            self.now_ns = max(due, self.now_ns)
            data = self.link.data_to_send(self.now_ns)
            assert data, "a unit that is due sends"
            self.sent += [(self.now_ns, frame) for frame in read(data, keys={self.link.unit: self.link.key})]
        self.now_ns = until_ns
        return [frame for _, frame in self.sent[before:]]

    def hear(self, data: bytes) -> list[Order]:
        return self.link.receive_data(data, self.now_ns)


def a_unit(*, boot: int = 1, floor: int = 0, seed: int | None = None, timing: LineTiming = SLOW_LINE) -> UnitEnd:
    draw = first if seed is None else Random(seed).randrange
    return UnitEnd(UnitLink(unit=UNIT, key=key_of(UNIT), boot=boot, floor=floor, timing=timing, draw=draw))


@dataclass
class Counters:
    """Downlink counters from 1 on, as many as are leased."""

    leased: int = 1 << 32
    used: int = 0

    def take(self) -> int | None:
        if self.used >= self.leased:
            return None
        self.used += 1
        return self.used


@dataclass
class GatewayEnd:
    """A gateway with a line that nobody else speaks on."""

    link: LineLink
    counters: Counters
    now_ns: int = START_NS
    sent: list[tuple[int, Frame]] = field(default_factory=list)
    stale: list[LinkReading] = field(default_factory=list)
    keys: dict[int, bytes] = field(default_factory=dict)
    """Of units that have another key than `key_of`."""

    def hear(self, data: bytes) -> list[LinkReading]:
        return self.link.receive_data(data, self.now_ns)

    def run(self, until_ns: int) -> list[Frame]:
        """Let it send what it wants up to then; nobody confirms."""
        before = len(self.sent)
        self._send()
        while (due := self.link.next_due()) is not None and due <= until_ns:
            assert due > self.now_ns, "what is due now has been done"
            self.now_ns = due
            self.stale += self.link.advance(due)
            self._send()
        self.now_ns = max(until_ns, self.now_ns)
        return [frame for _, frame in self.sent[before:]]

    def _send(self) -> None:
        self.sent += [(self.now_ns, frame) for frame in read(self.link.data_to_send(self.now_ns), keys=self.keys)]


def a_gateway(
    units: int | dict[int, UnitKey] = 10, *, timing: LineTiming = SLOW_LINE, leased: int = 1 << 32
) -> GatewayEnd:
    """A gateway of `units` units, or of those whose keys are given."""
    keys = {unit: UnitKey(key_of(unit)) for unit in range(1, units + 1)} if isinstance(units, int) else units
    counters = Counters(leased)
    link = LineLink(units=keys, timing=timing, take_counter=counters.take, random_bytes=Random(1).randbytes)
    return GatewayEnd(link, counters)
