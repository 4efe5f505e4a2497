"""The checker: what happened, as sets, from evidence outside the product; and what must be empty.

P pressed       what the units say that they meant to tell (their own diaries)
C confirmed     what they were told is kept (their diaries)
J journalled    rows of the gateway's journal file
S stored        rows of the station's inbox, and its alarms over HTTP
D[x] delivered  what audience x got at the broker (a mosquitto_sub with x's own account)
R[u] rung       what the sounder of unit u played, and which doors it named (diaries)

A numbered message is known by `unit:boot:number`. In every verdict these must be empty, whatever was killed: lost
(C - J and C - S), phantom (J - P, S - P, D - P), leaked (D[x] and R[u] outside the audience), rung twice, disordered.
`untold` and `unrung` tell who should have learned and did not: empty where everything is back and has had its time.
"""

import json
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faults.audiences import DOORS, may_know, may_read, may_sound, own_topics

MOST_DOORS = 4
ANSWERED_NS = 10_000_000_000
"""A card is answered within 5 s of being held to a unit, an unknown one by a second tone a little later."""
"""A siren frame names so many doors; a further one pushes the oldest out."""
UNKEPT = {"heartbeat"}
PRUNED = "pruned"
"""The type of a row of which the gateway keeps the place and the digest, and no words any more."""
"""Messages that are answered without being kept."""

Events = Sequence[Mapping[str, Any]]
"""What the simulator told, in order: entries of the units' diaries."""


class Damaged(Exception):
    """The journal's file is not whole."""


@dataclass(frozen=True, slots=True)
class Message:
    """One numbered message of a unit: a press, a check-in, or anything else that it repeats until it is kept."""

    key: str
    unit: str
    what: str
    at_ns: int
    press: str | None = None
    """The key that was pressed, where it is a press."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event, in the gateway's journal or in the station's inbox. `message` as far as the table tells."""

    epoch: str
    seq: int
    id: str
    type: str
    message: str | None
    verified: bool = True
    body: Mapping[str, Any] = field(default_factory=dict)
    """All of it, where it was sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that reached an audience."""

    topic: str
    retained: bool
    body: Mapping[str, Any]

    @property
    def about(self) -> str:
        """The id of the alarm that it is about."""
        return str(self.body.get("alarm") if self.body.get("type") == "update" else self.body.get("id"))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was found."""

    events: Events
    journal: Sequence[Row]
    inbox: Sequence[Row]
    alarms: Sequence[str] = ()
    """Event ids that opened an alarm, as the station tells over HTTP."""
    delivered: Mapping[str, Sequence[Delivery]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Verdict:
    """What should not be. `copies` counts messages that came again (at least once is allowed, and is counted)."""

    lost: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    rung_twice: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    unrung: list[str] = field(default_factory=list)
    copies: int = 0

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What may never be, whatever was killed."""
        named = ("lost", "phantom", "leaked", "rung_twice", "disordered")
        return {name: found for name in named if (found := getattr(self, name))}

    @property
    def missing(self) -> dict[str, list[str]]:
        """Who should have learned and did not."""
        return {name: found for name in ("untold", "unrung") if (found := getattr(self, name))}


def judge(evidence: Evidence) -> Verdict:
    """Compare the sets."""
    verdict = Verdict()
    said = pressed(evidence.events)
    kept = confirmed(evidence.events)
    journalled = {row.message: row for row in evidence.journal if row.message is not None}
    by_id = {row.id: row for row in evidence.journal}
    stored = {by_id[row.id].message if row.id in by_id else row.message for row in evidence.inbox}

    verdict.lost += [f"{key}: confirmed, and in no journal" for key in kept if key not in journalled]
    verdict.lost += [f"{key}: confirmed, and not at the station" for key in kept if key not in stored]
    verdict.lost += [
        f"{row.message}: stored as {row.type}, and no alarm"
        for row in evidence.inbox
        if row.type in {"press", "unverified"} and row.id not in evidence.alarms
    ]
    verdict.phantom += [f"{key}: journalled, and nobody said it" for key in journalled if key not in said]
    verdict.phantom += [f"{row.id}: stored, and in no journal" for row in evidence.inbox if row.id not in by_id]
    verdict.phantom += [f"{row.message}: not believed" for row in evidence.journal if not row.verified]
    verdict.phantom += _opened_twice(evidence)
    verdict.disordered += _disordered(evidence, said, kept)
    presses = {key: message for key, message in said.items() if message.press is not None}
    _judge_deliveries(evidence, presses, verdict)
    _judge_sirens(evidence, presses, kept, verdict)
    return verdict


def pressed(events: Events) -> dict[str, Message]:
    """P: what the units meant to tell, presses among it."""
    said: dict[str, Message] = {}
    for event in events:
        if event["event"] in {"pressed", "said"} and event.get("what") not in UNKEPT:
            key = _key(event)
            what = event.get("what", "press")
            said[key] = Message(key, event["unit"], what, event["at_ns"], event.get("key"))
    return said


