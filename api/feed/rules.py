"""Pure parts of the live feed: who hears what, where a viewer goes on, and how much may wait for one.

Theory:

1. An entry has a subject, which rights ask about, and the eyes that may read it. A viewer hears it when a grant of his
   reaches the subject with the topic's action, and the eyes of the sharpest such grant are among them (`hears`).
2. Ids are random, and a viewer's place in the feed is an id that he has seen or a time (`Since`). Neither counts, so
   nobody can tell from them that there were entries for others.
3. What tells of an alarm is judged anew for each hearer by the alarm as it is now (`api.alarms.sight`), whatever was
   true when it happened: what has become a duress alarm meanwhile is heard by nobody but the police. A neighbour hears
   of a step only when it changes what neighbours read (`coarse`).
4. Nothing is told before it is known that whoever listens still may: each batch is read together with the record of
   who did what, and when that says that somebody's rights, account, session or home changed, everybody is asked again
   first, as is whose grant has run out by now. Sessions and tokens that end by time alone end here within seconds.
5. What waits for one viewer is bounded (`Queue`). Whoever is too slow loses what waits, is told to look at the lists
   again (`resync`), and is cut: the others wait for nobody.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from api.alarms.rules import COARSE, Action, State
from api.rights.rules import Authority, Held, Principal, Reach, Rights, Subject
from broker.policy import Audience

ANY_EYES: Final[frozenset[Audience | None]] = frozenset({*Audience, None})
"""For what is made from no alarm: reach alone decides."""
NO_EYES: Final = "none"

RIGHTS_CHANGE: Final = (
    "account.", "desk.", "grant.", "joining.", "register.", "session.begin", "session.end", "token.",
)  # fmt: skip
"""What the record of who did what says when somebody's reach or sign-in may have changed; reading changes nothing."""
READING: Final = ".read"

KEPT_MS: Final = 86_400_000
"""How long entries are kept."""
OVERLAP_MS: Final = 5_000
"""How long after its time an entry may be committed. Who goes on from a time begins so much earlier, and takes what he
hears twice, by one id, once."""
QUEUE_MOST: Final = 256
QUEUE_BYTES_MOST: Final = 512 * 1024
REPLAY_MOST: Final = 1_000
"""More than that is read faster from the lists."""

TOPICS: Final[Mapping[str, str]] = {"alarm": "alarm.read", "fault": "fault.read"}
"""The action whose reach decides, by topic; for others it is that of the feed itself."""
LISTEN: Final = "feed.read"
ALARM: Final = "alarm"
COARSE_ACTIONS: Final = frozenset({Action.RECEIVE, Action.CANCEL, Action.STAND_BACK})

_TIME: Final = "t"
_ID_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it is kept."""

    number: int
    id: str
    topic: str
    about: str
    body: Mapping[str, object]
    subject: Subject
    eyes: frozenset[Audience | None]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Since:
    """Go on with what happened from then on."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class After:
    """Go on behind this entry."""

    id: str


@dataclass(frozen=True, slots=True)
class Seat:
    """How far a viewer hears: by action, whose reach. Two of the same `key` hear the same, unless one is named."""

    principal: Principal
    reaches: Mapping[str, Reach]
    key: object

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.principal.account

    def authority(self, topic: str) -> Authority:
        """What decides about entries of this topic."""
        action = TOPICS.get(topic, LISTEN)
        return Authority(self.principal, action, self.reaches[action])

    def reach(self, topic: str) -> Reach:
        """What decides about entries of this topic."""
        return self.reaches[TOPICS.get(topic, LISTEN)]


def seat(principal: Principal, rights: Rights, *, groups: Mapping[str, str]) -> Seat | None:
    """Where this account sits; None: it may not listen at all."""
    reaches = {action: rights.reach(principal, action, groups=groups) for action in (LISTEN, *TOPICS.values())}
    if not reaches[LISTEN].held:
        return None
    key = (principal.grants, *(reach.held for reach in reaches.values()))
    return Seat(principal, reaches, key)


def hears(entry: Entry, reach: Reach) -> Held | None:
    """The grant with which a viewer hears an entry; None: for him it does not exist."""
    held = reach.covers(entry.subject)
    return held[0] if held and held[0].eyes in entry.eyes else None


def coarse(body: Mapping[str, object]) -> bool:
    """Whether a step at an alarm changes what neighbours read."""
    action, before, after = body.get("action"), body.get("before"), body.get("state")
    if action in COARSE_ACTIONS:
        return True
    if not isinstance(before, str) or not isinstance(after, str):
        return False
    return COARSE[State(before)] is not COARSE[State(after)]


def place(text: str | None) -> Since | After | None:
    """Where a viewer says he was; None when he says nothing, or nothing of ours."""
    if text is None:
        return None
    if text.startswith(_TIME) and text[1:].isascii() and text[1:].isdigit() and len(text) <= 16:
        return Since(int(text[1:]))
    if len(text) == _ID_LENGTH and all(digit in "0123456789abcdef" for digit in text):
        return After(text)
    return None


def at(now_ms: int) -> str:
    """The place of whoever has heard everything until now."""
    return f"{_TIME}{now_ms}"


def too_old(since: Since, *, now_ms: int) -> bool:
    """Whether entries may have gone already."""
    return since.at_ms < now_ms - KEPT_MS + OVERLAP_MS


@cache
def eyes_text(eyes: frozenset[Audience | None]) -> str:
    """As it stands in the table."""
    return " ".join(sorted(NO_EYES if one is None else one.value for one in eyes))


def eyes_of(text: str) -> frozenset[Audience | None]:
    """Read what `eyes_text` wrote."""
    return frozenset(None if word == NO_EYES else Audience(word) for word in text.split())


@dataclass(slots=True)
class Queue:
    """What waits for one viewer."""

    frames: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def offer(self, frame: bytes) -> bool:
        """Let it wait; False: there is no room, and what waited is gone."""
        full = len(self.frames) >= QUEUE_MOST or self.size + len(frame) > QUEUE_BYTES_MOST
        if full and self.frames:  # one alone always finds room
            self.frames.clear()
            self.size = 0
            return False
        self.frames.append(frame)
        self.size += len(frame)
        return True

    def take(self) -> bytes:
        """Everything that waits, in one piece; empty: nothing does."""
        whole = b"".join(self.frames)
        self.frames.clear()
        self.size = 0
        return whole
