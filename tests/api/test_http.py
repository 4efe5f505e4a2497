"""The station over HTTP: who may ask, how errors look, how lists go on, what health says."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.kinds import EventType
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served
from tests.api.peers import DEADLINE_S, Gateway, eventually

LISTS = ("/api/v1/alarms", "/api/v1/dead-letters", "/api/v1/events", "/api/v1/faults", "/api/v1/gateways")
SOME_ID = "01a20124-9d1e-7dd3-acdc-c9a14d326c69"
WRONG = (
    ("GET", "/nowhere", 404, "about:blank"),
    ("DELETE", "/api/v1/alarms", 405, "about:blank"),
    ("GET", "/api/v1/alarms?limit=0", 422, "malformed"),
    ("GET", "/api/v1/alarms?limit=many", 422, "malformed"),
    ("GET", "/api/v1/alarms?state=nonsense", 422, "malformed"),
    ("GET", "/api/v1/alarms?after=nonsense", 422, "bad_cursor"),
    ("GET", "/api/v1/alarms?after=nffffffffffffffffffff", 422, "bad_cursor"),
    ("GET", "/api/v1/dead-letters?after=n", 422, "bad_cursor"),
    ("GET", "/api/v1/alarms/not-an-id", 422, "malformed"),
    ("GET", f"/api/v1/alarms/{SOME_ID}", 404, "no_such_alarm"),
    ("POST", f"/api/v1/alarms/{SOME_ID}/acknowledge", 404, "no_such_alarm"),
)
"""Requests that cannot be carried out, with the status and the kind of problem."""
UNREADABLE = {
    "cut off": b"{",
    "no UTF-8": b'{"login": "\xff\xfe"}',
    "half a character": b'{"login": "li", "password": "\\ud800"}',
    "half a name": b'{"login": "\\udfff", "password": "x"}',
    "a number without end": b'{"login": ' + b"9" * 5_000 + b"}",
    "deep": b"[" * 100_000,
}


def operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation of the application, from its own OpenAPI document."""
    document = client.get("/openapi.json").json()
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


class TestAccess:
    def test_every_operation_that_documents_a_proof_asks_for_it_and_no_other(self, served: Served) -> None:
        """Which may be open to all, `rights.toml` says; test_role_matrix.py holds the routes to it."""
        for method, path, operation in operations(served.client):
            answer = served.client.request(method, path.replace("{alarm}", SOME_ID))
            assert (answer.status_code == 401) is ("security" in operation), path

    def test_whoever_has_no_token_is_asked_for_one(self, served: Served) -> None:
        for header in ("", "Bearer", "Bearer wrong", "Basic bGk6eA==", "Bearer 密码", "token-of-li"):
            answer = served.client.get("/api/v1/alarms", headers=[(b"Authorization", header.encode())])
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), header
            assert answer.json()["type"] == "not_known", header

    def test_each_officer_has_a_token_of_their_own(self, served: Served, gateway: Gateway) -> None:
        presses = gateway.presses(2)
        gateway.send(presses)
        gateway.receipted(presses)
        for press, officer in zip(presses, ("li", "zhao"), strict=True):
            taken = served.post(f"/api/v1/alarms/{press.id}/acknowledge", officer=officer)
            assert taken["acknowledged"]["by"] == officer


class TestProblems:
    def test_every_error_has_one_shape(self, served: Served) -> None:
        for method, path, status, kind in WRONG:
            answer = served.client.request(method, path, headers={"Authorization": "Bearer token-of-li"})
            assert answer.headers["content-type"] == "application/problem+json", path
            body = answer.json()
            assert (answer.status_code, body["status"], body["type"]) == (status, status, kind), path
            assert body["title"], path
            assert body["detail"], path

    def test_a_body_that_cannot_be_read_is_malformed(self, served: Served) -> None:
        for what, body in UNREADABLE.items():
            answer = served.client.post("/api/v1/session", content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["type"]) == (422, "malformed"), what
            assert answer.json()["faults"], what

    def test_every_operation_documents_its_errors_in_that_shape(self, served: Served) -> None:
        for _method, path, operation in operations(served.client):
            for status, response in operation["responses"].items():
                if status >= "400" and (status, path) != ("503", "/healthz"):
                    assert [*response["content"]] == PROBLEM, (path, status)

    def test_a_mistake_of_ours_is_answered_without_its_particulars(
        self, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("老王家")

        monkeypatch.setattr("api.alarms.repository.page", broken)
        client = TestClient(served.client.app, raise_server_exceptions=False)
        answer = client.get("/api/v1/alarms", headers={"Authorization": "Bearer token-of-li"})
        assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM[0])
        assert "老王家" not in answer.text
        assert "老王家" not in capsys.readouterr().out


PROBLEM = ["application/problem+json"]


