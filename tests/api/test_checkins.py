"""Check-ins: every read is a row, with who, where and when as well as can be known; what is odd is kept and counted."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, select

from api.checkins.rules import (
    FLAG_WORDS,
    REPEAT_MS,
    SKEW_MS,
    STALE_MS,
    WHY_WORDS,
    CheckIn,
    Flag,
    Holders,
    Holding,
    Source,
    Why,
    moment_of_event,
    moment_of_upload,
    same,
    with_repeats,
    words_of,
)
from api.checkins.service import Checkins, Said, at_points, of_guard, positions
from api.database import Database
from api.guards.models import Guard, GuardCard, PatrolDuty, PatrolDutyMember
from api.patrols.models import Checkpoint
from api.rights.rules import Role
from api.workbooks import workbook
from broker import qr
from broker.ids import EventId, event_unix_ms, is_event_id
from broker.kinds import EventType
from broker.messages import GatewayEvent
from broker.tags import Tag, faces
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import STATION, Gateway, Maker
from tests.api.people import NOW, Hands, Somebody, somebody

HOUR = 3_600_000
ZHANG, LI = "00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b"
CARD, OTHER, SHORT = "100086F444", "620086F444", "86F444"
"""Two cards of 40 bits with the same last 24, and these 24."""


def check_in(number: int, at_ms: int, **more: Any) -> CheckIn:
    values: dict[str, Any] = {
        "id": f"{number:036}",
        "guard": ZHANG,
        "tag": CARD,
        "point": "gate",
        "source": Source.FIXED_READER,
        "at_ms": at_ms,
        "device_ms": at_ms,
        "server_ms": at_ms,
        "skew_ms": None,
        "flags": frozenset(),
    }
    return CheckIn(**values | more)


def holding(tag: str, guard: str, from_ms: int = 0, to_ms: int | None = None, *, lost: bool = False) -> Holding:
    return Holding(Tag(tag), guard, None, from_ms, to_ms, lost)


@pytest.mark.proves("P1")
class TestWeight:
    def test_a_fixed_reader_weighs_most_and_words_least(self) -> None:
        weights = [source.weight for source in Source]
        assert weights == sorted(weights, reverse=True)
        assert Source.WITNESS.weight == Source.RADIO.weight > 0

    def test_every_flag_and_reason_has_words_in_two_languages(self) -> None:
        assert {*FLAG_WORDS} == {*Flag}
        assert {*WHY_WORDS} == {*Why}
        assert [one.en for one in words_of({"repeat", "future"})] == ["again within 3 minutes", "a time in the future"]


@pytest.mark.proves("P1")
class TestClocks:
    def test_a_gateway_whose_clock_is_set_is_believed(self) -> None:
        found = moment_of_event(device_ms=NOW - 60_000, age_ms=5, synced=True, server_ms=NOW)
        assert (found.at_ms, found.flags) == (NOW - 60_000, frozenset())

    def test_without_a_clock_the_age_tells_the_time(self) -> None:
        found = moment_of_event(device_ms=12, age_ms=60_000, synced=False, server_ms=NOW)
        assert (found.at_ms, found.flags) == (NOW - 60_000, frozenset({Flag.UNSET_CLOCK}))

    def test_a_phone_that_is_an_hour_ahead_is_corrected_by_what_it_says_now(self) -> None:
        hour = 3_600_000
        found = moment_of_upload(device_ms=NOW + hour - 600_000, device_now_ms=NOW + hour, server_ms=NOW)
        assert (found.at_ms, found.skew_ms, found.flags) == (NOW - 600_000, hour, frozenset({Flag.SKEWED}))

    def test_the_way_of_a_message_is_no_skew(self) -> None:
        found = moment_of_upload(device_ms=NOW - 600_000, device_now_ms=NOW - SKEW_MS, server_ms=NOW)
        assert (found.at_ms, found.skew_ms, found.flags) == (NOW - 600_000, -SKEW_MS, frozenset())

    def test_the_future_and_yesterday_are_flagged_and_kept_as_they_are(self) -> None:
        later = moment_of_event(device_ms=NOW + 60_000, age_ms=0, synced=True, server_ms=NOW)
        older = moment_of_event(device_ms=NOW - STALE_MS - 1, age_ms=0, synced=True, server_ms=NOW)
        assert (later.at_ms, later.flags) == (NOW + 60_000, frozenset({Flag.FUTURE}))
        assert (older.at_ms, older.flags) == (NOW - STALE_MS - 1, frozenset({Flag.STALE}))


@pytest.mark.proves("P1")
class TestWhose:
    def test_a_card_is_whoevers_it_was_at_that_time(self) -> None:
        holders = Holders([holding(CARD, ZHANG, 0, 100), holding(CARD, LI, 100)])
        assert [holders.find(CARD, at).guard for at in (0, 99, 100, 10_000)] == [ZHANG, ZHANG, LI, LI]

    def test_another_reader_gives_the_same_card_with_fewer_bits(self) -> None:
        found = Holders([holding(CARD, ZHANG)]).find(SHORT, 5)
        assert (found.guard, found.flags) == (ZHANG, frozenset({Flag.BY_24}))

    def test_what_two_cards_end_in_is_neither_and_that_is_said(self) -> None:
        holders = Holders([holding(CARD, ZHANG), holding(OTHER, LI)])
        found = holders.find(SHORT, 5)
        assert (found.guard, found.why, found.flags) == (None, Why.AMBIGUOUS, frozenset({Flag.AMBIGUOUS}))
        assert holders.find(CARD, 5).guard == ZHANG

    @pytest.mark.parametrize(
        ("tag", "at_ms", "why", "flag"),
        [
            ("AABBCCDDEE", 5, Why.NOT_ENROLLED, Flag.UNKNOWN_TAG),
            ("not a tag", 5, Why.UNREADABLE, Flag.UNKNOWN_TAG),
            ("0000000000", 5, Why.UNREADABLE, Flag.UNKNOWN_TAG),
            (CARD, 100, Why.LOST, Flag.LOST_CARD),
            (CARD, 5, Why.NOT_THEN, Flag.UNKNOWN_GUARD),
        ],
    )
    def test_whoever_cannot_be_found_has_a_reason(self, tag: str, at_ms: int, why: Why, flag: Flag) -> None:
        found = Holders([holding(CARD, ZHANG, 10, 100, lost=True)]).find(tag, at_ms)
        assert (found.guard, found.why, found.flags) == (None, why, frozenset({flag}))


@pytest.mark.proves("P1")
class TestRepeats:
    def test_again_within_three_minutes_is_the_same_visit(self) -> None:
        times = [0, 60_000, 60_000 + REPEAT_MS - 1, 60_000 + 2 * REPEAT_MS]
        found = with_repeats([check_in(number, at) for number, at in enumerate(times)])
        assert [Flag.REPEAT.value in one.flags for one in found] == [False, True, True, False]

    def test_another_guard_or_another_checkpoint_is_another_visit(self) -> None:
        found = with_repeats([check_in(1, 0), check_in(2, 1, guard=LI), check_in(3, 2, point="pump")])
        assert not any(one.flags for one in found)

    def test_who_is_not_known_repeats_nobody(self) -> None:
        unknown = {"guard": None, "source": Source.WAND}
        assert not any(one.flags for one in with_repeats([check_in(1, 0, **unknown), check_in(2, 1, **unknown)]))

    @given(st.lists(st.integers(0, 10 * REPEAT_MS), max_size=12), st.integers(0, 10 * REPEAT_MS))
    def test_one_that_comes_late_changes_only_the_three_minutes_after_it(self, times: list[int], late: int) -> None:
        before = with_repeats([check_in(number, at) for number, at in enumerate(times, 1)])
        after = {one.id: one for one in with_repeats([*before, check_in(0, late)])}
        changed = [one for one in before if after[one.id].flags != one.flags]
        assert all(late <= one.at_ms < late + REPEAT_MS for one in changed)

    def test_the_same_parts_are_the_same_id_of_the_length_of_one(self) -> None:
        assert same(NOW, "a", None, 1) == same(NOW, "a", None, 1) != same(NOW, "a", 1)
        assert same(NOW, "a") != same(NOW + 1, "a")
        assert is_event_id(same(NOW, "a"))

    @given(st.integers(0, 1 << 47), st.integers(1, 1 << 47), st.text(), st.text())
    def test_such_ids_are_in_order_of_time_as_those_of_gateways_are(
        self, at_ms: int, later_ms: int, one: str, other: str
    ) -> None:
        assert same(at_ms, one) < same(at_ms + later_ms, other)
        assert event_unix_ms(EventId(same(at_ms, one))) == at_ms

    def test_an_impossible_time_has_an_id_too(self) -> None:
        assert is_event_id(same(-5, "a"))
        assert is_event_id(same(1 << 60, "a"))


def person(session: Session, id_: str, card: str, *, from_ms: int = 0, **more: Any) -> None:
    session.add(Guard(id=id_, station=STATION, force="guard", area=STATION, made_by="li", made_ms=1, **more))
    session.flush()
    give(session, id_, card, from_ms=from_ms)


def give(session: Session, guard: str, card: str, *, from_ms: int = 0) -> None:
    low24 = faces(Tag(card)).low24
    session.add(GuardCard(station=STATION, guard=guard, tag=card, low24=low24, from_ms=from_ms, made_by="li"))
    session.flush()


class Made:
    """Check-ins on a database without a station around them."""

    def __init__(self, served: Served) -> None:
        self.told: list[CheckIn] = []
        self.unsaid: list[CheckIn] = []
        self._served = served
        self.hands = Hands()
        self.database: Database = served.station.database
        self.maker = Maker("g1", epoch="00000000000000e1", salt=0)
        self.checkins = Checkins(
            served.station.register,
            clock=self.hands,
            readers=lambda _session, _readers: {("g1", "gate-reader"): "gate"},
            consequences=(self._hear,),
            unsaid=(lambda _, check_ins: self.unsaid.extend(check_ins),),
        )

    def _hear(self, _session: Session, check_ins: Sequence[CheckIn]) -> None:
        self.told += check_ins

    def unknown(self) -> list[tuple[Any, ...]]:
        return self._served.rows("SELECT tag, why, times, settled FROM unknown_tag ORDER BY number")

    def event(self, tag: str, **more: Any) -> GatewayEvent:
        values = {"unit": "gate-reader", "at_ms": NOW, "detail": {"tag": tag}} | more
        return self.maker.event(EventType.CHECK_IN, **values)

    def absorb(self, *events: GatewayEvent) -> list[CheckIn]:
        self.told.clear()
        with self.database.write() as session:
            self.checkins.absorb(session, events, NOW)
        return [*self.told]


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


@pytest.fixture
def made(station: Served) -> Made:
    found = Made(station)
    with found.database.write() as session:
        person(session, ZHANG, CARD)
    return found


@pytest.mark.proves("P1")
@only_sqlite
def test_a_code_on_a_card_says_where_at_a_reader_that_hangs_nowhere_and_weighs_as_a_code(
    station: Served, leader: Somebody
) -> None:
    for point in ("east", "west"):
        reader = {"gateway": "g1", "reader": "rd1"} if point == "east" else {}
        leader.post("/api/v1/checkpoints", {"id": point, "area": "gr1", "name": point, **reader}, status=201)
    code = leader.get("/api/v1/checkpoints/west/code")["code"]
    maker = Maker("g1", epoch="00000000000000e1", salt=0)

    def held(reader: str, code: str, number: int) -> tuple[Any, ...]:
        now = NOW + number * HOUR
        event = maker.event(EventType.CHECK_IN, unit=reader, at_ms=now, detail={"tag": CARD, "code": code})
        with station.station.database.write() as session:
            station.station.checkins.absorb(session, [event], now)
        rows = station.rows("SELECT source, guard, point, flags FROM check_in ORDER BY number DESC LIMIT 1")
        return tuple(rows[0])

    with station.station.database.write() as session:
        person(session, ZHANG, CARD)
    assert held("rd1", code, 1) == ("fixed_reader", ZHANG, "east", "")
    assert held("rd9", code, 2) == ("qr", ZHANG, "west", "")
    assert held("rd9", code[:-1] + ("0" if code[-1] != "0" else "1"), 3) == (
        "fixed_reader", ZHANG, None, "unknown_point unverified",
    )  # fmt: skip
    leader.post("/api/v1/checkpoints/west/code/end")
    with station.station.database.write() as session:
        station.station.checkins.look_again(session, Tag(CARD), from_ms=0)
    assert station.rows("SELECT point FROM check_in ORDER BY number") == [("east",), ("west",), (None,)]


@pytest.mark.proves("P1")
@only_sqlite
def test_a_wired_button_is_weak_and_was_pressed_by_whoever_was_there_alone(
    station: Served, leader: Somebody, guard: Somebody
) -> None:
    del guard  # he is on duty
    reader = {"gateway": "g1", "reader": "b1"}
    leader.post("/api/v1/checkpoints", {"id": "button", "area": "gr1", "name": "配电房", **reader}, status=201)
    maker = Maker("g1", epoch="00000000000000e1", salt=0)

    def press(number: int) -> tuple[Any, ...]:
        now = NOW + number * HOUR // 4
        event = maker.event(EventType.CHECK_IN, unit="b1", at_ms=now, detail={"button": True})
        with station.station.database.write() as session:
            station.station.checkins.absorb(session, [event], now)
        rows = station.rows("SELECT source, tag, guard, point, flags FROM check_in ORDER BY number DESC LIMIT 1")
        return tuple(rows[0])

    assert press(0) == ("button", None, ZHANG, "button", "")
    with station.station.database.write() as session:
        person(session, LI, OTHER)
        (duty,) = session.exec(select(PatrolDuty)).all()
        assert duty.number is not None
        session.add(
            PatrolDutyMember(duty=duty.number, guard=LI, from_ms=duty.from_ms, to_ms=duty.to_ms,
                             listed_to_ms=duty.to_ms, came="listed", made_by="li", made_ms=1)
        )  # fmt: skip
    assert press(1) == ("button", None, None, "button", "unknown_guard")
    assert press(40) == ("button", None, None, "button", "unknown_guard")
    assert Source.RADIO.weight < Source.BUTTON.weight < Source.POSITION.weight


@pytest.mark.proves("P1", "N2")
def test_a_read_is_a_row_when_its_receipt_arrives(served: Served, gateway: Gateway) -> None:
    """Through the broker: whoever hears that his event was stored finds its check-in."""
    events = [gateway.event(EventType.CHECK_IN, unit="gate-reader", detail={"tag": CARD}), gateway.event()]
    gateway.send(events)
    gateway.receipted(events)
    gateway.send(events[:1])
    gateway.until(lambda: len(gateway.outcomes()) == 2, "receipted")
    found = served.rows("SELECT id, source, gateway, reader, tag, guard FROM check_in")
    assert found == [(events[0].id, "fixed_reader", "g1", "gate-reader", CARD, None)]
    assert served.rows("SELECT tag, why, times FROM unknown_tag") == [(CARD, "not_enrolled", 1)]


@pytest.mark.proves("P1")
class TestAbsorbing:
    def test_who_where_and_when_is_kept_with_three_clocks(self, made: Made) -> None:
        (one,) = made.absorb(made.event(CARD, at_ms=NOW - 60_000))
        assert (one.guard, one.point, one.source, one.flags) == (ZHANG, "gate", Source.FIXED_READER, frozenset())
        assert (one.at_ms, one.device_ms, one.server_ms) == (NOW - 60_000, NOW - 60_000, NOW)
        with made.database.read() as session:
            assert of_guard(session, ZHANG, NOW - 60_000, NOW) == [one]
            assert at_points(session, {"gate"}, NOW - 60_000, NOW) == [one]
            assert of_guard(session, ZHANG, NOW - 59_999, NOW) == []

    def test_every_repeat_is_a_row_and_one_visit(self, made: Made) -> None:
        assert len(made.absorb(made.event(CARD), made.event(CARD, at_ms=NOW + 1_000))) == 2
        with made.database.read() as session:
            found = of_guard(session, ZHANG, NOW, NOW + 5_000)
            assert ["repeat" in one.flags for one in found] == [False, True]
            assert ["repeat" in one.flags for one in of_guard(session, ZHANG, NOW + 500, NOW + 5_000)] == [True]

    def test_what_nobody_knows_is_kept_and_counted(self, made: Made) -> None:
        found = made.absorb(
            made.event("AABBCCDDEE"), made.event("AABBCCDDEE"), made.event("noise"), made.event(CARD, unit="elsewhere")
        )
        assert [sorted(one.flags) for one in found] == [
            ["unknown_tag"],
            ["unknown_tag"],
            ["unknown_tag"],
            ["unknown_point"],
        ]
        assert made.absorb(made.event("AABBCCDDEE"))
        assert {*made.unknown()} == {("AABBCCDDEE", "not_enrolled", 3, None), ("noise", "unreadable", 1, None)}

    def test_the_same_upload_twice_is_once(self, made: Made) -> None:
        said = Said(id=same(NOW, "x"), source=Source.WAND, tag=CARD, at_ms=NOW, device_ms=NOW)
        with made.database.write() as session:
            assert len(made.checkins.add(session, [said, said], NOW)) == 1
            assert made.checkins.add(session, [said], NOW + 9) == []

    def test_whoever_gets_a_card_gets_what_was_checked_in_with_it_since(self, made: Made) -> None:
        made.absorb(made.event(OTHER, at_ms=NOW - 5_000), made.event(OTHER, at_ms=NOW - 1_000))
        made.told.clear()
        with made.database.write() as session:
            person(session, LI, OTHER, from_ms=NOW - 2_000)
            changed = made.checkins.look_again(session, Tag(OTHER), from_ms=NOW - 2_000)
        assert [(one.guard, one.at_ms, one.flags) for one in changed] == [(LI, NOW - 1_000, frozenset())]
        assert made.told == changed
        assert made.unknown() == [(OTHER, "not_enrolled", 2, "enrolled")]

    def test_a_card_that_was_lost_an_hour_ago_was_nobodys_since(self, made: Made) -> None:
        made.absorb(made.event(CARD))
        made.told.clear()
        with made.database.write() as session:
            (row,) = session.exec(select(GuardCard)).all()
            row.to_ms, row.ended = NOW - 3_600_000, "lost"
            session.add(row)
            session.flush()
            (changed,) = made.checkins.look_again(session, Tag(CARD), from_ms=NOW - 3_600_000)
        assert (changed.guard, changed.flags) == (None, frozenset({"lost_card"}))
        assert [(one.guard, one.flags) for one in made.told] == [(None, frozenset({"lost_card"}))]
        assert [one.guard for one in made.unsaid] == [ZHANG]

    def test_a_reader_that_is_given_a_checkpoint_says_where_they_were(self, made: Made) -> None:
        made.absorb(made.event(CARD, unit="elsewhere"))
        with made.database.write() as session:
            (one,) = made.checkins.read_at(session, "g1", "elsewhere", point="pump", from_ms=NOW - 1)
        assert (one.point, one.flags) == ("pump", frozenset())


@pytest.fixture
def leader(station: Served) -> Somebody:
    """Somebody who looks after the whole station, where there are three checkpoints."""
    with station.station.database.write() as session:
        for point in ("gate", "pump", "hall"):
            session.add(Checkpoint(id=point, station=STATION, area=STATION, name=point, from_ms=1, made_by="li"))
    return somebody(station, "leader", Role.DUTY_LEADER, STATION)


@pytest.fixture
def guard(station: Served) -> Somebody:
    """Zhang with his phone, on duty from an hour ago for eight hours."""
    who = somebody(station, "zhang", Role.GUARD, "company-1")
    with station.station.database.write() as session:
        person(session, ZHANG, CARD, account="zhang")
        duty = PatrolDuty(station=STATION, area=STATION, shift="night", from_ms=NOW - HOUR, to_ms=NOW + 8 * HOUR,
                          made_by="li", made_ms=1)  # fmt: skip
        session.add(duty)
        session.flush()
        assert duty.number is not None
        session.add(
            PatrolDutyMember(duty=duty.number, guard=ZHANG, from_ms=duty.from_ms, to_ms=duty.to_ms,
                             listed_to_ms=duty.to_ms, came="listed", made_by="li", made_ms=1)
        )  # fmt: skip
    return who


def at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat()


TYPED = "04416D412B0289"


def item(key: str, ms: int, **more: Any) -> dict[str, Any]:
    return {"key": key, "how": "nfc_phone", "written": "04:41:6D:41:2B:02:89", "at": at(ms)} | more


@pytest.mark.proves("P1")
@only_sqlite
class TestTags:
    def test_a_tag_is_enrolled_as_it_is_printed_and_shown_with_its_faces(self, leader: Somebody) -> None:
        made = leader.post("/api/v1/checkpoint-tags", {"tag": "0008844356", "point": "gate"}, status=201)
        assert (made["tag"], made["facility_number"], made["shares_24"]) == ("0086F444", "134,62532", [])

    def test_what_may_be_an_enrolled_tag_is_refused_and_said(self, leader: Somebody) -> None:
        leader.post("/api/v1/checkpoint-tags", {"tag": CARD, "point": "gate"}, status=201)
        said = leader.post("/api/v1/checkpoint-tags", {"tag": SHORT, "point": "pump"}, status=409)
        assert (said["type"], said["candidates"]) == ("tag_taken", [CARD])
        other = leader.post("/api/v1/checkpoint-tags", {"tag": OTHER, "point": "pump"}, status=201)
        assert other["shares_24"] == [CARD], "from now on neither is found by 24 bits, and that is said"
        assert leader.post("/api/v1/checkpoint-tags", {"tag": SHORT, "point": "hall"}, status=409)["candidates"] == [
            CARD,
            OTHER,
        ]
        leader.post("/api/v1/checkpoint-tags", {"tag": "620086F445", "point": "nowhere"}, status=404)
        assert leader.post("/api/v1/checkpoint-tags", {"tag": "gate", "point": "hall"}, status=422)["type"] == "no_tag"

    def test_a_tag_that_moved_is_elsewhere_from_then_on(self, leader: Somebody) -> None:
        old = leader.post("/api/v1/checkpoint-tags", {"tag": CARD, "point": "gate"}, status=201)
        leader.post("/api/v1/checkpoint-tags/99/end", {"how": "moved"}, status=404)
        ended = leader.post(f"/api/v1/checkpoint-tags/{old['number']}/end", {"how": "moved"})
        assert (ended["ended"], ended["until"] is None) == ("moved", False)
        new = leader.post("/api/v1/checkpoint-tags", {"tag": CARD, "point": "pump"}, status=201)
        listed = leader.get("/api/v1/checkpoint-tags", still=True)["items"]
        assert [one["number"] for one in listed] == [new["number"]]

    def test_somebody_of_one_grid_does_not_look_after_the_stations_tags(self, station: Served) -> None:
        one = somebody(station, "grid-officer", Role.OFFICER, "r1")
        one.get("/api/v1/checkpoint-tags", status=404)
        one.get("/api/v1/unknown-tags", status=404)


@pytest.mark.proves("P1")
@only_sqlite
class TestPhones:
    def test_what_waited_is_kept_once_with_the_clock_corrected(
        self, station: Served, guard: Somebody, leader: Somebody
    ) -> None:
        leader.post(
            "/api/v1/checkpoint-tags",
            {"tag": "04416D412B0289", "point": "gate", "since": at(NOW - HOUR)},
            status=201,
        )
        upload = {"now": at(NOW + HOUR), "items": [item("k-000001", NOW + HOUR - 600_000)]}
        first = guard.post("/api/v1/check-ins", upload)
        again = guard.post("/api/v1/check-ins", upload)
        assert first["skew_ms"] == HOUR
        assert [(one["point"], one["flags"], one["known"]) for one in first["items"]] == [("gate", ["skewed"], False)]
        assert [one["known"] for one in again["items"]] == [True]
        rows = station.rows("SELECT source, guard, point, at_ms, device_ms, server_ms, skew_ms FROM check_in")
        assert rows == [("nfc_phone", ZHANG, "gate", NOW - 600_000, NOW + HOUR - 600_000, NOW, HOUR)]
        (seen,) = leader.get("/api/v1/check-ins")["items"]
        assert (seen["weight"], [words["zh"] for words in seen["words"]]) == (60, ["设备时钟偏差, 已修正"])

    def test_off_duty_is_flagged_and_kept(self, guard: Somebody) -> None:
        upload = {"now": at(NOW), "items": [item("k-000001", NOW - 2 * HOUR)]}
        (one,) = guard.post("/api/v1/check-ins", upload)["items"]
        assert one["flags"] == ["off_shift", "unknown_point", "unknown_tag"]

    def test_a_code_is_believed_by_its_signature(self, guard: Somebody, leader: Somebody) -> None:
        code = leader.get("/api/v1/checkpoints/gate/code")["code"]
        items = [
            item("k-000001", NOW, how="qr", written=code),
            item("k-000002", NOW, how="qr", written=code.replace("gate", "pump")),
        ]
        good, bad = guard.post("/api/v1/check-ins", {"now": at(NOW), "items": items})["items"]
        assert (good["point"], good["flags"]) == ("gate", [])
        assert (bad["point"], bad["flags"]) == (None, ["unknown_point", "unverified"])

    def test_what_was_typed_in_weighs_as_a_picture_of_it_does_and_says_so(
        self, station: Served, guard: Somebody, leader: Somebody
    ) -> None:
        leader.post("/api/v1/checkpoint-tags", {"tag": TYPED, "point": "gate", "since": at(NOW - HOUR)}, status=201)
        upload = {"now": at(NOW), "items": [item("k-000001", NOW, how="typed", written=TYPED)]}
        (one,) = guard.post("/api/v1/check-ins", upload)["items"]
        assert (one["point"], one["flags"], one["words"][0]["zh"]) == ("gate", ["typed"], "手工输入标签号")
        assert station.rows("SELECT source, tag FROM check_in") == [("qr", TYPED)]

    def test_a_code_that_leaked_is_ended_and_one_scanned_before_that_counts_still(
        self, station: Served, guard: Somebody, leader: Somebody, hands: Hands
    ) -> None:
        old = leader.get("/api/v1/checkpoints/gate/code")
        hands.pass_(minutes=10)
        new = leader.post("/api/v1/checkpoints/gate/code/end")
        assert (old["version"], new["version"]) == (1, 2)
        assert leader.get("/api/v1/checkpoints/gate/code") == new
        hands.pass_(minutes=10)
        told = ((NOW, old), (NOW + 600_000, old), (NOW + 660_000, new))
        items = [
            item(f"k-{number:06}", at_ms, how="qr", written=code["code"]) for number, (at_ms, code) in enumerate(told)
        ]
        upload = {"now": at(hands.now_ms), "items": items}
        found = guard.post("/api/v1/check-ins", upload)["items"]
        assert [(one["point"], "unverified" in one["flags"]) for one in found] == [
            ("gate", False), (None, True), ("gate", False),
        ]  # fmt: skip
        done = station.rows("SELECT action, about FROM audit WHERE action = 'checkpoint_tag.edit'")
        assert done[-1] == ("checkpoint_tag.edit", "checkpoint:gate")

    def test_a_code_on_a_screen_weighs_more_for_a_minute_and_nothing_later(
        self, guard: Somebody, leader: Somebody, hands: Hands
    ) -> None:
        found = leader.post("/api/v1/checkpoints/gate/code/screen")
        key = bytes.fromhex(found["key"])
        shown = qr.rotating(found["point"], found["version"], key=key, at_s=NOW // 1_000)
        items = [
            item(f"k-{late_s:06}", NOW + late_s * 1_000, how="qr", written=shown) for late_s in (0, qr.WINDOW_S, 90)
        ]
        hands.pass_(seconds=90)
        answered = guard.post("/api/v1/check-ins", {"now": at(hands.now_ms), "items": items})["items"]
        assert [one["point"] for one in answered] == ["gate", "gate", None]
        seen = leader.get("/api/v1/check-ins")["items"]
        assert [(one["source"], one["weight"]) for one in seen] == [("qr", 40), ("qr_screen", 50), ("qr_screen", 50)]

    def test_whoever_is_no_guard_uploads_nothing(self, station: Served) -> None:
        other = somebody(station, "other", Role.GUARD, "company-1")
        other.post("/api/v1/check-ins", {"now": at(NOW), "items": [item("k-000001", NOW)]}, status=404)
        other.post(
            "/api/v1/owntracks", {"_type": "location", "lat": 34.1, "lon": 118.8, "tst": 1_800_000_000}, status=404
        )

    def test_positions_exist_on_duty_only(self, station: Served, guard: Somebody) -> None:
        here = {"_type": "location", "lat": 34.1, "lon": 118.8, "acc": 12.4, "tid": "zh", "batt": 80}
        for tst in (NOW, NOW, NOW - 2 * HOUR, NOW + HOUR):
            assert guard.post("/api/v1/owntracks", here | {"tst": tst // 1_000}) == []
        rows = station.rows("SELECT guard, at_ms, lat_e6, lon_e6, accuracy_m FROM guard_position")
        assert rows == [(ZHANG, NOW, 34_100_000, 118_800_000, 12)]
        with station.station.database.read() as session:
            assert [one.at_ms for one in positions(session, ZHANG, NOW, NOW + 1)] == [NOW]

    def test_coming_to_a_checkpoint_by_position_is_the_weakest_of_check_ins(
        self, station: Served, guard: Somebody, leader: Somebody
    ) -> None:
        leader.get("/api/v1/checkpoints/nowhere/code", status=404)
        said = {"_type": "transition", "event": "enter", "desc": "gate", "tst": NOW // 1_000}
        for more in ({}, {}, {"event": "leave"}, {"desc": "Front gate"}, {"tst": (NOW - 2 * HOUR) // 1_000}):
            guard.post("/api/v1/owntracks", said | more)
        guard.post("/api/v1/owntracks", {"_type": "waypoint"})
        assert station.rows("SELECT source, guard, point, flags FROM check_in") == [("position", ZHANG, "gate", "")]


HEADS = "巡检时间,巡检器,人员,巡检点,事件,编号\nPatrol Time,ReaderNum,Person,Checkpoint,Event,Chip ID\n"
SHEET = (
    HEADS
    + "2027-01-15 15:00:00,12,张三,北门,,0F004EBEFC\n"
    + "2027-01-15 15:00:00,12,李四,北门,,0F004EBEFC\n"
    + "2027-01-15 15:30:00,12,张三,未设置,灯坏,3A0073B8C6\n"
    + "yesterday,12,张三,北门,,0F004EBEFC\n"
    + "2027-01-15 15:40:00,12,张三,北门,,gate\n"
)
SHEETS = "/api/v1/wands/spreadsheets"


def send(who: Somebody, data: bytes, **query: Any) -> Any:
    return who.ask("POST", SHEETS, status=200, content=data, params={"form": "csv"} | query)


@pytest.mark.proves("P1")
@only_sqlite
class TestSpreadsheets:
    def test_two_guards_of_the_same_minute_stay_and_bad_rows_are_named(self, station: Served, leader: Somebody) -> None:
        found = send(leader, SHEET.encode())
        assert (found["rows"], found["added"], found["bad_in_all"]) == (5, 3, 3)
        assert [(one["row"], one["why"]) for one in found["bad"]] == [(5, "event"), (6, "time"), (7, "chip")]
        assert found["unknown_people"] == ["张三", "李四"]
        kept = leader.get(f"/api/v1/wands/imports/{found['number']}/bad")["items"]
        assert [one["cells"][0] for one in kept][1:] == ["yesterday", "2027-01-15 15:40:00"]
        times = station.rows("SELECT at_ms, reader, tag FROM check_in ORDER BY at_ms, number")
        assert times[0] == (NOW - HOUR, "12", "0F004EBEFC"), "three in the afternoon in Shanghai"

    def test_the_same_file_again_adds_nothing_but_names(self, station: Served, leader: Somebody) -> None:
        send(leader, SHEET.encode())
        with station.station.database.write() as session:
            person(session, ZHANG, CARD, name="张三")
        found = send(leader, SHEET.encode("gb18030"))
        assert (found["added"], found["known"], found["named"]) == (0, 3, 2)
        assert station.rows("SELECT count(*), count(guard) FROM check_in") == [(3, 2)]
        assert [one["added"] for one in leader.get("/api/v1/wands/imports")["items"]] == [0, 3]

    def test_a_dry_run_says_the_same_and_keeps_nothing(self, station: Served, leader: Somebody) -> None:
        dry = send(leader, SHEET.encode(), dry_run=True)
        assert (dry["number"], dry["added"], dry["unknown_tags"]) == (None, 3, 2)
        assert station.rows("SELECT count(*) FROM check_in") == [(0,)]
        assert station.rows("SELECT count(*) FROM unknown_tag") == [(0,)]
        assert send(leader, SHEET.encode())["added"] == 3

    def test_dates_of_a_workbook_are_the_same_times(self, leader: Somebody) -> None:
        send(leader, SHEET.encode())
        with workbook() as made:
            page = made.book.add_worksheet("巡检")
            day = made.book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
            serial = 46_402.625
            for column, head in enumerate(HEADS.split("\n", maxsplit=1)[0].split(",")):
                page.write_string(0, column, head)
            for row, style in ((1, day), (2, None)):
                page.write_number(row, 0, serial, style)
                page.write_string(row, 1, "12")
                page.write_string(row, 2, "张三")
                page.write_string(row, 5, "0F004EBEFC")
        found = leader.ask("POST", SHEETS, status=200, content=made.content)
        assert (found["rows"], found["added"], found["known"]) == (2, 0, 2)

    def test_another_form_is_refused(self, leader: Somebody) -> None:
        answer = leader.ask("POST", SHEETS, status=422, content=b"a,b\n1,2\n", params={"form": "csv"})
        assert answer["type"] == "other_form"


@pytest.mark.proves("P1")
@only_sqlite
class TestStores:
    def test_a_wand_says_who_carried_it_and_what_is_missing(self, station: Served, leader: Somebody) -> None:
        with station.station.database.write() as session:
            person(session, ZHANG, CARD)
        records = [
            {"serial": 1, "guard_number": 0xFFFF, "at": "2027-01-15T15:00:00", "state": 1, "card": SHORT},
            {"serial": 2, "guard_number": 23, "at": "2027-01-15T15:01:00", "state": 0, "card": "4EBEFC"},
            {"serial": 5, "guard_number": 23, "at": "2027-01-15T15:05:00", "state": 0, "card": "73B8C6"},
        ]
        store = {"wand": "wand-7", "wrapped": False, "records": records}
        first = leader.post("/api/v1/wands/stores", store)
        assert (first["added"], first["gaps"]) == (2, [[3, 4]])
        again = leader.post("/api/v1/wands/stores", store)
        assert (again["added"], again["known"]) == (0, 2)
        later = store | {"records": [records[2] | {"serial": 9}], "wrapped": True}
        assert (leader.post("/api/v1/wands/stores", later)["gaps"]) == [[6, 8]]
        rows = station.rows("SELECT guard, reader, tag, at_ms FROM check_in ORDER BY number")
        assert rows[0] == (ZHANG, "wand-7", "4EBEFC", NOW - HOUR + 60_000)


@pytest.mark.proves("P1")
@only_sqlite
def test_somebody_settles_what_nobody_knew(made: Made, leader: Somebody) -> None:
    made.absorb(made.event("AABBCCDDEE"), made.event("noise"))
    noise, tag = leader.get("/api/v1/unknown-tags")["items"]
    assert (tag["tag"], tag["why"], tag["times"]) == ("AABBCCDDEE", "not_enrolled", 1)
    assert leader.post(f"/api/v1/unknown-tags/{noise['number']}/settle", {"how": "dismiss"})["settled"] == "dismissed"
    again = leader.post(f"/api/v1/unknown-tags/{tag['number']}/settle", {"how": "look_again"})
    assert again["settled"] is None, "nobody has it yet"
    with made.database.write() as session:
        give(session, ZHANG, "AABBCCDDEE")
    again = leader.post(f"/api/v1/unknown-tags/{tag['number']}/settle", {"how": "look_again"})
    assert again["settled"] == "enrolled"
    assert leader.get("/api/v1/unknown-tags")["items"] == []
    leader.post("/api/v1/unknown-tags/99/settle", {"how": "dismiss"}, status=404)


@pytest.mark.proves("P1")
@only_sqlite
def test_a_new_card_takes_what_was_read_of_it_and_a_lost_one_gives_it_back(made: Made, leader: Somebody) -> None:
    """挂失 and reissue: by people, over HTTP, with effect on what is stored."""
    made.absorb(made.event("AABBCCDDEE", at_ms=NOW - 60_000))
    cards = f"/api/v1/guards/{ZHANG}/cards"
    card = leader.post(cards, {"tag": "AA:BB:CC:DD:EE", "since": at(NOW - HOUR)}, status=201)
    (mine,) = leader.get("/api/v1/check-ins")["items"]
    assert (mine["guard"], mine["flags"]) == (ZHANG, [])
    leader.post(f"{cards}/{card['number']}/end", {"how": "lost", "at": at(NOW - 120_000)})
    (gone,) = leader.get("/api/v1/check-ins")["items"]
    assert (gone["guard"], gone["flags"]) == (None, ["lost_card"])
    assert made.absorb(made.event("AABBCCDDEE"))[0].flags == frozenset({"lost_card"})
    leader.post(cards, {"tag": "11:22:33:44:55"}, status=201)


@pytest.mark.proves("P1")
@only_sqlite
def test_a_checkpoint_that_is_put_down_at_a_reader_takes_what_was_read_there_today(
    station: Served, leader: Somebody
) -> None:
    with station.station.database.write() as session:
        station.station.checkins.absorb(
            session, [Maker("g1", epoch="00000000000000e1", salt=0).event(EventType.CHECK_IN, unit="door",
             at_ms=NOW - HOUR, detail={"tag": CARD})], NOW - HOUR,
        )  # fmt: skip
    body = {"id": "door", "area": "c1", "name": "后门", "gateway": "g1", "reader": "door"}
    somebody(station, "planner", Role.DUTY_LEADER, STATION).post("/api/v1/checkpoints", body, status=201)
    (one,) = leader.get("/api/v1/check-ins")["items"]
    assert (one["point"], one["flags"]) == ("door", ["unknown_tag"])
