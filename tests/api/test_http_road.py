"""The other road: the same envelopes and the same receipts over HTTP."""

import json
from typing import Any

import pytest

from api.ingest import rules
from api.ingest.problems import TooOften
from api.ingest.road import Gate
from api.ingest.rules import Allowances
from broker.ids import EventId
from broker.messages import GatewayEvent, Outcome, Receipt
from broker.signing import Verifier, canonical
from broker.topics import Name, build
from tests.api.conftest import Serve, Served
from tests.api.peers import STATION, STATION_KEY, Gateway, Maker

VERIFIER = Verifier(STATION, {"station": STATION_KEY.public})


def envelopes(maker: Maker, events: list[GatewayEvent]) -> list[dict[str, Any]]:
    return [json.loads(maker.signer.envelope(event)) for event in events]


def post(served: Served, events: list[dict[str, Any]], *, gateway: str = "g1", status: int = 200) -> Any:
    answer = served.client.post(f"/api/v1/gateways/{gateway}/events", json={"events": events})
    assert answer.status_code == status, answer.text
    return answer.json()


def outcomes(answer: Any, *, gateway: str = "g1") -> dict[EventId, Outcome]:
    """What the receipts say, checked as a gateway checks them."""
    told: dict[EventId, Outcome] = {}
    topic = build(Name.GATEWAY_RECEIPT, STATION, gateway)
    for receipt in answer["receipts"]:
        body = VERIFIER.open(topic, canonical(receipt))
        assert isinstance(body, Receipt)
        told |= body.outcomes()
    return told


@pytest.mark.proves("N2", "N3")
def test_an_event_is_kept_and_receipted_and_once_however_often_it_comes_and_by_whichever_road(
    served: Served, gateway: Gateway
) -> None:
    press = gateway.event()
    first = outcomes(post(served, envelopes(gateway, [press])))
    again = outcomes(post(served, envelopes(gateway, [press])))
    gateway.send([press])
    assert (first[press.id].value, again[press.id].value) == ("stored", "duplicate")
    assert gateway.receipted([press])[press.id].value == "duplicate"
    assert [alarm["id"] for alarm in served.alarms()] == [press.id]


@pytest.mark.proves("N9")
def test_everything_that_is_sent_has_an_outcome(served: Served) -> None:
    maker = Maker("g1")
    good, twice = maker.event(), maker.event()
    forged = envelopes(maker, [maker.event()])[0]
    forged["body"]["door"] = 999
    odd = {"body": {"what": "ever"}, "kid": "gateway:g1", "sig": "x"}
    other = envelopes(Maker("g2"), [Maker("g2").event()])[0]
    sent = [*envelopes(maker, [good, twice, twice]), forged, odd, other]
    before = served.station.ingest.counts.taken
    told = outcomes(post(served, sent))
    assert told[good.id].value == "stored"
    assert told[EventId(forged["body"]["id"])].value == "rejected"
    counts = served.station.ingest.counts
    assert counts.taken - before == len(sent)
    assert counts.taken == counts.stored + counts.duplicate + counts.rejected + counts.statuses
    letters = served.get("/api/v1/dead-letters")["items"]
    assert {letter["reason"] for letter in letters} == {"bad_signature", "malformed", "wrong_topic"}


@pytest.mark.proves("N13")
def test_whoever_can_prove_nothing_is_counted_and_makes_no_alarm(served: Served) -> None:
    stranger = Maker("g9")
    answer = post(served, envelopes(stranger, [stranger.event()]), gateway="g9", status=403)
    assert (answer["type"], answer["reasons"]) == ("not_believed", ["unknown_key"])
    forged = envelopes(Maker("g2"), [Maker("g2").event()])
    assert post(served, forged, gateway="g1", status=403)["reasons"] == ["wrong_topic"]
    assert served.alarms() == []
    page = served.get("/api/v1/dead-letters")
    assert page["items"] == []
    counted = {(one["gateway"], one["reason"]) for one in page["rejections"]}
    assert counted == {("", "unknown_key"), ("g1", "wrong_topic")}


