"""Road of a press, step 8: kept, then acknowledged, then receipted; and nothing that arrives disappears."""

import threading
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session as DatabaseSession

from api.clock import wall_ms
from api.ingest import rules
from api.ingest.service import TRIES
from api.settings import StationSettings
from broker.ids import GatewayId, Session
from broker.kinds import EventType, Kind
from broker.messages import ChainHead, GatewayEvent, Head, Outcome, Receipt, StationStatus
from broker.signing import Signer, gateway_kid
from broker.topics import Name, build
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Launch, Serve, Served, only_sqlite
from tests.api.databases import poison, rows
from tests.api.peers import DEADLINE_S, PRINCIPALS, STATION, Gateway, Heard, Maker, digest, eventually, seed


def ids(events: list[GatewayEvent]) -> set[str]:
    return {event.id for event in events}


@pytest.mark.proves("N2", "N3")
def test_a_press_is_stored_and_receipted(served: Served, gateway: Gateway) -> None:
    event = gateway.event()
    gateway.send([event])
    assert gateway.receipted([event]) == {event.id: Outcome.STORED}
    assert served.rows("SELECT id, gateway, seq, copy FROM inbox") == [(event.id, "g1", 1, 0)]
    assert [(alarm["id"], alarm["kind"], alarm["door"]) for alarm in served.alarms()] == [(event.id, "panic", 101)]


@pytest.mark.proves("N2")
def test_the_row_can_be_read_from_outside_when_its_receipt_arrives(
    served: Served, gateway: Gateway, settings: StationSettings
) -> None:
    """Pins the order commit, then receipt: another process's view of the file has every row that a receipt names."""
    missing: list[str] = []

    def look(heard: Heard) -> None:
        if isinstance(heard.body, Receipt):
            there = {id_ for (id_,) in rows(settings.database, "SELECT id FROM inbox")}
            missing.extend(set(heard.body.stored) - there)

    gateway.on_heard = look
    events = gateway.presses(250)
    gateway.send(events)
    assert set(gateway.receipted(events).values()) == {Outcome.STORED}
    assert missing == []
    assert served.rows("SELECT count(*) FROM inbox") == [(250,)]


@pytest.mark.proves("N3")
def test_an_event_that_comes_again_is_a_duplicate_and_is_receipted_again(served: Served, gateway: Gateway) -> None:
    event = gateway.event()
    gateway.send([event])
    gateway.receipted([event])
    older = event.model_copy(update={"age_ms": 31_000})
    for times in (2, 3):
        gateway.send([older])
        gateway.until(lambda times=times: len(gateway.outcomes()[event.id]) == times, "receipted again")  # type: ignore[misc] # mypy infers no lambda with a default
    assert gateway.outcomes()[event.id] == [Outcome.STORED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert served.rows("SELECT count(*) FROM inbox") == [(1,)]
    assert len(served.alarms()) == 1


@pytest.mark.proves("N2", "N3", "F34")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["ingest.commit", "ingest.ack", "ingest.receipt"])
def test_a_station_killed_on_the_first_of_thirty_stores_all_thirty_once(
    launch: Launch, serve: Serve, gateway: Gateway, step: str, moment: str
) -> None:
    first = launch()
    first.ready()
    assert first.stop() == 0
    events = gateway.presses(30)
    gateway.send(events)  # nobody there: the broker keeps them
    killed = launch("tests.api.killable", f"{step}:{moment}:1")
    assert killed.ended() == -9

    kept = rows(killed.database, "SELECT count(*) FROM inbox")[0][0]
    assert (kept == 0) is ((step, moment) == ("ingest.commit", "before"))

    with serve() as served:
        if step == "ingest.receipt" or (step, moment) == ("ingest.ack", "after"):
            # The broker has done its part, so what has no receipt is the gateway's to send again.
            gateway.hear(StationStatus, lambda status: status.generation == served.station.ingest.generation)
            gateway.send([event for event in events if event.id not in gateway.outcomes()])
        outcomes = gateway.receipted(events)
        assert set(outcomes.values()) <= {Outcome.STORED, Outcome.DUPLICATE}
        assert served.rows("SELECT count(*), count(DISTINCT id) FROM inbox") == [(30, 30)]
        assert {alarm["id"] for alarm in served.alarms()} == ids(events)


