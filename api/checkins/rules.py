"""What a check-in is, how much it weighs, and which of its clocks is believed. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

REPEAT_MS: Final = 180_000
"""A guard who checks in again at the same checkpoint within this time was there once."""


class Source(StrEnum):
    """By which means somebody said that he was there, the strongest first."""

    FIXED_READER = "fixed_reader"
    WAND = "wand"
    NFC_PHONE = "nfc_phone"
    QR = "qr"
    POSITION = "position"
    WITNESS = "witness"
    RADIO = "radio"

    @property
    def weight(self) -> int:
        """How much it proves, 100 at most; it only orders, and nothing is computed from it."""
        return _WEIGHTS[self]


_WEIGHTS: Final = {
    Source.FIXED_READER: 100,
    Source.WAND: 80,
    Source.NFC_PHONE: 60,
    Source.QR: 40,
    Source.POSITION: 20,
    Source.WITNESS: 10,
    Source.RADIO: 10,
}


class Flag(StrEnum):
    """What is odd about a check-in. A flag never drops it and never punishes anybody."""

    UNKNOWN_TAG = "unknown_tag"
    """Nobody has enrolled the tag."""
    UNKNOWN_GUARD = "unknown_guard"
    """The tag is known, and nobody had it at that time."""
    UNKNOWN_POINT = "unknown_point"
    """No checkpoint has this reader or this tag."""
    AMBIGUOUS = "ambiguous"
    """Only 24 bits were read, and several tags end in them."""
    BY_24 = "by_24"
    """Found by 24 bits only."""
    LOST_CARD = "lost_card"
    """The card had been reported lost (挂失)."""
    REPEAT = "repeat"
    """The same visit as one less than 3 minutes before."""
    UNSET_CLOCK = "unset_clock"
    """The device did not know the time; the time is estimated from the age it gave."""
    SKEWED = "skewed"
    """The device's clock was off when it uploaded; the time is corrected by that."""
    FUTURE = "future"
    """The time is later than that of the upload."""
    STALE = "stale"
    """It came more than a day after it happened."""
    UNVERIFIED = "unverified"
    """What brought it is not proven to be who it says."""
    OFF_SHIFT = "off_shift"
    """The guard was not on duty."""


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One check-in as it is kept. `guard`, `point` and `tag` are None while nobody knows them.

    `at_ms` is the best estimate of when it happened; `device_ms` and `server_ms` are the two clocks beside it (UTC ms;
    the device's is None where it gave none), and `skew_ms` is how far the device's clock was ahead at the upload.
    """

    id: str
    guard: str | None
    tag: str | None
    point: str | None
    source: Source
    at_ms: int
    device_ms: int | None
    server_ms: int
    skew_ms: int | None
    flags: frozenset[str]
