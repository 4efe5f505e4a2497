"""What is found on site, and which of the weekly four ones are done: pure.

Theory:

1. An inspection is passed when nothing is found; what is found is one of a few items (I01-I05 and F04 of the rules).
   Asleep or drunk is never one officer's word alone: a witness is named.
2. Who signs in at a training signs in by his tag, and only while it goes on; by hand is marked as such.
3. How often somebody is to be looked at in a month, his grade says; how often an area, its colour. The checks of a
   month are due one after another at equal distances, the last at its end; inspections fill the list, nobody ticks.
4. The four ones (四个一) of a week: one check, one training of skills, one comment, one joint meeting. The list fills
   itself from what was done; nobody ticks anything.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from broker.kinds import Words

MARK_MOST: Final = 100
EARLY_MS: Final = 30 * 60_000
"""How long before a training begins one may sign in."""


class Item(StrEnum):
    """What an officer finds on site."""

    OFF_POST = "off_post"
    ASLEEP_OR_DRUNK = "asleep_or_drunk"
    DRESS = "dress"
    GEAR = "gear"
    CERTIFICATE = "certificate"
    GEAR_BROKEN = "gear_broken"
    POINT_DAMAGED = "point_damaged"
    """By the guard himself; what others or the weather did is a fault of the reader, and nobody's."""


class SignedBy(StrEnum):
    """How somebody signed in."""

    TAG = "tag"
    HAND = "hand"


class One(StrEnum):
    """The four ones."""

    CHECK = "check"
    TRAINING = "training"
    COMMENT = "comment"
    MEETING = "meeting"


ITEM_WORDS: Final = {
    Item.OFF_POST: Words("脱岗", "off post"),
    Item.ASLEEP_OR_DRUNK: Words("睡岗或酒后上岗", "asleep or drunk on post"),
    Item.DRESS: Words("着装不规范", "dress missing"),
    Item.GEAR: Words("装备不齐", "gear missing"),
    Item.CERTIFICATE: Words("未带证件", "certificate missing"),
    Item.GEAR_BROKEN: Words("电台或装备故障未报", "radio or gear not working, unreported"),
    Item.POINT_DAMAGED: Words("自行损坏巡查点", "checkpoint damaged by the guard"),
}
THING_WORDS: Final = {
    Item.DRESS: Words("规范着装", "proper dress"),
    Item.GEAR: Words("应配装备", "the gear"),
    Item.CERTIFICATE: Words("上岗证件", "the certificate"),
    Item.GEAR_BROKEN: Words("电台或装备", "the radio or the gear"),
}
"""What it was that was missing or broken, as a sentence of the ledger names it."""
RULE_OF: Final = {
    None: "I01",
    Item.OFF_POST: "I02",
    Item.ASLEEP_OR_DRUNK: "I03",
    Item.DRESS: "I04",
    Item.GEAR: "I04",
    Item.CERTIFICATE: "I04",
    Item.GEAR_BROKEN: "I05",
    Item.POINT_DAMAGED: "F04",
}
ONE_WORDS: Final = {
    One.CHECK: Words("每周一次检查", "weekly check"),
    One.TRAINING: Words("每周一次技能培训", "weekly skills training"),
    One.COMMENT: Words("每周一次总结点评", "weekly comment"),
    One.MEETING: Words("每周一次联席会议", "weekly joint meeting"),
}


@dataclass(frozen=True, slots=True)
class Week:
    """From Monday, in civil time, until before the next."""

    from_ms: int
    to_ms: int


def week(at_ms: int, zone: ZoneInfo) -> Week:
    """The week in which a moment lies."""
    day = datetime.fromtimestamp(at_ms / 1_000, zone).date()
    monday = day - timedelta(days=day.weekday())
    begins, ends = (
        round(datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() * 1_000)
        for one in (monday, monday + timedelta(days=7))
    )
    return Week(begins, ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """How often somebody or something is to be looked at in the time [from_ms, to_ms), and how often it was."""

    of: int
    done: int
    from_ms: int
    to_ms: int

    @property
    def left(self) -> int:
        """How many are still to be made."""
        return max(0, self.of - self.done)

    @property
    def next_ms(self) -> int | None:
        """Until when the next one is to be made; None: all are."""
        if not self.left:
            return None
        return self.from_ms + (self.to_ms - self.from_ms) * (self.done + 1) // self.of

    def overdue(self, now_ms: int) -> bool:
        """Whether the next one should have been made."""
        return self.next_ms is not None and self.next_ms <= now_ms


def needs_witness(items: Collection[Item]) -> bool:
    """Whether what was found is never one officer's word alone."""
    return Item.ASLEEP_OR_DRUNK in items
