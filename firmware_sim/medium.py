"""One half-duplex wire that everybody on a line shares, as a discrete-event simulation.

Theory of operation:

1. A byte occupies the wire for ten bits. What a station hands in while it still sends waits behind that,
   as in a UART.
2. Where two stations send at once nobody can read anything: one stream of garbage is heard in place of
   both. A frame of which a single byte was hit fails its CRC, so frames that overlap destroy each other.
3. A station hears nothing while it sends, and in a collision nothing of the character after that.
4. Whoever listens gets a transmission in slices: two characters as soon as they are through, so that it
   can tell that the line is busy, the rest later (`Ear`).

Times are nanoseconds of whatever clock the caller uses. They may never run backwards: `transmit` and
`advance` must not be called with a time before one that `advance` was called with.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NewType

from firmware_sim.faults import Fault, distort

Station = NewType("Station", int)
"""Whoever is on the wire: a unit by its address, the gateway as 0."""
GATEWAY = Station(0)

BITS_OF_A_CHARACTER = 10
S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Ear:
    """How finely a station hears: `first` characters, then every `then` characters (None: the rest at once).

    Units are asked twice a frame and not for every character, since a village has hundreds of them.
    """

    first: int = 2
    then: int | None = None

    def cuts(self, count: int) -> Iterator[tuple[int, int]]:
        """Yield the slices of a transmission of `count` characters as (from, to)."""
        done = min(self.first, count)
        yield 0, done
        step = self.then or count
        while done < count:
            yield done, min(done + step, count)
            done += step


@dataclass(frozen=True, slots=True)
class Heard:
    """`listeners` heard `data`; its last character ended at `at_ns`."""

    listeners: frozenset[Station]
    data: bytes
    at_ns: int
    sender: Station
    clean: bool
    """Nothing of this transmission has met another one so far."""
    last: bool
    """This was the end of the transmission."""


@dataclass(slots=True)
class MediumCounts:
    """What the wire has seen since it was strung."""

    transmissions: int = 0
    collided: int = 0
    """Transmissions that met another one."""
    busy_ns: int = 0
    """Wire time of all transmissions, those that overlap counted each."""


@dataclass(slots=True, eq=False)
class _Transmission:
    station: Station
    data: bytes
    start_ns: int
    char_ns: int
    met: bool = False
    unheard: int = 0
    """Slices that are still to be heard."""

    @property
    def end_ns(self) -> int:
        return self.start_ns + len(self.data) * self.char_ns

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        return self.start_ns < end_ns and self.end_ns > start_ns


class Medium:
    """The wire. Join stations, let them transmit, advance, and hand what is heard to the listeners."""

    def __init__(self, *, baud: int, dice: Random, faults: Iterable[Fault] = ()) -> None:
        self.char_ns = BITS_OF_A_CHARACTER * S // baud
        self.faults = tuple(faults)
        """Apply to everything that is sent from now on."""
        self.cut: frozenset[Station] = frozenset()
        """Stations behind a cut: they hear nothing, nobody hears them, and they disturb nobody."""
        self.counts = MediumCounts()
        self._dice = dice
        self._ears: dict[Ear, list[Station]] = {}
        self._busy_until_ns: dict[Station, int] = {}
        self._air: list[_Transmission] = []
        self._slices: list[tuple[int, int, _Transmission, Ear, int, int]] = []
        self._order = 0
        self._listeners: dict[tuple[Ear, frozenset[Station]], frozenset[Station]] = {}

    def join(self, station: Station, ear: Ear) -> None:
        """Put a station on the wire."""
        self._ears.setdefault(ear, []).append(station)
        self._listeners.clear()

    def transmit(self, station: Station, data: bytes, now_ns: int) -> int:
        """Send, at once or behind what this station is still sending; return when its last character ends."""
        end_ns = max(now_ns, self._busy_until_ns.get(station, 0))
        if station in self.cut:
            end_ns += len(data) * self.char_ns
        else:
            for chunk in distort(data, self.faults, self._dice):
                end_ns = self._begin(station, chunk.data, end_ns + chunk.pause_ns)
        self._busy_until_ns[station] = end_ns
        return end_ns

    def _begin(self, station: Station, data: bytes, start_ns: int) -> int:
        transmission = _Transmission(station, data, start_ns, self.char_ns)
        self._air.append(transmission)
        self.counts.transmissions += 1
        self.counts.busy_ns += transmission.end_ns - start_ns
        for ear in self._ears:
            for first, last in ear.cuts(len(data)):
                self._order += 1
                at_ns = start_ns + last * self.char_ns
                heapq.heappush(self._slices, (at_ns, self._order, transmission, ear, first, last))
                transmission.unheard += 1
        return transmission.end_ns

    def busy_until(self, station: Station) -> int:
        """Return when the last character that `station` has handed in ends, 0 if it never sent."""
        return self._busy_until_ns.get(station, 0)

    def next_due(self) -> int | None:
        """Return when somebody will hear something next, None while the line is silent."""
        return self._slices[0][0] if self._slices else None

    def advance(self, now_ns: int) -> list[Heard]:
        """Return what was heard up to now, in the order of time."""
        heard: list[Heard] = []
        while self._slices and self._slices[0][0] <= now_ns:
            at_ns, _, transmission, ear, first, last = heapq.heappop(self._slices)
            heard += self._hear(transmission, ear, first, last, at_ns)
            transmission.unheard -= 1
            if not transmission.unheard:
                self._clear()
        return heard

    def _clear(self) -> None:
        """Forget what can no longer meet anything that is still to be heard."""
        since_ns = min((one.start_ns for one in self._air if one.unheard), default=None)
        self._air = [one for one in self._air if since_ns is not None and one.end_ns > since_ns]

    def _hear(self, mine: _Transmission, ear: Ear, first: int, last: int, at_ns: int) -> Iterator[Heard]:
        start_ns = mine.start_ns + first * self.char_ns
        before_ns = start_ns if mine.start_ns == start_ns else start_ns - self.char_ns
        rivals = [one for one in self._air if one is not mine and one.overlaps(before_ns, at_ns)]
        is_last = last == len(mine.data)
        if not rivals:
            listeners = self._all_but(ear, frozenset({mine.station}))
            if listeners:
                yield Heard(listeners, mine.data[first:last], at_ns, mine.station, clean=not mine.met, last=is_last)
            return
        self._count_collision(mine)
        senders = frozenset(rival.station for rival in rivals)
        characters = [self._character(mine, index, rivals) for index in range(first, last)]
        told = [(self._all_but(ear, senders | {mine.station}), [byte for byte, _ in characters])]
        told += [
            (frozenset({rival}), [byte for byte, deaf in characters if rival not in deaf])
            for rival in sorted(senders.intersection(self._ears[ear]) - self.cut)
        ]
        for listeners, heard in told:
            data = bytes(byte for byte in heard if byte is not None)
            if data and listeners:
                yield Heard(listeners, data, at_ns, mine.station, clean=False, last=is_last)

    def _all_but(self, ear: Ear, deaf: frozenset[Station]) -> frozenset[Station]:
        key = (ear, deaf | self.cut)
        if key not in self._listeners:
            self._listeners[key] = frozenset(self._ears[ear]) - key[1]
        return self._listeners[key]

    def _character(
        self, mine: _Transmission, index: int, rivals: list[_Transmission]
    ) -> tuple[int | None, set[Station]]:
        """What is heard in place of one character (None: it is part of the rival's garbage), and who is deaf to it."""
        start_ns = mine.start_ns + index * self.char_ns
        hit = [rival for rival in rivals if rival.overlaps(start_ns, start_ns + self.char_ns)]
        turning = [rival for rival in rivals if index and rival.overlaps(start_ns - self.char_ns, start_ns)]
        senders = {rival.station for rival in (*hit, *turning)}
        if not hit:
            return mine.data[index], senders
        if any((rival.start_ns, rival.station) < (mine.start_ns, mine.station) for rival in hit):
            return None, senders
        return mine.data[index] ^ self._dice.randrange(1, 256), senders

    def _count_collision(self, mine: _Transmission) -> None:
        if not mine.met:
            mine.met = True
            self.counts.collided += 1
