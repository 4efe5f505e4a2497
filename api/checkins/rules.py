"""What a check-in is, how much it weighs, which of its clocks is believed, and whose tag it is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from broker.kinds import Words
from broker.tags import Ambiguous, Enrolled, Match, Tag, canonical, faces

DAY_MS: Final = 86_400_000
STALE_MS: Final = DAY_MS
"""What arrives later than this after it happened is flagged."""
SKEW_MS: Final = 5_000
"""A clock that is further off than this at an upload is corrected and flagged; less may be the way of the message."""
TAG_CHARS: Final = 32
"""As much is kept of what claims to be a tag and is none."""
LAST_MS: Final = (1 << 48) - 1
"""The last moment that an id can begin with."""
REPEAT_MS: Final = 180_000
"""A guard who checks in again at the same checkpoint within this time was there once."""


class Source(StrEnum):
    """By which means somebody said that he was there, the strongest first."""

    FIXED_READER = "fixed_reader"
    WAND = "wand"
    NFC_PHONE = "nfc_phone"
    QR_SCREEN = "qr_screen"
    """A code that changes on a screen: somebody was there within a minute."""
    QR = "qr"
    POSITION = "position"
    BUTTON = "button"
    """A wired button: somebody was there, whoever it was."""
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
    Source.QR_SCREEN: 50,
    Source.QR: 40,
    Source.POSITION: 20,
    Source.BUTTON: 15,
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
    TYPED = "typed"
    """The number of the tag was typed in: no more than a picture of it says, so it weighs as a printed code."""
    PHONE_OUT = "phone_out"
    """The guard's phone was told to be dead then, and something else was to show his visits."""


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


class Why(StrEnum):
    """Why nobody could be found by a tag."""

    NOT_ENROLLED = "not_enrolled"
    NOT_THEN = "not_then"
    """It is enrolled, but was not at that time."""
    AMBIGUOUS = "ambiguous"
    LOST = "lost"
    UNREADABLE = "unreadable"
    """What was read is no tag at all."""


class Ended(StrEnum):
    """How a tag's hanging at a checkpoint ended."""

    LOST = "lost"
    MOVED = "moved"
    BROKEN = "broken"


class Settled(StrEnum):
    """What a person decided about an unknown tag."""

    ENROLLED = "enrolled"
    DISMISSED = "dismissed"