def test_200_go_at_once_and_one_more_does_not(served: Served) -> None:
    maker = Maker("g1")
    events = envelopes(maker, maker.presses(201))
    assert post(served, events, status=422)["type"] == "malformed"
    assert {outcome.value for outcome in outcomes(post(served, events[:200])).values()} == {"stored"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"events": []}',
        b'{"events": {}}',
        b'{"events": [1]}',
        b'{"events": [{}], "more": 1}',
        b'{"events": [{"a": NaN}]}',
        b'{"events": [{"a": "\\ud800"}]}',
        b"[" * 5_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_list_of_envelopes_is_one_problem(served: Served, body: bytes) -> None:
    answer = served.client.post("/api/v1/gateways/g1/events", content=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "malformed")


def test_a_body_without_end_is_not_read_to_its_end(served: Served) -> None:
    answer = served.client.post("/api/v1/gateways/g1/events", content=b" " * (rules.HTTP_BYTES_MOST + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "too_large")


@pytest.mark.proves("N7")
def test_a_gateway_that_comes_too_often_keeps_its_events_and_strangers_do_not_use_up_its_share(
    serve: Serve,
) -> None:
    gate = Gate()
    for _ in range(rules.STRANGER_BURST):
        gate.ask("g1", "10.0.0.9", 0)
        gate.failed("10.0.0.9", 0)
    with pytest.raises(TooOften):
        gate.ask("g1", "10.0.0.9", 0)
    for _ in range(rules.GATEWAY_BURST):
        gate.ask("g1", "10.0.0.1", 0)
        gate.passed("g1", 0)
    with pytest.raises(TooOften) as caught:
        gate.ask("g1", "10.0.0.1", 0)
    gate.ask("g1", "10.0.0.1", caught.value.wait_s)
    with serve() as served:
        maker = Maker("g1")
        for _ in range(rules.GATEWAY_BURST):
            served.client.app.state.gate.passed("g1", 1e12)  # type: ignore[attr-defined] # the test client says less
        press = maker.event()
        answer = served.client.post("/api/v1/gateways/g1/events", json={"events": envelopes(maker, [press])})
        assert (answer.status_code, answer.json()["type"]) == (429, "too_often")
        assert int(answer.headers["retry-after"]) >= 1
        assert served.station.ingest.counts.taken == 0


def test_an_allowance_is_whole_again_and_then_forgotten() -> None:
    allowances = Allowances(burst=2, rate=1)
    for _ in range(2):
        assert allowances.wait_s("a", 0) == 0
        allowances.spend("a", 0)
    assert allowances.wait_s("a", 0) == 1
    assert allowances.wait_s("b", 0) == 0
    assert allowances.wait_s("a", 1) == 0
    assert allowances._of["a"].whole(2)


@pytest.mark.proves("N9")
def test_a_message_that_breaks_the_writing_of_itself_spoils_no_other(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker("g1")
    events = maker.presses(3)
    absorb = served.station.alarms.absorb

    def broken(session: Any, some: Any, **more: Any) -> Any:
        if any(event.id == events[1].id for event in some):
            raise ZeroDivisionError
        return absorb(session, some, **more)

    monkeypatch.setattr(served.station.alarms, "absorb", broken)
    told = outcomes(post(served, envelopes(maker, events)))
    assert [told[event.id].value for event in events] == ["stored", "rejected", "stored"]


def test_it_works_without_a_broker(serve: Serve, broker: Any) -> None:
    with serve() as served:
        broker.stop()
        maker = Maker("g1")
        press = maker.event()
        assert outcomes(post(served, envelopes(maker, [press])))[press.id].value == "stored"


@pytest.mark.proves("A4", "N13")
def test_a_gateway_tries_the_road_with_its_status_and_nothing_is_kept(served: Served, gateway: Gateway) -> None:
    def tried(maker: Maker, *, status: int) -> Any:
        said = maker.signer.envelope(gateway.status())
        answer = served.client.post("/api/v1/gateways/g1/trial", content=said)
        assert answer.status_code == status, answer.text
        return answer.json()

    (receipt,) = tried(Maker("g1"), status=200)["receipts"]
    body = VERIFIER.open(build(Name.GATEWAY_RECEIPT, STATION, "g1"), canonical(receipt))
    assert isinstance(body, Receipt)
    assert body.outcomes() == {}
    assert tried(Maker("g2"), status=403)["reasons"] != []
    assert served.rows("SELECT count(*) FROM inbox") == [(0,)]
    for body_ in (b"", b"[]", b"1", b'{"events": []}'):
        assert served.client.post("/api/v1/gateways/g1/trial", content=body_).status_code in {403, 422}