@pytest.mark.proves("N9", "F35")
def test_a_poison_message_among_good_ones_spoils_only_itself(served: Served, gateway: Gateway) -> None:
    events = gateway.presses(30)
    bad = events[11]
    with served.station.database.write() as session:
        poison(session, bad.id)
    gateway.send(events)
    outcomes = gateway.receipted(events)
    assert outcomes.pop(bad.id) is Outcome.REJECTED
    assert set(outcomes.values()) == {Outcome.STORED}
    assert gateway.reasons() == {bad.id: "poison"}
    (letter,) = served.get("/api/v1/dead-letters")["items"]
    assert (letter["event"], letter["reason"], letter["tries"]) == (bad.id, "poison", TRIES)
    assert bad.id in letter["payload"]
    assert served.health()["dead_letters"] == 1
    assert served.health()["status"] == "attention"


@pytest.mark.proves("N13")
def test_what_cannot_be_read_is_shown_to_the_police_as_unverified(served: Served, gateway: Gateway) -> None:
    gateway.publish_all([(gateway.topic, b"\x00\xff not even json"), (gateway.topic, b'{"body": {}}')])
    last = gateway.event()
    gateway.send([last])
    gateway.receipted([last])
    unreadable = [alarm for alarm in served.alarms() if alarm["kind"] == "unverified"]
    assert [(alarm["presses"], alarm["reason"], alarm["gateway"]) for alarm in unreadable] == [(2, "malformed", "g1")]
    taken = served.post(f"/api/v1/alarms/{unreadable[0]['id']}/acknowledge")
    assert taken["acknowledged"]["by"] == "li"


def forged(gateway: Gateway) -> tuple[str, bytes]:
    """Signed with a key that is not the gateway's."""
    return gateway.topic, Signer(gateway.signer.kid, seed("stranger")).envelope(gateway.event())


def of_another(gateway: Gateway) -> tuple[str, bytes]:
    """A genuine event of g2, brought by g1."""
    topic = build(Name.GATEWAY_EVENT, STATION, GatewayId("g2"))
    event = gateway.event(topic=topic, audience="station", gateway=GatewayId("g2"))
    return gateway.topic, Signer(gateway_kid(GatewayId("g2")), seed("g2")).envelope(event)


def claiming_another(gateway: Gateway) -> tuple[str, bytes]:
    """An event that says it is of g2, on g1's topic, signed by g1."""
    return gateway.topic, gateway.signer.envelope(gateway.event(gateway=GatewayId("g2")))


def of_a_stranger(gateway: Gateway) -> tuple[str, bytes]:
    """Signed under a name that is not in the register."""
    return gateway.topic, Signer("gateway:g9", seed("g9")).envelope(gateway.event(gateway=GatewayId("g9")))


def altered(gateway: Gateway) -> tuple[str, bytes]:
    """One word of a genuine event changed on the way."""
    return gateway.topic, gateway.signer.envelope(gateway.event()).replace(b'"panic"', b'"drill"')


@pytest.mark.proves("N9", "N13")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (forged, "bad_signature"),
        (altered, "bad_signature"),
        (of_another, "wrong_topic"),
        (claiming_another, "wrong_signer"),
        (of_a_stranger, "unknown_key"),
    ],
)
def test_what_cannot_be_believed_is_rejected_with_a_reason_and_counted_and_visible(
    served: Served, gateway: Gateway, make: Any, reason: str
) -> None:
    topic, payload = make(gateway)
    gateway.publish_all([(topic, payload), (topic, payload)])
    gateway.until(lambda: len([r for told in gateway.bodies(Receipt) for r in told.rejected]) == 2, "rejected twice")
    assert set(gateway.reasons().values()) == {reason}
    answer = served.get("/api/v1/dead-letters")
    (letter,) = answer["items"]
    assert (letter["reason"], letter["times"], letter["gateway"]) == (reason, 2, "g1")
    assert [(one["gateway"], one["reason"], one["times"]) for one in answer["rejections"]] == [("g1", reason, 2)]
    assert served.rows("SELECT count(*) FROM inbox") == [(0,)]
    assert [alarm["kind"] for alarm in served.alarms()] == ["unverified"]
    health = served.health()["ingest"]
    assert (health["taken"], health["rejected"], health["stored"]) == (2, 2, 0)


