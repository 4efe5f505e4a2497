"""Installing: chirps go on a list and on no desk; whoever is handed over, or outside a window, is real."""

from typing import Any

import pytest

from api.installing.rules import Left, heard_ms, left, same_address
from api.rights.rules import Role
from broker.kinds import EventType
from broker.messages import Action, Command
from tests.api.browsing import Visitor
from tests.api.conftest import Served
from tests.api.peers import COMMUNITY, HOUSEHOLDS, Gateway, eventually
from tests.api.signing_in import account

ZHAO = {"Authorization": "Bearer token-of-zhao"}


def ask(served: Served, verb: str, path: str, *, status: int = 200, if_match: str | None = None, **body: Any) -> Any:
    headers = ZHAO | ({} if if_match is None else {"If-Match": if_match})
    answer = served.client.request(verb, f"/api/v1{path}", json=body or None, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def hang(served: Served, unit: str = "n1", place: str = HOUSEHOLDS[1], gateway: str = "g1") -> None:
    """A new unit that is not handed over yet."""
    ask(served, "POST", "/register/units", status=201, id=unit, gateway=gateway, line="line1", address=77)
    ask(served, "POST", f"/register/units/{unit}/install", if_match='"1"', place=place)


def chirp(gateway: Gateway, unit: str = "n1", press: str = "n1:1:1") -> Any:
    return gateway.event(EventType.TEST, unit=unit, press=press, detail={"installing": True, "key": "fire"})


def taken_in(gateway: Gateway, *events: Any) -> None:
    gateway.send(events)
    gateway.receipted(events)


def listed(served: Served) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = ask(served, "GET", "/installations")["items"]
    return items


class TestInstalling:
    @pytest.mark.proves("A2")
    def test_a_unit_is_hung_pressed_read_back_and_handed_over(self, served: Served, gateway: Gateway) -> None:
        gateway.say_status()
        hang(served, gateway=gateway.name)
        (one,) = listed(served)
        assert (one["unit"], one["chirps"]) == ("n1", 0)
        assert [step["step"] for step in one["left"]] == ["press", "read_back", "hand_over"]
        window = ask(
            served, "POST", "/installations/windows", status=201, gateway=gateway.name, place=HOUSEHOLDS[1], minutes=30
        )
        command = gateway.commanded(lambda command: command.action is Action.INSTALL)
        assert (command.place, command.lasts_ms) == (HOUSEHOLDS[1], 1_800_000)
        assert [one["number"] for one in ask(served, "GET", "/installations/windows")] == [window["number"]]
        taken_in(gateway, chirp(gateway))
        assert served.alarms() == []
        refused = ask(served, "POST", "/installations/n1/hand-over", status=409)
        assert (refused["type"], refused["left"]) == ("not_ready", ["read_back"])
        other = ask(served, "POST", "/installations/n1/read-back", status=409, address="别的地方")
        assert other["type"] == "other_address"
        read = ask(served, "POST", "/installations/n1/read-back", address=" 第 1户 ")
        assert (read["read_back_by"], [step["step"] for step in read["left"]]) == ("zhao", ["hand_over"])
        assert (read["siren"], read["siren_words"]["zh"]) == (None, "没人说警报器叫没叫")  # and nothing waits for it

        def say(heard: bool, **at: str) -> Any:
            said: dict[str, Any] = {"place": HOUSEHOLDS[1], "heard": heard} | at
            return ask(served, "POST", "/installations/n1/siren", **said)

        phone = {"at": "2030-01-01T10:00:00Z", "now": "2030-01-01T10:00:00Z"}  # a clock that is wrong, and none asks
        assert say(False, **phone)["siren"] is False
        account(served.station, "lao", (Role.INSTALLER, COMMUNITY))
        visitor = Visitor(served)
        visitor.sign_in("lao")
        for path in ("/register/installations", "/register/devices/n1"):
            assert "警报器没叫" in visitor.get(path), path
        assert say(True)["siren_said_by"] == "zhao"
        ask(served, "POST", "/installations/n1/hand-over", status=204)
        assert listed(served) == []
        late = {"at": "2030-01-01T09:00:00Z", "now": "2030-01-01T10:00:00Z"}
        assert say(False, **late)["siren"] is True  # heard an hour before, and kept by a phone without a network
        assert say(False)["siren"] is False  # also of a unit that is handed over
        (record,) = ask(served, "GET", "/installations/n1")
        assert (record["siren"], record["siren_words"]) == (
            False,
            {"zh": "警报器没叫", "en": "the siren did not sound"},
        )
        assert "警报器没叫" in visitor.get("/register/devices/n1")
        audited = served.rows(
            "SELECT words FROM audit_words JOIN audit USING (seq) WHERE action = 'install.sign' AND about = 'unit:n1'"
        )
        assert sum('"siren"' in str(words) for (words,) in audited) == 3
        ask(served, "POST", "/installations/n1/siren", status=404, place=HOUSEHOLDS[0], heard=True)
        ask(served, "GET", "/installations/x9")
        unit = served.station.register.unit("n1")
        assert unit is not None
        assert unit.handed
        assert served.rows("SELECT handed_by FROM unit_place WHERE unit = 'n1'") == [("zhao",)]

    @pytest.mark.proves("A2", "N13")
    @pytest.mark.parametrize("case", ["handed over", "no window", "elsewhere", "unknown"])
    def test_what_a_gateway_takes_for_a_chirp_is_real_where_the_station_knows_better(
        self, served: Served, gateway: Gateway, case: str
    ) -> None:
        hang(served, gateway=gateway.name)
        if case == "elsewhere":
            hang_other: dict[str, Any] = {"gateway": gateway.name, "place": HOUSEHOLDS[0], "minutes": 5}
            ask(served, "POST", "/installations/windows", status=422, **hang_other)
        elif case != "no window":
            ask(served, "POST", "/installations/windows", status=201, gateway=gateway.name, minutes=5)
        unit = {"handed over": "u1", "unknown": "x9"}.get(case, "n1")
        taken_in(gateway, chirp(gateway, unit, press=f"{unit}:1:1"))
        assert [(alarm["kind"], alarm["mark"], alarm["unit"]) for alarm in served.alarms()] == [("fire", None, unit)]
        assert [one["chirps"] for one in listed(served)] == [0]

    def test_a_window_is_closed_and_told(self, served: Served, gateway: Gateway) -> None:
        hang(served, gateway=gateway.name)
        early = ask(served, "POST", "/installations/windows", status=201, gateway=gateway.name, minutes=5)
        assert not early["gateway_online"]  # nobody has heard of it there
        gateway.say_status()
        eventually(lambda: ask(served, "GET", "/installations/windows")[0]["gateway_online"], "known to be there")
        window = ask(served, "POST", "/installations/windows", status=201, gateway=gateway.name, minutes=30)
        assert window["gateway_online"]
        closed = ask(served, "POST", f"/installations/windows/{window['number']}/close")
        assert not closed["open"]
        gateway.commanded(lambda command: command.lasts_ms == 0)
        assert ask(served, "GET", "/installations/windows") == []
        ask(served, "POST", "/installations/windows/99/close", status=404)
        ask(served, "POST", "/installations/windows", status=404, gateway="g9", minutes=30)
        ask(served, "POST", "/installations/windows", status=422, gateway=gateway.name, minutes=999)

    def test_a_gateway_that_begins_anew_is_told_its_windows_again(self, served: Served, gateway: Gateway) -> None:
        hang(served, gateway=gateway.name)
        gateway.say_status()
        ask(served, "POST", "/installations/windows", status=201, gateway=gateway.name, minutes=30)
        gateway.commanded(lambda command: command.action is Action.INSTALL)
        gateway.say_status()
        gateway.session = type(gateway.session)("f" * 32)
        gateway.say_status()
        gateway.until(lambda: len(gateway.bodies(Command)) >= 2, "the window again")

    def test_an_officer_may_not_open_windows(self, served: Served) -> None:
        answer = served.client.post(
            "/api/v1/installations/windows",
            json={"gateway": "g1", "minutes": 5},
            headers={"Authorization": "Bearer token-of-li"},
        )
        assert answer.status_code == 403


def test_what_is_left_stands_in_its_order() -> None:
    assert left(wired=False, chirped=False, read_back=False) == tuple(Left)
    assert left(wired=True, chirped=True, read_back=True) == (Left.HAND_OVER,)


def test_an_address_is_the_same_whatever_the_spaces() -> None:
    assert same_address("东街 9 号 A座", "东街9号a座")
    assert not same_address("东街 9 号", "东街 8 号")


def test_what_was_heard_is_dated_by_how_long_the_phone_kept_it_and_never_later_than_now() -> None:
    assert heard_ms(10_000, at_ms=500_000, phone_now_ms=504_000) == 6_000
    assert heard_ms(10_000, at_ms=900, phone_now_ms=100) == 10_000
    assert (heard_ms(10_000, at_ms=900, phone_now_ms=None), heard_ms(10_000, at_ms=None, phone_now_ms=1)) == (
        10_000,
    ) * 2