def confirmed(events: Events) -> dict[str, int]:
    """C: what the units were told is kept, and when."""
    return {
        _key(event): event["at_ns"] for event in events if event["event"] == "confirmed" and event["what"] not in UNKEPT
    }


def given_up(events: Events) -> set[str]:
    """What the units had no room for: they hold 64 messages while nobody answers, and nobody was told otherwise."""
    return {_key(event) for event in events if event["event"] == "given_up" and event["what"] not in UNKEPT}


def _key(event: Mapping[str, Any]) -> str:
    return f"{event['unit']}:{event['boot']}:{event['number']}"


def _opened_twice(evidence: Evidence) -> Iterable[str]:
    """One press is one alarm, however often it was sent (N3)."""
    messages = {row.id: row.message for row in evidence.journal}
    opened = [messages.get(alarm) for alarm in evidence.alarms]
    yield from (f"{key}: opened {opened.count(key)} alarms" for key in set(opened) if key and opened.count(key) > 1)
    keys = [row.message for row in evidence.journal if row.message is not None]
    yield from (f"{key}: journalled {keys.count(key)} times" for key in set(keys) if keys.count(key) > 1)


def _disordered(evidence: Evidence, said: Mapping[str, Message], kept: Mapping[str, int]) -> Iterable[str]:
    """The order of each unit: what was kept before the next was pressed stands before it; the station agrees."""
    places = {row.message: (row.epoch, row.seq) for row in evidence.journal if row.message is not None}
    last: dict[str, list[Message]] = defaultdict(list)
    for message in sorted(said.values(), key=lambda message: message.at_ns):
        place = places.get(message.key)
        if place is None:
            continue
        for before in last[message.unit][-20:]:
            earlier = places[before.key]
            if kept.get(before.key, message.at_ns) < message.at_ns and earlier[0] == place[0] and earlier > place:
                yield f"{before.key} was kept before {message.key} was said, and stands behind it"
        last[message.unit].append(message)
    journal = {row.id: (row.epoch, row.seq) for row in evidence.journal}
    for row in evidence.inbox:
        if journal.get(row.id, (row.epoch, row.seq)) != (row.epoch, row.seq):
            yield f"{row.id}: {row.seq} at the station, {journal[row.id][1]} in the journal"


def _judge_deliveries(evidence: Evidence, presses: Mapping[str, Message], verdict: Verdict) -> None:
    """D: every audience got its alarms, on its own topics, with its own fields, and nothing else."""
    messages = {row.id: row.message for row in (*evidence.inbox, *evidence.journal)}
    learned: dict[str, set[str]] = defaultdict(set)
    for audience, deliveries in evidence.delivered.items():
        seen: dict[str, set[str]] = defaultdict(set)
        for delivery in deliveries:
            where = f"{audience} got {delivery.body.get('type')} {delivery.about} on {delivery.topic}"
            if delivery.topic not in own_topics(audience):
                verdict.leaked.append(f"{where}: not its topic")
            press = presses.get(messages.get(delivery.about) or "")
            if press is None or press.press is None:
                verdict.phantom.append(f"{where}: nobody pressed that")
                continue
            if audience not in may_know(press.unit, press.press):
                verdict.leaked.append(f"{where}: {press.press} at {press.unit} is not for it")
            if delivery.body.get("type") != "alarm":
                continue
            if surplus := delivery.body.keys() - may_read(audience):
                verdict.leaked.append(f"{where}: it reads {', '.join(sorted(surplus))}")
            if delivery.retained:
                verdict.rung_twice.append(f"{where}: retained, so that it rings whoever comes")
            verdict.copies += delivery.about in seen[press.key]
            seen[press.key].add(delivery.about)
            learned[press.key].add(audience)
        verdict.rung_twice += [f"{audience}: {key} under {len(ids)} ids" for key, ids in seen.items() if len(ids) > 1]
    for key in confirmed(evidence.events):
        press = presses.get(key)
        if press is not None and press.press is not None:
            should = may_know(press.unit, press.press) & evidence.delivered.keys()
            verdict.untold += [f"{audience}: {key}" for audience in sorted(should - learned[key])]


def _judge_sirens(
    evidence: Evidence, presses: Mapping[str, Message], kept: Mapping[str, int], verdict: Verdict
) -> None:
    """R: who sounded had the right to, for a press that there was, and began once for each."""
    for unit in DOORS:
        rung: set[str] = set()
        playing: set[int] = set()
        for event in evidence.events:
            if event.get("unit") != unit:
                continue
            match event["event"]:
                case "siren_stopped" | "power_lost":
                    playing = set()
                case "siren" if _answers_a_card(event, evidence.events):
                    playing = set()
                case "siren" | "siren_changed":
                    doors = set(event["doors"])
                    pressed_there = {
                        door: [one for one in presses.values() if DOORS[one.unit] == door and _before(one, event)]
                        for door in doors
                    }
                    _judge_sound(event, playing, pressed_there, rung, verdict)
                    playing = doors
        for key in kept:
            press = presses.get(key)
            if press is None or unit not in _may_sound(press) or key in rung:
                continue
            if not _plays_at(evidence.events, unit, DOORS[press.unit], press.at_ns):
                verdict.unrung.append(f"{unit}: {key}")