@pytest.mark.proves("F30")
def test_a_retained_copy_of_an_event_is_refused_and_closes_nothing_at_the_gateway(
    serve: Serve, gateway: Gateway
) -> None:
    event = gateway.event()
    gateway.publish(event.topic, gateway.signer.envelope(event), retain=True)
    with serve() as served:
        other = gateway.event()
        gateway.send([other])
        gateway.receipted([other])
        assert event.id not in gateway.outcomes() or gateway.outcomes()[event.id] == [Outcome.STORED]
        assert "retained" in {one["reason"] for one in served.get("/api/v1/dead-letters")["rejections"]}


@pytest.mark.proves("N9")
def test_everything_taken_is_stored_or_duplicate_or_rejected_or_status(served: Served, gateway: Gateway) -> None:
    events = gateway.presses(40)
    again = [event.model_copy(update={"age_ms": 9}) for event in islice(events, 10)]
    gateway.send([*events, *again])
    gateway.publish_all([forged(gateway) for _ in range(5)])
    gateway.say_status(head=45)
    last = gateway.event()
    gateway.send([last])
    gateway.receipted([last])
    ingest = served.health()["ingest"]
    assert ingest["taken"] == 40 + 10 + 5 + 1 + 1
    assert ingest["taken"] == sum(ingest[name] for name in ("stored", "duplicate", "rejected", "statuses"))
    assert (ingest["stored"], ingest["duplicate"], ingest["rejected"]) == (41, 10, 5)


@pytest.mark.proves("N10", "F29")
def test_two_gateways_with_one_identity_are_a_fault_and_both_are_heard(served: Served, gateway: Gateway) -> None:
    original, copied = gateway.presses(2), Maker("g1", salt=1).presses(2)
    gateway.send([*original, *copied])  # the same places in the same epoch
    assert set(gateway.receipted([*original, *copied]).values()) == {Outcome.STORED}
    assert {alarm["id"] for alarm in served.alarms()} >= ids(original)
    assert served.rows("SELECT seq, copy FROM inbox ORDER BY seq, copy") == [(1, 0), (1, 1), (2, 0), (2, 1)]
    (fault,) = served.get("/api/v1/faults")["faults"]
    assert (fault["code"], fault["gateway"], fault["times"]) == ("clone", "g1", 2)


@pytest.mark.proves("N10", "A10", "F29")
@pytest.mark.parametrize("pause_s", [0.25, 4, 10])
def test_two_gateways_that_put_each_other_out_are_reported_within_60_s(
    serve: Serve, gateway: Gateway, pause_s: float
) -> None:
    """Each has its own sessions and its own count of connections, as far ahead as it was started more often."""
    now = [1_800_000_000_000]
    with serve(clock=lambda: now[0]) as served:

        def connects(box: str, generation: int) -> bool:
            status = gateway.status(head=0).model_copy(
                update={"id": gateway.new_id(), "session": f"{box}{generation:031x}", "generation": generation}
            )
            gateway.publish(status.topic, gateway.signer.envelope(status), retain=True)
            return "clone" in open_faults(served, gateway)

        begun_ms, first = now[0], [9 << 16, 12 << 16]
        for number in range(40):
            if connects("ab"[number % 2], first[number % 2] + number):
                break
            now[0] += round(pause_s * 1_000)
        assert number > 1
        assert now[0] - begun_ms <= 60_000


@pytest.mark.proves("N10")
def test_one_gateway_that_comes_again_and_again_or_got_a_new_card_is_no_clone() -> None:
    assert not rules.are_two([], 0)
    assert not rules.are_two([5, 6], 7)
    assert not rules.are_two([1, 2, 70_000], 70_001)
    assert rules.are_two([1, 2, 3], 60_001)
    assert not rules.are_two([1, 2, 3], 60_002)


def test_an_id_that_another_event_has_is_refused(served: Served, gateway: Gateway) -> None:
    first = gateway.event()
    gateway.send([first])
    gateway.receipted([first])
    gateway.send([gateway.event(id=first.id)])
    last = gateway.event()
    gateway.send([last])
    gateway.receipted([last])
    assert [one["reason"] for one in served.get("/api/v1/dead-letters")["rejections"]] == ["id_reused"]
    assert gateway.outcomes()[first.id] == [Outcome.STORED]


def test_a_clone_is_over_when_a_gateway_had_its_name_to_itself_for_ten_minutes(serve: Serve, gateway: Gateway) -> None:
    passed = [0]
    with serve(clock=lambda: wall_ms() + passed[0]) as served:
        both = [gateway.event(), Maker("g1", salt=1).event()]
        gateway.send(both)
        gateway.receipted(both)
        for minutes, codes in ((9, ["clone"]), (11, [])):
            passed[0] = minutes * 60_000
            gateway.say_status(head=1)
            assert [code for code in open_faults(served, gateway) if code == "clone"] == codes


