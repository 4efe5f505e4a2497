"""Writes into a gateway's journal as fast as it takes it, for power to be cut meanwhile: `python -m faults.writer`.

    python -m faults.writer FOLDER COUNT

It tells each press on its standard output after `append` has returned, as a unit's lamp would: `u03:1:7/EVENT`. Its log
is short, so that pages move from it into the file again and again, and some of what it wrote is receipted and pruned.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from broker import ids
from broker.ids import GatewayId, PressKey, StationId, UnitId
from broker.kinds import EventType, Kind
from gateway import journal as journals
from gateway.events import Event
from gateway.journal import Delivery, Heard, Journal, Marks
from gateway.opening import Opened, open_journal
from gateway.stamps import Stamp

STATION: Final = StationId("north")
GATEWAY: Final = GatewayId("gw1")
AT_MS: Final = 1_795_000_000_000
LOG_PAGES: Final = 24
UNITS: Final = 10
KEEP: Final = 12
"""So many events behind the head keep their content."""
SEED: Final = 7


def opened(folder: Path, random_bytes: Callable[[int], bytes]) -> Opened:
    """The journal in `folder`, opened as the gateway does it."""
    path = folder / "journal.db"
    return open_journal(path, station=STATION, gateway=GATEWAY, now=stamp(0), random_bytes=random_bytes)


def stamp(number: int) -> Stamp:
    """A moment for each number."""
    return Stamp(AT_MS + number * 1_000, number * 1_000_000_000, "boot", "synced")


def write(journal: Journal, count: int, dice: Random) -> Iterator[tuple[str, ...]]:
    """Append `count` batches of presses; yield each batch before it is appended, and again when it is kept.

    Half of what was kept is done with soon, and pruned, so that rows are changed and deleted as well.
    """
    vars(journals)["LOG_PAGES"] = LOG_PAGES
    number = 0
    for _ in range(count):
        events = []
        for _ in range(dice.randint(1, 3)):
            number += 1
            events.append(press(number, dice))
        keys = tuple(f"{event.message}/{event.id}" for event in events)
        yield keys
        entries = journal.append(events, heard=[Heard(f"u{number % UNITS:02}", number)])
        yield keys
        done = [
            Delivery(journal.epoch, int(one.event.lane), one.seq, "station") for one in entries[: dice.randint(0, 3)]
        ]
        journal.mark(Marks(done=done))
        journal.prune(KEEP)


def press(number: int, dice: Random) -> Event:
    """One press of somebody."""
    key = PressKey(f"u{number % UNITS:02}:1:{number}")
    return Event(
        id=ids.event_id(AT_MS + number, dice.randbytes(ids.EVENT_ID_RANDOM_BYTES)),
        type=EventType.PRESS,
        stamp=stamp(number),
        kind=Kind.PANIC,
        unit=UnitId(f"u{number % UNITS:02}"),
        label="x" * dice.randint(0, 60),
        press=key,
        message=key,
    )


def main() -> None:
    """Write, and say what is kept."""
    _, folder, count = sys.argv
    dice = Random(SEED)
    journal = opened(Path(folder), dice.randbytes).journal
    for turn, keys in enumerate(write(journal, int(count), dice)):
        if turn % 2:
            os.write(1, "".join(f"{key}\n" for key in keys).encode())


if __name__ == "__main__":
    main()