def _judge_sound(
    event: Mapping[str, Any],
    playing: set[int],
    pressed_there: Mapping[int, Sequence[Message]],
    rung: set[str],
    verdict: Verdict,
) -> None:
    """One siren order that a unit carried out. `rung`: the presses that it has sounded for before."""
    unit = event["unit"]
    began = event["event"] == "siren" or (pressed_there.keys() - playing and len(playing) < MOST_DOORS)
    wanted = {
        door: [press.key for press in presses if unit in _may_sound(press)] for door, presses in pressed_there.items()
    }
    for door, presses in pressed_there.items():
        if not presses:
            verdict.phantom.append(f"{unit} names door {door}, where nobody pressed")
        elif not wanted[door]:
            verdict.leaked.append(f"{unit} names door {door}, and may not know of it")
    meant = {key for keys in wanted.values() for key in keys}
    if event["event"] == "siren" and not pressed_there:
        verdict.phantom.append(f"{unit} sounds, and names no door")
    elif began and meant and meant <= rung:
        verdict.rung_twice.append(f"{unit} began again for {', '.join(sorted(meant))}")
    rung |= meant


def _answers_a_card(event: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether this is the short tone by which a unit says that a card was kept: only where one was just held to it."""
    return event.get("pattern") == "chirp" and any(
        one["event"] == "said" and one["what"] == "tag" and one["unit"] == event["unit"]
        and 0 <= event["at_ns"] - one["at_ns"] < ANSWERED_NS
        for one in events
    )  # fmt: skip


def _before(press: Message, event: Mapping[str, Any]) -> bool:
    return bool(press.at_ns <= event["at_ns"])


def _may_sound(press: Message) -> frozenset[str]:
    return frozenset() if press.press is None else may_sound(press.unit, press.press)


def _plays_at(events: Events, unit: str, door: int, at_ns: int) -> bool:
    """Whether `unit` was naming `door` already when somebody pressed there again."""
    doors: Sequence[int] = ()
    for event in events:
        if event.get("unit") != unit or event["at_ns"] > at_ns:
            continue
        if event["event"] in {"siren", "siren_changed"}:
            doors = event["doors"]
        elif event["event"] in {"siren_stopped", "power_lost"}:
            doors = ()
    return door in doors


# Where the evidence lies


def read_journal(state: Path) -> list[Row]:
    """Every event of the gateway's journal, and of those that were set aside, from a copy of the files.

    A running gateway holds its journal exclusively; a copy of file and log together reads like one after a crash.
    """
    rows: list[Row] = []
    for path in sorted(state.glob("journal.db*")):
        if path.name.endswith(("-wal", "-shm", "-journal")):
            continue
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "journal.db"
            for suffix in ("", "-wal"):
                if path.with_name(path.name + suffix).exists():
                    shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
            rows += _rows_of_journal(copy)
    return rows


def recall(rows: Sequence[Row], noted: dict[str, Row]) -> list[Row]:
    """The rows with the words that they had when they were looked at before; `noted` keeps them, by id."""
    noted |= {row.id: row for row in rows if row.type != PRUNED}
    return [noted.get(row.id, row) for row in rows]


def _rows_of_journal(path: Path) -> list[Row]:
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("PRAGMA integrity_check").fetchone()
        if found != ("ok",):
            raise Damaged(found)
        (epoch,) = db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        found = db.execute("SELECT seq, id, payload, message FROM event ORDER BY seq").fetchall()
    rows = []
    for seq, id_, payload, message in found:
        if payload is None:  # the station has it, and the words were let go of to make room
            rows.append(Row(epoch, seq, id_, PRUNED, message, True))
            continue
        event = json.loads(payload)
        rows.append(Row(epoch, seq, id_, event["type"], message, event.get("verified", True)))
    return rows


def open_deliveries(state: Path) -> list[str]:
    """Whom the gateway's journal still owes something, once for each event, sorted."""
    return sorted(target for _, target in read_deliveries(state))


def read_deliveries(state: Path) -> list[tuple[int, str]]:
    """What the gateway's journal still owes: lane and target of each."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "journal.db"
        for suffix in ("", "-wal"):
            if (state / f"journal.db{suffix}").exists():
                shutil.copyfile(state / f"journal.db{suffix}", copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as db:
            return [(int(lane), str(target)) for lane, target in db.execute("SELECT lane, target FROM delivery")]


def read_inbox(database: Path) -> list[Row]:
    """Every event in the station's inbox, oldest first, read beside the running station."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT epoch, seq, id, event, envelope FROM inbox ORDER BY received_ms, epoch, seq")
        rows = []
        for epoch, seq, id_, event, envelope in found:
            body = json.loads(envelope)["body"]
            message = body.get("press") if event == "press" else None
            rows.append(Row(epoch, seq, id_, event, message, body.get("verified", True), body))
        return rows