class NarrowBroker(PrivateBroker):
    """Keeps few messages for who is away, and says nothing about those that it drops, as mosquitto does."""

    def _write_files(self) -> None:
        super()._write_files()
        path = self.directory / "mosquitto.conf"
        text = path.read_text(encoding="utf-8")
        assert "max_queued_messages 20000" in text
        path.write_text(text.replace("max_queued_messages 20000", "max_queued_messages 100"), encoding="utf-8")


class TestAway:
    @pytest.fixture
    def broker(self, tmp_path: Path) -> Any:
        with NarrowBroker(tmp_path / "broker", PRINCIPALS) as running:
            yield running

    @pytest.mark.proves("N2", "N3", "N9", "F52")
    def test_a_station_away_for_1100_events_has_every_one_once(self, serve: Serve, gateway: Gateway) -> None:
        """The broker acknowledged all and kept some. The new generation asks the gateway for what has no receipt."""
        with serve() as served:
            away_since = served.station.ingest.generation
        events = gateway.presses(1_100)
        gateway.send(events)
        with serve() as served:
            gateway.hear(StationStatus, lambda status: status.online and status.generation > away_since)
            lost = [event for event in events if event.id not in gateway.outcomes()]
            assert len(lost) > 500  # more than the broker kept
            for begin in range(0, len(lost), 50):  # as much as the narrow broker carries at a time
                gateway.send(lost[begin : begin + 50])
                gateway.receipted(lost[begin : begin + 50])
            assert {*gateway.receipted(events).values()} <= {Outcome.STORED, Outcome.DUPLICATE}
            assert served.rows("SELECT count(*), count(DISTINCT id) FROM inbox") == [(1_100, 1_100)]
            gateway.say_status(head=1_100, low=1_101)
            last = gateway.event()
            gateway.send([last])
            gateway.receipted([last])
            assert served.get("/api/v1/faults")["gaps"] == []
            assert "gap" not in open_faults(served, gateway)


@pytest.mark.proves("N9")
def test_what_is_missing_below_low_is_a_gap_and_above_it_is_not(served: Served, gateway: Gateway) -> None:
    events = gateway.presses(9)
    present = [event for event in events if event.seq not in {3, 4, 7, 9}]
    gateway.send(present)
    gateway.receipted(present)
    gateway.say_status(head=9, low=6)
    gateway.greeted(lambda hello: [head.seq for head in hello.highest] == [8])
    gaps = served.get("/api/v1/faults")["gaps"]
    assert [(gap["first"], gap["last"], gap["reason"]) for gap in gaps] == [(3, 4, "")]
    assert [fault["code"] for fault in served.get("/api/v1/faults")["faults"]] == ["gap"]


def test_an_event_that_was_missed_and_comes_after_all_leaves_its_gap(served: Served, gateway: Gateway) -> None:
    events = gateway.presses(9)
    gateway.send([event for event in events if not 3 <= event.seq <= 7])
    gateway.receipted(event for event in events if not 3 <= event.seq <= 7)
    gateway.say_status(head=9, low=10)
    gateway.greeted(lambda hello: bool(hello.highest))
    gateway.send([events[4]])
    gateway.receipted([events[4]])
    gaps = served.get("/api/v1/faults")["gaps"]
    assert sorted((gap["first"], gap["last"]) for gap in gaps) == [(3, 4), (6, 7)]
    assert open_faults(served, gateway) == ["gap"]
    rest = [events[2], events[3], events[5], events[6]]
    gateway.send(rest)
    gateway.receipted(rest)
    assert open_faults(served, gateway) == []


# History: whether it is the one that was told before


@pytest.mark.proves("N15")
def test_receipts_and_hellos_say_which_head_of_the_chain_the_station_holds(served: Served, gateway: Gateway) -> None:
    gateway.say_status(head=3)
    assert open_faults(served, gateway) == []
    assert gateway.bodies(Receipt)[-1].holds == Head(epoch=gateway.epoch, seq=1)  # it greets before it takes a new one
    gateway.say_status(head=5)
    gateway.say_status(head=4)
    assert open_faults(served, gateway) == []
    chain = ChainHead(seq=5, digest=digest("a", 5))
    assert gateway.bodies(Receipt)[-1].holds == Head(epoch=gateway.epoch, seq=2, chain=chain)
    reconnect(gateway)
    gateway.say_status(head=9, chain="another")
    hello = gateway.greeted(lambda hello: any(head.chain for head in hello.highest))
    assert hello.highest == (Head(epoch=gateway.epoch, seq=2, chain=chain),)


