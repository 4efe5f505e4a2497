"""What is sent, when it is tried again, and when many become one: pure.

Theory:

1. A notice holds the kind as its reader's eyes may read it, the grid, the number and a link. It has no field for a
   name, a door or a phone number. One that is for the police alone leaves only by channels marked police. One of a
   complaint says neither what is complained of nor which duty.
2. A delivery is tried at most TRIES_MOST times, with pauses that double, and no longer than until it expires; then it
   is undeliverable. Quiet hours of a channel hold back what is not urgent, and never an alarm of somebody's duty.
3. At most SINGLY messages a channel and minute go out one by one. What comes beyond them becomes one message with a
   count, at most one such message a minute: none is left out of the count.
4. What is pushed to phones (`Pushed`) says of what sort it is and which page to open: no grid, number, address or
   link to an alarm. Duress is never pushed to anybody, nor what is for the police alone. After PUSH_MS an alarm is not
   pushed any more, nor kept by the push service: old events do not ring.
5. A webhook is signed over its timestamp and its body. A receiver refuses a timestamp that is more than FRESH_S away,
   and a delivery id that it has seen, so that nobody can play it again.
"""

import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final

from api.complaints.rules import TOLD_WORDS, Told
from api.faults.words import words as fault_words
from broker.kinds import KIND_WORDS, MARK_WORDS, Kind, Mark
from broker.kinds import Words as Named

TRIES_MOST: Final = 6
FIRST_PAUSE_MS: Final = 5_000
PAUSE_MOST_MS: Final = 300_000
EXPIRES_MS: Final = 900_000
"""An urgent notice that could not be sent for so long is undeliverable; somebody else is told meanwhile."""
PATIENT_MS: Final = 86_400_000
"""The same for what is not urgent."""
PUSH_MS: Final = 60_000
"""The same for what is pushed, but a warning: it is good until it ends, and PATIENT_MS at most."""
MINUTE_MS: Final = 60_000
SINGLY: Final = 5
FRESH_S: Final = 300
DAY_MIN: Final = 1_440


class Pushed(StrEnum):
    """Why something is pushed to a phone."""

    NEIGHBOUR = "neighbour"
    AREA = "area"
    """An alarm in the area of a grid worker or a community."""
    ORDER = "order"
    HELP = "help"
    ROLL_CALL = "roll_call"
    WARNING = "warning"
    TRIAL = "trial"