FLAG_WORDS: Final = {
    Flag.UNKNOWN_TAG: Words("未登记的标签", "a tag that nobody enrolled"),
    Flag.UNKNOWN_GUARD: Words("不知是谁", "nobody knows who it was"),
    Flag.UNKNOWN_POINT: Words("不知在哪个巡查点", "nobody knows at which checkpoint"),
    Flag.AMBIGUOUS: Words("只读到24位, 对应多张卡", "24 bits were read, and they are several tags"),
    Flag.BY_24: Words("按24位卡号匹配", "matched by 24 bits"),
    Flag.LOST_CARD: Words("已挂失的卡", "a card reported lost"),
    Flag.REPEAT: Words("3分钟内重复", "again within 3 minutes"),
    Flag.UNSET_CLOCK: Words("设备未校时, 时间为估计", "the device's clock was not set; the time is estimated"),
    Flag.SKEWED: Words("设备时钟偏差, 已修正", "the device's clock was off; corrected"),
    Flag.FUTURE: Words("时间在将来", "a time in the future"),
    Flag.STALE: Words("一天以后才上传", "came more than a day later"),
    Flag.UNVERIFIED: Words("来源未核验", "its sender is not verified"),
    Flag.OFF_SHIFT: Words("不在班", "not on duty"),
    Flag.TYPED: Words("手工输入标签号", "the tag's number was typed in"),
    Flag.PHONE_OUT: Words("手机故障期间", "while his phone was told to be dead"),
}
WHY_WORDS: Final = {
    Why.NOT_ENROLLED: Words("没有登记", "nobody enrolled it"),
    Why.NOT_THEN: Words("当时不在任何人名下", "nobody had it at that time"),
    Why.AMBIGUOUS: Words("24位卡号对应多张卡, 不予匹配", "its 24 bits are several tags, so none is taken"),
    Why.LOST: Words("该卡已挂失", "the card was reported lost"),
    Why.UNREADABLE: Words("读到的不是卡号", "what was read is no tag"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened, as well as can be known: the estimate, and what is odd about it."""

    at_ms: int
    skew_ms: int | None
    flags: frozenset[Flag]


def moment_of_event(*, device_ms: int, age_ms: int, synced: bool, server_ms: int) -> Moment:
    """The time of a gateway's event: its own clock where that was set, else the age that it gave on sending."""
    if not synced:
        return _moment(server_ms - age_ms, None, server_ms, Flag.UNSET_CLOCK)
    return _moment(device_ms, None, server_ms)


def moment_of_upload(*, device_ms: int, device_now_ms: int, server_ms: int) -> Moment:
    """The time that a phone or a wand kept, by how far its clock is off at the upload, when it cannot hide that."""
    skew = device_now_ms - server_ms
    if abs(skew) <= SKEW_MS:
        return _moment(device_ms, skew, server_ms)
    return _moment(device_ms - skew, skew, server_ms, Flag.SKEWED)


def _moment(at_ms: int, skew_ms: int | None, server_ms: int, *flags: Flag) -> Moment:
    found = {*flags}
    if at_ms > server_ms + SKEW_MS:
        found.add(Flag.FUTURE)
    if at_ms < server_ms - STALE_MS:
        found.add(Flag.STALE)
    return Moment(max(at_ms, 0), skew_ms, frozenset(found))


@dataclass(frozen=True, slots=True)
class Holding:
    """A tag that a guard has, or that hangs at a checkpoint, from `from_ms` until before `to_ms` (None: still)."""

    tag: Tag
    guard: str | None
    point: str | None
    from_ms: int
    to_ms: int | None
    lost: bool = False

    def covers(self, at_ms: int) -> bool:
        """Whether it was so at this time."""
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


@dataclass(frozen=True, slots=True)
class Found:
    """Whose tag it is. `why` says why it is nobody's; `flags` what is odd."""

    guard: str | None = None
    point: str | None = None
    why: Why | None = None
    flags: frozenset[Flag] = frozenset()


_NOBODY: Final = {
    Why.NOT_ENROLLED: Flag.UNKNOWN_TAG,
    Why.UNREADABLE: Flag.UNKNOWN_TAG,
    Why.NOT_THEN: Flag.UNKNOWN_GUARD,
    Why.AMBIGUOUS: Flag.AMBIGUOUS,
    Why.LOST: Flag.LOST_CARD,
}


class Holders:
    """Who had which tag when. A value of fewer bits that may be several tags is nobody's, and that is said."""

    def __init__(self, holdings: Iterable[Holding]) -> None:
        """`holdings`: all whose tag may be one of those that are asked for."""
        self._by_tag: dict[Tag, list[Holding]] = {}
        self._near: dict[str, dict[Tag, None]] = {}
        """Tags that may be one another, by what they have in common."""
        for one in holdings:
            self._by_tag.setdefault(one.tag, []).append(one)
            self._near.setdefault(_common(one.tag), {})[one.tag] = None

    def find(self, read: str, at_ms: int) -> Found:
        """Whose tag `read` was at `at_ms`."""
        tag = canonical(read)
        if tag is None:
            return _nobody(Why.UNREADABLE)
        for one in self._by_tag.get(tag, ()):  # a whole value is itself, whatever else ends like it
            if one.covers(at_ms):
                return Found(one.guard, one.point)
        near = self._near.get(_common(tag), {})
        known = Enrolled(tag for tag in near if any(one.covers(at_ms) for one in self._by_tag[tag])).find(tag)
        if isinstance(known, Ambiguous):
            return _nobody(Why.AMBIGUOUS)
        if known is not None:
            one = next(one for one in self._by_tag[known.tag] if one.covers(at_ms))
            flags = frozenset({Flag.BY_24} if known.match is Match.BY_24 else ())
            return Found(one.guard, one.point, flags=flags)
        before = Enrolled(near).find(tag)
        if before is None:
            return _nobody(Why.NOT_ENROLLED)
        if isinstance(before, Ambiguous):
            return _nobody(Why.AMBIGUOUS)
        lost = any(one.lost and one.to_ms is not None and one.to_ms <= at_ms
                   for one in self._by_tag[before.tag])  # fmt: skip
        return _nobody(Why.LOST if lost else Why.NOT_THEN)


def _common(tag: Tag) -> str:
    """What two tags have in common if they may be the same one."""
    return faces(tag).low24 or tag.value


def _nobody(why: Why) -> Found:
    return Found(why=why, flags=frozenset({_NOBODY[why]}))


def kept(tag: str) -> str:
    """What is kept of a tag as it was read: its canonical value, or a bounded piece of what is none."""
    known = canonical(tag)
    return known.value if known is not None else tag[:TAG_CHARS]


def same(at_ms: int, *parts: object) -> str:
    """An id for what may come twice: the same time and parts, the same id.

    It begins with the time, as the ids of gateways do, so that what comes in together stands together in the index by
    which it is found again.
    """
    digest = sha256("\x1f".join("" if part is None else str(part) for part in parts).encode()).digest()
    return event_id(min(max(at_ms, 0), LAST_MS), digest[:EVENT_ID_RANDOM_BYTES])


def with_repeats(check_ins: Sequence[CheckIn]) -> list[CheckIn]:
    """These, in order of time, with REPEAT on each that is less than 3 minutes after one of the same visit.

    The same visit: the same guard, or at a fixed reader the same card, at the same checkpoint. Whether one is a repeat
    depends on the 3 minutes before it and on nothing else, so that late data changes only its own.
    """
    last: dict[tuple[str, str], int] = {}
    found: list[CheckIn] = []
    for one in sorted(check_ins, key=lambda one: (one.at_ms, one.id)):
        fixed = one.source is Source.FIXED_READER
        who, where = one.guard or (one.tag if fixed else None), one.point or (None if fixed else one.tag)
        if who is not None and where is not None:
            before = last.get((who, where))
            last[who, where] = one.at_ms
            if before is not None and one.at_ms - before < REPEAT_MS:
                found.append(replace(one, flags=one.flags | {Flag.REPEAT.value}))
                continue
        found.append(one)
    return found


def words_of(flags: Iterable[str], words: Mapping[Flag, Words] = FLAG_WORDS) -> list[Words]:
    """What flags mean, in both languages, in the order of `Flag`."""
    had = {*flags}
    return [words[flag] for flag in Flag if flag.value in had]