@pytest.mark.proves("N15")
def test_a_receipt_knows_the_status_that_came_in_the_same_batch(serve: Serve, gateway: Gateway) -> None:
    with serve():
        pass  # from now on the broker keeps what comes
    gateway.say_status(head=3)
    event = gateway.event(EventType.HEARTBEAT)
    gateway.send([event])
    with serve():
        gateway.receipted([event])
        assert gateway.bodies(Receipt)[-1].holds == Head(epoch=gateway.epoch, seq=1)


@pytest.mark.proves("N15")
def test_another_digest_of_the_same_head_is_a_fault_until_there_is_a_new_journal(
    served: Served, gateway: Gateway
) -> None:
    gateway.say_status(head=4)
    assert open_faults(served, gateway) == []  # what is told before that is not kept yet
    gateway.say_status(head=5)
    reconnect(gateway)
    gateway.say_status(head=5, chain="another")
    gateway.say_status(head=6, chain="another")
    assert open_faults(served, gateway) == ["history_changed"]
    assert served.rows("SELECT seq, digest FROM chain_head") == [(5, digest("a", 5))]  # the evidence stays
    gateway.say_status(head=1, epoch="00000000000000e2")
    assert open_faults(served, gateway) == []
    gateway.say_status(head=2, epoch="00000000000000e2")
    assert open_faults(served, gateway) == []
    assert served.rows("SELECT max(seq) FROM chain_head WHERE epoch = '00000000000000e2'") == [(2,)]


@pytest.mark.proves("N15")
def test_what_a_gateway_found_changed_keeps_the_head_that_shows_it(served: Served, gateway: Gateway) -> None:
    gateway.say_status(head=4)
    assert open_faults(served, gateway) == []  # what is told before that is not kept yet
    gateway.say_status(head=5)
    assert open_faults(served, gateway) == []
    found = gateway.event(EventType.FAULT, unit=None, detail={"fault": "history_changed", "subject": "journal"})
    gateway.send([found])
    gateway.receipted([found])
    gateway.say_status(head=7, chain="another")
    assert open_faults(served, gateway) == ["history_changed"]
    assert served.rows("SELECT seq FROM chain_head") == [(5,)]


def reconnect(gateway: Gateway) -> None:
    gateway.session = Session("c" * 32)


def open_faults(served: Served, gateway: Gateway) -> list[str]:
    """What stands open when everything that was sent before is in."""
    last = gateway.event(EventType.HEARTBEAT)
    gateway.send([last])
    gateway.receipted([last])
    return [fault["code"] for fault in served.get("/api/v1/faults")["faults"]]


def test_a_range_that_the_gateway_pruned_is_no_riddle(served: Served, gateway: Gateway) -> None:
    events = gateway.presses(9)
    gateway.send([event for event in events if not 3 <= event.seq <= 7])
    pruned = gateway.event(EventType.PRUNED, detail={"first": 3, "last": 7})
    gateway.send([pruned])
    gateway.receipted([pruned])
    gateway.say_status(head=10, low=11)
    gateway.greeted(lambda hello: bool(hello.highest))
    faults = served.get("/api/v1/faults")
    assert [(gap["first"], gap["last"], gap["reason"]) for gap in faults["gaps"]] == [(3, 7, "pruned")]
    assert faults["faults"] == []


def test_rejected_events_are_no_gap(served: Served, gateway: Gateway) -> None:
    good = gateway.event()
    gateway.send([good])
    gateway.publish(*forged(gateway))
    last = gateway.event()
    gateway.send([last])
    gateway.receipted([last])
    gateway.say_status(head=3, low=4)
    gateway.greeted(lambda hello: bool(hello.highest))
    assert served.get("/api/v1/faults")["gaps"] == []