NEVER_PUSHED: Final = frozenset({Kind.DURESS, Kind.UNVERIFIED, Kind.TAMPER})
"""Kinds that are for the police alone, whatever a notice says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPhone:
    """How it looks on a phone. `page`: what a touch opens, empty for the page that the phone has."""

    page: str
    title: Named
    body: Named
    named: bool = False
    """Whether the kind of the alarm stands behind the title."""


_LOOK: Final = Named("打开页面查看。", "Open the page.")
ON_PHONE: Final[Mapping[Pushed, OnPhone]] = {
    Pushed.NEIGHBOUR: OnPhone(
        page="/phone/#neighbours",
        title=Named("邻居报警", "A neighbour's alarm"),
        body=Named("打开页面，看是哪一户、说去不去。", "Open the page: whose it is, and whether you go."),
        named=True,
    ),
    Pushed.AREA: OnPhone(
        page="/phone/field#alarms", title=Named("辖区报警", "Alarm in your area"), body=_LOOK, named=True
    ),
    Pushed.ORDER: OnPhone(
        page="/phone/guard#today",
        title=Named("派单", "An order to an alarm"),
        body=Named("打开页面接令。", "Open the page and answer."),
        named=True,
    ),
    Pushed.HELP: OnPhone(
        page="/phone/guard#today", title=Named("附近同事求助", "Somebody near calls for help"), body=_LOOK, named=True
    ),
    Pushed.ROLL_CALL: OnPhone(
        page="/phone/guard#today",
        title=Named("点名", "Roll-call"),
        body=Named("请马上打开页面应答。", "Open the page and answer now."),
    ),
    Pushed.WARNING: OnPhone(page="/phone/#news", title=Named("治安预警", "A warning"), body=_LOOK),
    Pushed.TRIAL: OnPhone(
        page="",
        title=Named("推送已开", "Push is on"),
        body=Named("这是一条测试。推送只是额外的提醒，不能靠它。", "A test. Push is an extra: do not rely on it."),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What somebody is told. `urgent`: an alarm of his duty; `level` and `late` of the ladder."""

    kind_shown: Kind | None
    """None for what is no alarm."""
    grid: str | None
    number: int | None
    link: str
    police_only: bool
    mark: Mark | None = None
    level: int = 0
    late: bool = False
    urgent: bool = True
    fault: str | None = None
    """The code of a fault, which is no alarm."""
    over: bool = False
    """Whether the fault is over."""
    complaint: Told | None = None
    """Why somebody is told of a complaint, which is no alarm and no fault."""
    trial: bool = False
    """Somebody tries his channel."""
    pushed: Pushed | None = None
    """Why it goes to phones, too; None: it does not."""
    tag: str = ""
    """What is pushed twice under one tag is shown once. It is drawn from an id and does not tell it."""

    @property
    def may_be_pushed(self) -> bool:
        """Whether it goes to phones: never duress, whoever asks for it, and nothing for the police alone."""
        return self.pushed is not None and not self.police_only and self.kind_shown not in NEVER_PUSHED

    def text(self) -> str:
        """As a row keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> "Notice":
        """As a row kept it."""
        kept: dict[str, Any] = json.loads(text)
        kind, mark, told = kept["kind_shown"], kept["mark"], kept.get("complaint")
        pushed = kept.get("pushed")
        coded = {
            "kind_shown": None if kind is None else Kind(kind),
            "mark": None if mark is None else Mark(mark),
            "complaint": None if told is None else Told(told),
            "pushed": None if pushed is None else Pushed(pushed),
        }
        return cls(**kept | coded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A message as a person reads it, and as a machine does."""

    title: str
    body: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Deliveries (by number) that go out in one message."""

    numbers: tuple[int, ...]

    @property
    def gathered(self) -> bool:
        """Whether it is a message with a count."""
        return len(self.numbers) > 1


def pause_ms(tries: int) -> int:
    """How long to wait after so many tries."""
    return min(PAUSE_MOST_MS, FIRST_PAUSE_MS << max(0, tries - 1))


def is_over(*, tries: int, next_ms: int, expires_ms: int) -> bool:
    """Whether it will not be tried again."""
    return tries >= TRIES_MOST or next_ms >= expires_ms


def quiet(minute: int, *, from_min: int | None, to_min: int | None) -> bool:
    """Whether this minute of the day lies in quiet hours, which may pass midnight."""
    if from_min is None or to_min is None or from_min == to_min:
        return False
    if from_min < to_min:
        return from_min <= minute < to_min
    return minute >= from_min or minute < to_min


def quiet_for_min(minute: int, *, from_min: int | None, to_min: int | None) -> int:
    """How many minutes of quiet there are left; 0 outside quiet hours."""
    if to_min is None or not quiet(minute, from_min=from_min, to_min=to_min):
        return 0
    return (to_min - minute) % DAY_MIN


def batches(waiting: Sequence[int], *, singly: int, gathered: int) -> list[Batch]:
    """What one channel sends now, oldest first. `singly`, `gathered`: how many messages of each it sent this minute.

    What is not in it waits for the next minute.
    """
    if len(waiting) <= SINGLY - singly:
        return [Batch(numbers=(number,)) for number in waiting]
    if gathered or singly > SINGLY:
        return []
    return [Batch(numbers=tuple(waiting))]


def words(notices: Sequence[Notice]) -> Words:
    """One message for one notice or for many."""
    if len(notices) > 1:
        return _many(notices)
    one = notices[0]
    if one.trial:
        return Words(
            title="守望: 通道测试 Channel test",
            body="这是一条测试消息。This is a test message.",
            data={"trial": True, "count": 1},
        )
    kind = called(one)
    mark = None if one.mark is None else MARK_WORDS[one.mark]
    prefix = "[已恢复 over] " if one.over else "" if mark is None else f"[{mark.zh} {mark.en}] "
    climbs = "" if one.level == 0 else f" · 超时升级 level {one.level}"
    late = " · 迟发 late" if one.late else ""
    lines = [
        *([] if one.grid is None else [f"网格 grid: {one.grid}"]),
        *([] if one.number is None else [f"编号 number: {one.number}"]),
        one.link,
    ]
    data = {
        "count": 1,
        "kind": one.kind_shown,
        "fault": one.fault,
        "over": one.over,
        "complaint": one.complaint,
        "words": {"zh": kind.zh, "en": kind.en},
        "mark": None if one.mark is None else one.mark.value,
        "grid": one.grid,
        "number": one.number,
        "link": one.link,
        "level": one.level,
        "late": one.late,
    }
    return Words(title=f"{prefix}{kind.zh} {kind.en}{climbs}{late}", body="\n".join(lines), data=data)


def tag_of(about: str) -> str:
    """What the notices about one thing are shown as one by."""
    return sha256(f"push {about}".encode()).hexdigest()[:32]


def push_words(notices: Sequence[Notice], *, language: str, home: str, expires_ms: int) -> Words:
    """The same for a phone, in its reader's language. `data` is what the push is made of; `home`: the phone's page."""
    first = notices[-1]
    sorts = {one.pushed for one in notices if one.pushed is not None}
    shown = ON_PHONE[first.pushed or Pushed.TRIAL]
    title, body = _said(shown.title, language), _said(shown.body, language)
    if len(notices) > 1:
        title = f"{title} × {len(notices)}" if len(sorts) == 1 else f"{_said(_SEVERAL, language)} × {len(notices)}"
    elif shown.named and first.kind_shown is not None:
        mark = "" if first.mark is None else f" [{_said(MARK_WORDS[first.mark], language)}]"
        title = f"{title}{'：' if language == 'zh' else ': '}{_said(KIND_WORDS[first.kind_shown], language)}{mark}"
    tag = first.tag if len(notices) == 1 else tag_of("several")
    data = {
        "payload": {"title": title, "body": body, "tag": tag, "to": shown.page or home, "language": language},
        "tag": tag,
        "urgent": any(one.urgent for one in notices),
        "expires_ms": expires_ms,
    }
    return Words(title=title, body=body, data=data)


_SEVERAL: Final = Named("守望消息", "Messages of Shouwang")


def _said(words: Named, language: str) -> str:
    return words.zh if language == "zh" else words.en


def _many(notices: Sequence[Notice]) -> Words:
    kinds = Counter(_code(one) for one in notices)
    names = {_code(one): called(one) for one in notices}
    lines = [f"{names[kind].zh} {names[kind].en}: {count}" for kind, count in sorted(kinds.items())]
    data = {
        "count": len(notices),
        "kinds": {str(kind): count for kind, count in sorted(kinds.items())},
        "link": notices[-1].link,
    }
    return Words(title=f"守望: {len(notices)} 条通知 notices", body="\n".join((*lines, notices[-1].link)), data=data)


def _code(one: Notice) -> str:
    return "complaint" if one.complaint is not None else one.fault or one.kind_shown or ""


def called(one: Notice) -> Named:
    """What it is about, in both languages."""
    if one.complaint is not None:
        return TOLD_WORDS[one.complaint]
    if one.kind_shown is None and one.pushed is not None:
        return ON_PHONE[one.pushed].title
    if one.kind_shown is None:
        return fault_words(one.fault or "fault")
    return KIND_WORDS[one.kind_shown]


def body(data: Mapping[str, Any], *, delivery: str, station: str) -> bytes:
    """What a webhook is sent."""
    full = {"delivery": delivery, "station": station, **data}
    return json.dumps(full, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def signature(secret: str, *, timestamp: int, content: bytes) -> str:
    """The value of `X-Shouwang-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + content, sha256).hexdigest()


def genuine(secret: str, *, timestamp: int, content: bytes, signed: str, now_s: int) -> bool:
    """What a receiver checks; it also refuses a delivery id that it has seen."""
    fresh = abs(now_s - timestamp) <= FRESH_S
    return fresh and hmac.compare_digest(signature(secret, timestamp=timestamp, content=content), signed)


def may_connect(address: str, *, loopback: bool) -> bool:
    """Whether an address may be sent to: nothing inside our own walls, but loopback where a setting says so."""
    found = ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    found = found if mapped is None else mapped
    return (loopback and found.is_loopback) or (found.is_global and not found.is_multicast)