class TestLists:
    def test_they_go_on_page_by_page_and_lose_and_repeat_nothing(self, served: Served, gateway: Gateway) -> None:
        presses = gateway.presses(25)
        gateway.send(presses)
        gateway.receipted(presses)
        seen: list[str] = []
        after: dict[str, Any] = {}
        while True:
            page = served.get("/api/v1/alarms", limit=10, **after)
            seen += [alarm["id"] for alarm in page["items"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert seen == [press.id for press in reversed(presses)]

    def test_they_can_be_narrowed_to_a_state(self, served: Served, gateway: Gateway) -> None:
        presses = gateway.presses(3)
        gateway.send(presses)
        gateway.receipted(presses)
        served.post(f"/api/v1/alarms/{presses[1].id}/acknowledge")
        for state, expected in (("acknowledged", [1]), ("received", [2, 0]), ("cancelled_by_household", [])):
            items = served.get("/api/v1/alarms", state=state)["items"]
            assert [alarm["id"] for alarm in items] == [presses[index].id for index in expected]

    def test_what_gateways_recorded_can_be_listed_by_type(self, served: Served, gateway: Gateway) -> None:
        events = [gateway.event(EventType.CHECK_IN, detail={"tag": "0012AB"}), gateway.event()]
        gateway.send(events)
        gateway.receipted(events)
        (check_in,) = served.get("/api/v1/events", type="check_in")["items"]
        assert (check_in["id"], check_in["detail"]) == (events[0].id, {"tag": "0012AB"})
        assert len(served.get("/api/v1/events")["items"]) == 2

    def test_dead_letters_go_on_page_by_page(self, served: Served, gateway: Gateway) -> None:
        gateway.publish_all([(gateway.topic, f"garbage {number}".encode()) for number in range(7)])
        last = gateway.event()
        gateway.send([last])
        gateway.receipted([last])
        first = served.get("/api/v1/dead-letters", limit=5)
        rest = served.get("/api/v1/dead-letters", limit=5, after=first["next"])
        payloads = [letter["payload"] for letter in [*first["items"], *rest["items"]]]
        assert payloads == [f"garbage {number}" for number in reversed(range(7))]
        assert rest["next"] is None

    def test_an_empty_station_has_empty_lists(self, served: Served) -> None:
        for path in LISTS:
            assert not any(served.get(path).values()), path


class TestHealth:
    def test_a_station_that_works_is_ok(self, served: Served) -> None:
        health = served.health()
        assert health["status"] == "ok"
        assert health["database"] == {"writable": True}
        assert health["broker"] == {"connected": True, "trouble": None}
        assert health["ingest"]["alive"]
        assert health["outgoing"] == {"alive": True, "waiting": 0}

    @pytest.mark.proves("N8")
    @pytest.mark.parametrize("worker", ["escalation", "notify", "feed", "rounds"])
    def test_a_worker_that_has_stopped_is_no_secret(self, served: Served, worker: str) -> None:
        served.station.workers[worker].stop()
        health = served.health()
        assert (health["status"], health["stopped"]) == ("failing", [worker])

    @pytest.mark.proves("N8")
    def test_without_its_broker_it_says_so_and_still_shows_what_it_has(
        self, served: Served, gateway: Gateway, broker: PrivateBroker
    ) -> None:
        press = gateway.event()
        gateway.send([press])
        gateway.receipted([press])
        broker.kill()
        eventually(lambda: not served.station.link.ready.is_set(), "noticed")
        health = served.health()
        assert (health["status"], health["broker"]["connected"]) == ("failing", False)
        assert health["broker"]["trouble"]
        assert [alarm["id"] for alarm in served.alarms()] == [press.id]
        assert served.post(f"/api/v1/alarms/{press.id}/acknowledge")["state"] == "acknowledged"

    @pytest.mark.proves("N14")
    def test_it_starts_without_a_broker_and_finds_it_later(self, serve: Serve, broker: PrivateBroker) -> None:
        broker.stop()
        with serve(wait=False) as served:
            assert served.health()["status"] == "failing"
            broker.start()
            assert served.station.link.ready.wait(DEADLINE_S)
            assert served.health()["status"] == "ok"

    def test_it_tells_nothing_of_alarms(self, served: Served, gateway: Gateway) -> None:
        press = gateway.event()
        gateway.send([press])
        gateway.receipted([press])
        text = served.client.get("/healthz").text
        assert not any(word in text for word in (press.id, "老王家", "h01", "panic", "gr1"))


def test_no_page_loads_anything_from_elsewhere(served: Served) -> None:
    assert served.client.get("/redoc").status_code == 404
    manual = served.client.get("/docs")
    assert manual.status_code == 200
    assert not re.search(r"<script|<link|(?:src|href)=.?https?:", manual.text)
    assert "http" not in served.client.get("/healthz").text