def test_a_gateway_that_comes_online_hears_what_the_station_holds_of_each_epoch(
    served: Served, gateway: Gateway
) -> None:
    gateway.send(gateway.presses(3))
    newer = Maker("g1", epoch="00000000000000e2")
    events = newer.presses(2)
    gateway.send(events)
    gateway.receipted(events)
    gateway.session = newer.session.replace("0", "a")  # type: ignore[assignment] # a text of the same shape
    gateway.say_status(head=2, epoch="00000000000000e2")
    hello = gateway.greeted(lambda hello: len(hello.highest) == 2)
    assert [(head.epoch, head.seq) for head in hello.highest] == [("00000000000000e1", 3), ("00000000000000e2", 2)]
    assert hello.generation == served.station.ingest.generation


def test_a_station_that_starts_greets_every_gateway_with_what_it_holds(serve: Serve, gateway: Gateway) -> None:
    with serve():
        gateway.send(gateway.presses(5))
        gateway.receipted(gateway.bodies(Receipt)[0].stored if gateway.bodies(Receipt) else [])
        gateway.until(lambda: len(gateway.outcomes()) == 5, "receipted")
    with serve() as served:
        hello = gateway.greeted(lambda hello: hello.generation == served.station.ingest.generation)
        assert [head.seq for head in hello.highest] == [5]


@pytest.mark.proves("N2", "N9", "F13")
def test_a_hello_says_what_is_missing_until_the_gateway_has_told_it_again(serve: Serve, gateway: Gateway) -> None:
    events = gateway.presses(12)
    here = [event for event in events if event.seq not in {3, 4, 8, 11, 12}]
    with serve() as served:
        gateway.send(here)
        gateway.receipted(here)
        gateway.say_status(head=12, low=7)  # what is below is looked for, what is above was under way
        hello = gateway.greeted(lambda hello: bool(hello.highest) and hello.highest[-1].missing is not None)
        ranges = [(one.first, one.last) for one in hello.highest[-1].missing or ()]
        assert (hello.highest[-1].seq, ranges) == (10, [(3, 4), (8, 8)])
        assert [fault["code"] for fault in served.get("/api/v1/faults")["faults"]] == ["gap"]
        late = [event for event in events if event not in here]
        gateway.send(late)
        gateway.receipted(late)
        assert served.get("/api/v1/faults")["faults"] == []
    with serve() as served:
        hello = gateway.greeted(lambda hello: hello.generation == served.station.ingest.generation)
        assert [(head.seq, head.missing) for head in hello.highest] == [(12, None)]


@only_sqlite
@pytest.mark.proves("F13")
def test_a_fault_that_is_told_again_does_not_undo_what_came_of_it_since(served: Served, gateway: Gateway) -> None:
    def about(type_: EventType, line: str) -> GatewayEvent:
        return gateway.event(type_, unit=None, detail={"fault": "line_silent", "subject": line})

    lost = [about(EventType.FAULT_RESTORED, "line-1"), about(EventType.FAULT, "line-2")]
    now = [about(EventType.FAULT, "line-1"), about(EventType.FAULT_RESTORED, "line-2")]
    gateway.send(now)
    gateway.receipted(now)
    gateway.send(lost)
    gateway.receipted(lost)
    assert [fault["about"] for fault in served.get("/api/v1/faults")["faults"]] == ["line-1"]
    together = [about(EventType.FAULT, "line-3"), about(EventType.FAULT_RESTORED, "line-3")]
    gateway.send(together)
    gateway.receipted(together)
    kept = served.rows("SELECT cleared_ms IS NULL FROM fault WHERE about = 'line-3'")
    assert [bool(row[0]) for row in kept] == [False]


@pytest.mark.proves("F31")
def test_a_will_of_an_earlier_connection_does_not_end_the_present_one(served: Served, gateway: Gateway) -> None:
    gateway.say_status(head=0)
    gateway.until(lambda: True, "sent")
    old = gateway.session
    gateway.session = old.replace("0", "b")  # type: ignore[assignment] # a text of the same shape
    gateway.say_status()
    gateway.session = old
    gateway.say_status(online=False)
    last = gateway.event()
    gateway.send([last])
    gateway.receipted([last])
    assert [one["online"] for one in served.get("/api/v1/gateways")["gateways"]] == [True]
    assert served.get("/api/v1/faults")["faults"] == []


@pytest.mark.proves("N8")
def test_a_gateway_that_is_lost_is_a_fault_until_it_is_back(served: Served, gateway: Gateway) -> None:
    def codes() -> list[str]:
        last = gateway.event(EventType.HEARTBEAT)
        gateway.send([last])
        gateway.receipted([last])
        return [fault["code"] for fault in served.get("/api/v1/faults")["faults"]]

    gateway.say_status()
    gateway.say_status(online=False)
    assert codes() == ["gateway_offline"]
    gateway.say_status()
    assert codes() == []


