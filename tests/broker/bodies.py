"""Bodies of every type: hypothesis strategies for any, and the largest that the models let through."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from broker import kinds, messages
from broker.ids import StationId, event_id
from broker.messages import BODIES, Action, Body, audience_of, clean
from broker.topics import TABLE, build

SEGMENTS = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
WORDS = st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True)
UINTS = st.integers(0, 2**53 - 1)
TEXTS = st.text(max_size=96).map(clean)
EVENT_IDS = st.builds(event_id, st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
EPOCHS = st.binary(min_size=8, max_size=8).map(bytes.hex)
SESSIONS = st.binary(min_size=16, max_size=16).map(bytes.hex)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
CHAINS = st.builds(messages.ChainHead, seq=st.integers(1, 2**53 - 1), digest=DIGESTS)
HEADS = st.builds(messages.Head, epoch=EPOCHS, seq=UINTS, chain=st.none() | CHAINS)
PRESSES = st.from_regex(r"[a-z0-9-]{1,32}:[0-9]{1,5}:[0-9]{1,10}", fullmatch=True)
CLOCKS = st.sampled_from(["synced", "unsynced"])
ROLES = st.sampled_from(["handler", "household", "installer"])
DETAILS = st.dictionaries(WORDS, TEXTS | st.integers(1 - 2**53, 2**53 - 1) | st.booleans(), max_size=16)

Fields = dict[str, st.SearchStrategy[Any]]

PLACE: Final[Fields] = {
    "kind": st.none() | st.sampled_from(kinds.Kind),
    "place": st.none() | SEGMENTS,
    "group": st.none() | SEGMENTS,
    "door": st.none() | st.integers(0, 9_999),
    "label": st.none() | TEXTS,
    "mark": st.none() | st.sampled_from(kinds.Mark),
}
UNIT: Final[Fields] = {
    "unit": st.none() | SEGMENTS,
    "press": st.none() | PRESSES,
    "reason": st.none() | WORDS,
}
OWN_FIELDS: Final[Mapping[str, Fields]] = {
    "event": PLACE
    | UNIT
    | {
        "gateway": SEGMENTS,
        "epoch": EPOCHS,
        "seq": st.integers(1, 2**53 - 1),
        "event": st.sampled_from(kinds.EventType),
        "at_ms": UINTS,
        "mono_us": UINTS,
        "boot": SESSIONS,
        "clock": CLOCKS,
        "verified": st.booleans(),
        "detail": DETAILS,
    },
    "alarm": PLACE
    | UNIT
    | {
        "kind": st.sampled_from(kinds.Kind),
        "word_zh": TEXTS,
        "word_en": TEXTS,
        "gateway": st.none() | SEGMENTS,
        "verified": st.none() | st.booleans(),
        "at_ms": st.none() | UINTS,
        "clock": st.none() | CLOCKS,
        "quiet": st.none() | st.just(True),
    },
    "update": {
        "alarm": EVENT_IDS,
        "state": st.sampled_from(kinds.UpdateState),
        "word_zh": TEXTS,
        "word_en": TEXTS,
        "by": st.none() | ROLES,
    },
    "receipt": {
        "generation": UINTS,
        "stored": st.lists(EVENT_IDS, max_size=4).map(tuple),
        "duplicate": st.lists(EVENT_IDS, max_size=4).map(tuple),
        "rejected": st.lists(st.builds(messages.Rejection, id=EVENT_IDS, reason=st.just("clone")), max_size=4).map(
            tuple
        ),
        "holds": st.none() | HEADS,
    },
    "hello": {
        "generation": UINTS,
        "highest": st.lists(HEADS, max_size=4).map(tuple),
    },
    "audit": {"head": CHAINS, "follows": st.none() | CHAINS, "rewritten": st.booleans()},
    "command": PLACE
    | {
        "kind": st.sampled_from(kinds.Kind),
        "group": SEGMENTS,
        "session": SESSIONS,
        "counter": UINTS,
        "action": st.sampled_from(Action),
        "alarm": EVENT_IDS,
        "state": st.sampled_from(kinds.LadderState),
        "by": ROLES,
        "units": st.lists(SEGMENTS, max_size=4).map(tuple),
        "lasts_ms": st.integers(0, messages.LONGEST_DRILL_MS),
    },
    "config": {
        "version": UINTS,
        "part": UINTS,
        "parts": st.integers(1, 10_000),
        "sha256": DIGESTS,
        "data": st.from_regex(r"[A-Za-z0-9_-]{0,99}", fullmatch=True),
    },
    "gateway_status": {
        "gateway": SEGMENTS,
        "online": st.booleans(),
        "generation": UINTS,
        "session": SESSIONS,
        "epoch": EPOCHS,
        "head": UINTS,
        "digest": DIGESTS,
        "low": UINTS,
        "clock": CLOCKS,
        "queued": UINTS,
        "faults": st.lists(WORDS, max_size=4).map(tuple),
        "register_version": st.none() | UINTS,
        "sealing_key": st.none() | DIGESTS,
        "audit": st.none() | CHAINS,
    },
    "station_status": {"online": st.booleans(), "generation": UINTS},
}

ROW_OF: Final = {type_: row for row in TABLE for type_ in row.bodies}


def body_of(type_: str, station: str, owner: str, fields: Mapping[str, Any]) -> Body:
    row = ROW_OF[type_]
    topic = build(row.name, StationId(station), owner if row.owner else "")
    mine = {"gateway": owner} if "gateway" in fields and type_ in {"event", "gateway_status"} else {}
    return BODIES[type_].model_validate({"topic": topic, "audience": audience_of(topic), **fields, **mine})


def bodies(type_: str) -> st.SearchStrategy[Body]:
    fields = st.fixed_dictionaries({"id": EVENT_IDS, "age_ms": UINTS, **OWN_FIELDS[type_]})
    return st.builds(body_of, st.just(type_), SEGMENTS, SEGMENTS, fields)


ANY_BODY = st.sampled_from(sorted(BODIES)).flatmap(bodies)

_BIG = 2**53 - 1
_ID = event_id(2**48 - 1, b"\xff" * 10)
_TEXT = "\U0001f6a8" * 96  # four octets a character; nothing that a text may hold takes more
_WORD = "w" * 32
_SEG = "s" * 32
_HEAD = {"epoch": "f" * 16, "seq": _BIG, "chain": {"seq": _BIG, "digest": "f" * 64}}
_PLACE = {"kind": "unverified", "place": _SEG, "group": _SEG, "door": 9_999, "label": _TEXT, "mark": "drill"}
_UNIT = {"unit": _SEG, "press": f"{_SEG}:65535:4294967295", "reason": _WORD}

LARGEST: Final[Mapping[str, Mapping[str, object]]] = {
    "event": _PLACE
    | _UNIT
    | {
        "gateway": _SEG,
        "epoch": "f" * 16,
        "seq": _BIG,
        "event": "fault_restored",
        "at_ms": _BIG,
        "mono_us": _BIG,
        "boot": "f" * 36,
        "clock": "unsynced",
        "verified": False,
        "detail": {f"{index:032}": _TEXT for index in range(messages.MAX_DETAILS)},
    },
    "alarm": _PLACE
    | _UNIT
    | {
        "word_zh": _TEXT,
        "word_en": _TEXT,
        "gateway": _SEG,
        "verified": False,
        "at_ms": _BIG,
        "clock": "unsynced",
        "quiet": True,
    },
    "update": {"alarm": _ID, "state": "cancelled_by_household", "word_zh": _TEXT, "word_en": _TEXT, "by": _WORD},
    "receipt": {
        "generation": _BIG,
        "rejected": [{"id": _ID, "reason": "r" * 16}] * messages.MAX_RESULTS,
        "holds": _HEAD,
    },
    "hello": {"generation": _BIG, "highest": [_HEAD] * messages.MAX_EPOCHS},
    "audit": {"head": _HEAD["chain"], "follows": _HEAD["chain"], "rewritten": True},
    "command": _PLACE
    | {
        "session": "f" * 32,
        "counter": _BIG,
        "action": "stand_back",
        "alarm": _ID,
        "state": "police_not_reached",
        "by": _WORD,
        "quiet": True,
        "units": [_SEG] * messages.MAX_DRILL_UNITS,
        "lasts_ms": messages.LONGEST_DRILL_MS,
    },
    "config": {
        "version": _BIG,
        "part": 9_999,
        "parts": 10_000,
        "sha256": "f" * 64,
        "data": "x" * messages.CONFIG_PART_CHARS,
    },
    "gateway_status": {
        "gateway": _SEG,
        "online": False,
        "generation": _BIG,
        "session": "f" * 32,
        "epoch": "f" * 16,
        "head": _BIG,
        "digest": "f" * 64,
        "low": _BIG,
        "clock": "unsynced",
        "queued": _BIG,
        "faults": [_WORD] * messages.MAX_FAULTS,
        "register_version": _BIG,
        "sealing_key": "f" * 64,
        "audit": _HEAD["chain"],
    },
    "station_status": {"online": False, "generation": _BIG},
}


def largest(type_: str, to_json: Callable[[object], bytes]) -> Body:
    """The largest body of its type: every optional field set, every text and list as long as it may be."""
    row = ROW_OF[type_]
    topic = build(row.name, StationId(_SEG), _SEG if row.owner else "")
    head = {"v": 1, "type": type_, "topic": topic, "audience": audience_of(topic), "id": _ID, "age_ms": _BIG}
    return messages.parse_body(to_json({**head, **LARGEST[type_]}))