def test_faults_that_a_gateway_reports_stand_until_it_says_that_they_are_over(served: Served, gateway: Gateway) -> None:
    begun = [
        gateway.event(EventType.FAULT, unit=None, detail={"fault": "line_silent", "subject": "line-1"}),
        gateway.event(EventType.TAMPER, kind=Kind.TAMPER, detail={"part": "cover"}),
    ]
    gateway.send(begun)
    gateway.receipted(begun)
    faults = served.get("/api/v1/faults")["faults"]
    assert {(fault["code"], fault["about"]) for fault in faults} == {("line_silent", "line-1"), ("tamper", "u1:cover")}
    assert served.alarms() == []
    over = [
        gateway.event(EventType.FAULT_RESTORED, unit=None, detail={"fault": "line_silent", "subject": "line-1"}),
        gateway.event(EventType.RESTORE, detail={"part": "cover"}),
    ]
    gateway.send(over)
    gateway.receipted(over)
    assert served.get("/api/v1/faults")["faults"] == []


@only_sqlite
@pytest.mark.proves("N2", "N8", "F06")
def test_a_full_disk_loses_nothing_blames_nobody_and_is_visible(served: Served, gateway: Gateway) -> None:
    """While nothing can be written, nothing is acknowledged or receipted, and no message is taken for poison."""
    first = gateway.event()
    gateway.send([first])
    gateway.receipted([first])
    database = served.station.database

    def pages(limit: str) -> None:
        with database.write(commit=DatabaseSession.rollback) as session:
            session.connection().exec_driver_sql(f"PRAGMA max_page_count={limit}")

    used = served.rows("PRAGMA page_count")[0][0]
    pages(str(used))
    events = gateway.presses(400)
    gateway.send(events)
    eventually(lambda: served.station.ingest.trouble == "database", "in trouble")
    assert served.health()["status"] == "failing"
    pages("1000000")
    assert set(gateway.receipted(events).values()) == {Outcome.STORED}
    assert served.rows("SELECT count(*) FROM dead_letter") == [(0,)]
    assert served.health()["status"] == "ok"


def test_a_broker_that_loses_the_session_makes_a_new_generation(
    served: Served, gateway: Gateway, broker: PrivateBroker, settings: StationSettings
) -> None:
    before = served.station.ingest.generation
    served.station.link.ready.clear()
    broker.kill()
    (Path(broker.directory) / "mosquitto.db").unlink(missing_ok=True)
    broker.start()
    assert served.station.link.ready.wait(DEADLINE_S)
    status = gateway.hear(StationStatus, lambda status: status.generation > before)
    assert status.online
    event = gateway.event()
    gateway.send([event])
    assert gateway.receipted([event]) == {event.id: Outcome.STORED}
    assert settings.broker.port == broker.port


@pytest.mark.proves("N3")
def test_a_restart_keeps_everything(serve: Serve, gateway: Gateway) -> None:
    events = gateway.presses(20)
    with serve() as served:
        gateway.send(events)
        gateway.receipted(events)
        served.post(f"/api/v1/alarms/{events[3].id}/acknowledge")
        before, generation = served.alarms(), served.station.ingest.generation
    with serve() as served:
        assert served.alarms() == before
        assert served.station.ingest.generation > generation
        gateway.send([events[0]])
        gateway.until(lambda: len(gateway.outcomes()[events[0].id]) == 2, "receipted again")
        assert gateway.outcomes()[events[0].id][1] is Outcome.DUPLICATE


@pytest.mark.proves("N11")
def test_an_officer_waits_for_one_batch_and_not_for_the_queue(served: Served, gateway: Gateway) -> None:
    """While 1,000 events are taken in, an acknowledgement is done long before they are."""
    first = gateway.event()
    gateway.send([first])
    gateway.receipted([first])
    events = gateway.presses(1_000)
    sending = threading.Thread(target=gateway.send, args=(events,))
    sending.start()
    gateway.until(lambda: len(gateway.outcomes()) > 100, "under way")
    served.post(f"/api/v1/alarms/{first.id}/acknowledge")
    assert len(gateway.outcomes()) < 1_000
    sending.join()
    gateway.receipted(events)
