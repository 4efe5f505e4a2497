"""What becomes of a press at the station: merging, cancelling, acknowledging, and who is told."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from api.clock import wall_ms
from broker.ids import EventId
from broker.kinds import EventType, Kind, LadderState, Mark, UpdateState
from broker.messages import Action, AlarmUpdate, GatewayEvent
from broker.topics import Role
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served
from tests.api.peers import COMMUNITY, DEADLINE_S, GATEWAYS, GRID, HOUSEHOLDS, Gateway, Peer, listener

NAMES = {"li": "李警官", "zhao": "赵警官"}


@pytest.fixture
def other(broker: PrivateBroker) -> Iterator[Gateway]:
    with Gateway(broker, GATEWAYS[1]) as one:
        yield one


@pytest.fixture
def audiences(broker: PrivateBroker) -> Iterator[dict[str, Peer]]:
    """Everybody who may be told something, listening to all that the broker lets them hear."""
    with ExitStack() as stack:
        peers = {
            "police": listener(broker, Role.POLICE),
            "community": listener(broker, Role.COMMUNITY, COMMUNITY),
            "grid": listener(broker, Role.GRID, GRID),
            **{str(household): listener(broker, Role.HOUSEHOLD, household) for household in HOUSEHOLDS},
        }
        yield {name: stack.enter_context(peer) for name, peer in peers.items()}


def taken_in(gateway: Gateway, *events: GatewayEvent) -> None:
    gateway.send([*events])
    gateway.receipted(events)


def acknowledge(served: Served, alarm: str, officer: str = "li") -> dict[str, Any]:
    answer: dict[str, Any] = served.post(f"/api/v1/alarms/{alarm}/acknowledge", officer=officer)
    return answer


def told(peer: Peer) -> dict[EventId, list[UpdateState]]:
    """What a peer heard of each alarm, in order."""
    heard: dict[EventId, list[UpdateState]] = {}
    for update in peer.bodies(AlarmUpdate):
        heard.setdefault(update.alarm, []).append(update.state)
    return heard


def of(event: GatewayEvent) -> Any:
    return lambda body: body.alarm == event.id


class TestMerging:
    @pytest.mark.proves("N3", "F44")
    def test_one_press_heard_by_two_gateways_is_one_alarm_with_both_events(
        self, served: Served, gateway: Gateway, other: Gateway
    ) -> None:
        first = gateway.event(press="u1:4:1")
        second = other.event(press="u1:4:1")
        taken_in(gateway, first)
        taken_in(other, second)
        (alarm,) = served.alarms()
        assert (alarm["id"], alarm["presses"]) == (first.id, 2)
        detail = served.get(f"/api/v1/alarms/{second.id}")
        assert detail["id"] == first.id
        assert [(one["event"], one["gateway"], one["part"]) for one in detail["events"]] == [
            (first.id, "g1", "press"),
            (second.id, "g2", "press"),
        ]

    @pytest.mark.proves("N3")
    def test_both_in_one_batch_are_one_alarm_too(self, served: Served, gateway: Gateway) -> None:
        taken_in(gateway, gateway.event(press="u1:4:1"), gateway.event(press="u1:4:1"), gateway.event(press="u1:4:2"))
        assert [alarm["presses"] for alarm in served.alarms()] == [1, 2]

    def test_a_fixed_code_within_ten_seconds_is_one_alarm_and_later_another(
        self, served: Served, gateway: Gateway, other: Gateway
    ) -> None:
        code: dict[str, Any] = {"press": None, "unit": "r7", "verified": False, "clock": "unsynced"}
        taken_in(gateway, gateway.event(**code, age_ms=30_000))
        taken_in(other, other.event(**code, age_ms=24_000))
        taken_in(gateway, gateway.event(**code, age_ms=5))
        assert [(alarm["presses"], alarm["verified"]) for alarm in served.alarms()] == [(1, False), (2, False)]

    @pytest.mark.proves("N13")
    def test_a_forged_copy_hides_no_press(self, served: Served, gateway: Gateway, other: Gateway) -> None:
        """Whoever claims the key of a press first, unverified or elsewhere, does not swallow the real one."""
        claims = [
            other.event(press="u1:4:1", verified=False, reason="possible_replay"),
            other.event(EventType.UNVERIFIED, press="u1:4:1", verified=False),
            other.event(press="u1:4:1", place=HOUSEHOLDS[2]),
            other.event(press="u1:4:1", kind=Kind.TEST),
        ]
        taken_in(other, *claims)
        real = gateway.event(press="u1:4:1")
        taken_in(gateway, real)
        assert served.get(f"/api/v1/alarms/{real.id}")["id"] == real.id
        assert len(served.alarms()) == 5

    def test_how_long_the_key_was_held_belongs_to_its_press_in_whatever_order_they_come(
        self, served: Served, gateway: Gateway
    ) -> None:
        press, duration = gateway.event(press="u1:4:1"), gateway.event(EventType.DURATION, press="u1:4:1")
        early, late = gateway.event(EventType.DURATION, press="u1:4:2"), gateway.event(press="u1:4:2")
        taken_in(gateway, press, duration, early)
        taken_in(gateway, late)
        for alarm, held in ((press, duration), (late, early)):
            parts = {one["event"]: one["part"] for one in served.get(f"/api/v1/alarms/{alarm.id}")["events"]}
            assert parts == {alarm.id: "press", held.id: "duration"}


class TestWhatIsShown:
    def test_a_press_shows_both_clocks_and_how_good_the_gateways_was(self, serve: Serve, gateway: Gateway) -> None:
        now = wall_ms()
        with serve(clock=lambda: now) as served:
            taken_in(gateway, gateway.event(at_ms=1_000, clock="unsynced", age_ms=1_500))
            (alarm,) = served.alarms()
        assert alarm["at"] == "1970-01-01T00:00:01Z"
        assert (alarm["clock"], alarm["age_ms"], alarm["late"]) == ("unsynced", 1_500, False)
        assert alarm["happened"] < alarm["received"]

    @pytest.mark.proves("N12")
    @pytest.mark.parametrize(
        "fields", [{"age_ms": 60_001, "clock": "unsynced"}, {"age_ms": 5, "at_ms": wall_ms() - 60_500}]
    )
    def test_what_is_older_than_a_minute_is_marked_late(
        self, served: Served, gateway: Gateway, fields: dict[str, Any]
    ) -> None:
        taken_in(gateway, gateway.event(**fields))
        assert [alarm["late"] for alarm in served.alarms()] == [True]

    @pytest.mark.parametrize(("kind", "mark"), [(Kind.TEST, "test"), (Kind.DRILL, "drill"), (Kind.PANIC, None)])
    def test_tests_and_drills_are_marked(self, served: Served, gateway: Gateway, kind: Kind, mark: str | None) -> None:
        taken_in(gateway, gateway.event(kind=kind))
        assert [alarm["mark"] for alarm in served.alarms()] == [mark]

    @pytest.mark.proves("A11")
    def test_a_panic_that_is_marked_for_a_drill_that_nobody_announced_is_real(
        self, served: Served, gateway: Gateway
    ) -> None:
        taken_in(gateway, gateway.event(mark=Mark.DRILL))
        assert [(alarm["kind"], alarm["mark"]) for alarm in served.alarms()] == [("panic", None)]

    def test_a_test_key_without_a_kind_is_a_test(self, served: Served, gateway: Gateway) -> None:
        taken_in(gateway, gateway.event(EventType.TEST))
        assert [alarm["kind"] for alarm in served.alarms()] == ["test"]

    def test_check_ins_and_heartbeats_are_kept_and_are_no_alarms(self, served: Served, gateway: Gateway) -> None:
        taken_in(gateway, gateway.event(EventType.CHECK_IN), gateway.event(EventType.HEARTBEAT))
        assert served.alarms() == []
        assert served.rows("SELECT count(*) FROM inbox") == [(2,)]


class TestCancelling:
    @pytest.mark.proves("A6")
    def test_a_households_cancel_closes_nothing(
        self, served: Served, gateway: Gateway, audiences: dict[str, Peer]
    ) -> None:
        press = gateway.event(press="u1:4:1")
        cancel = gateway.event(EventType.CANCEL, press="u1:4:1")
        taken_in(gateway, press, cancel)
        (alarm,) = served.alarms()
        assert (alarm["state"], alarm["state_words"]["zh"]) == ("cancelled_by_household", "住户撤销·待核实")
        assert alarm["cancelled"] is not None
        for name, peer in audiences.items():
            if name != HOUSEHOLDS[0]:
                update = peer.hear(AlarmUpdate, of(press))
                assert update.state is UpdateState.CANCELLED_BY_HOUSEHOLD
        assert acknowledge(served, press.id)["state"] == "acknowledged"
        steps = served.get(f"/api/v1/alarms/{press.id}")["steps"]
        assert [(step["action"], step["state"]) for step in steps] == [
            ("receive", "received"),
            ("cancel", "cancelled_by_household"),
            ("acknowledge", "acknowledged"),
        ]

    def test_after_the_acknowledgement_a_cancel_is_noted_beside_it(self, served: Served, gateway: Gateway) -> None:
        press = gateway.event(press="u1:4:1")
        taken_in(gateway, press)
        acknowledge(served, press.id)
        taken_in(gateway, gateway.event(EventType.CANCEL, press="u1:4:1"))
        (alarm,) = served.alarms()
        assert alarm["state"] == "acknowledged"
        assert alarm["cancelled"] is not None

    @pytest.mark.proves("N4")
    @pytest.mark.parametrize("press_named", ["u1:4:1", "u1:4:0"])
    def test_duress_cannot_be_cancelled(self, served: Served, gateway: Gateway, press_named: str) -> None:
        press = gateway.event(press="u1:4:1", kind=Kind.DURESS)
        cancel = gateway.event(EventType.CANCEL, press=press_named)
        taken_in(gateway, press, cancel)
        (alarm,) = served.alarms()
        assert (alarm["state"], alarm["cancelled"]) == ("received", None)

    def test_a_refused_cancel_of_duress_is_kept_and_shown(self, served: Served, gateway: Gateway) -> None:
        press = gateway.event(press="u1:4:1", kind=Kind.DURESS)
        early = gateway.event(EventType.CANCEL, press="u1:4:1")
        taken_in(gateway, early)
        taken_in(gateway, press)
        parts = [one["part"] for one in served.get(f"/api/v1/alarms/{press.id}")["events"]]
        assert sorted(parts) == ["cancel_refused", "press"]

    @pytest.mark.proves("N13")
    def test_a_cancel_that_is_not_verified_changes_nothing(self, served: Served, gateway: Gateway) -> None:
        press = gateway.event(press="u1:4:1")
        taken_in(gateway, press, gateway.event(EventType.CANCEL, press="u1:4:1", verified=False))
        assert [alarm["state"] for alarm in served.alarms()] == ["received"]

    @pytest.mark.proves("N13")
    def test_a_cancel_by_a_gateway_that_did_not_bring_the_press_changes_nothing(
        self, served: Served, gateway: Gateway, other: Gateway
    ) -> None:
        press = gateway.event(press="u1:4:1")
        taken_in(other, other.event(EventType.CANCEL, press="u1:4:1"))
        taken_in(gateway, press)
        taken_in(other, other.event(EventType.CANCEL, press="u1:4:1"))
        assert [alarm["state"] for alarm in served.alarms()] == ["received"]

    def test_a_cancel_that_overtook_its_press_takes_effect_when_the_press_comes(
        self, served: Served, gateway: Gateway
    ) -> None:
        press, cancel = gateway.event(press="u1:4:1"), gateway.event(EventType.CANCEL, press="u1:4:1")
        taken_in(gateway, cancel)
        assert served.alarms() == []
        taken_in(gateway, press)
        assert [alarm["state"] for alarm in served.alarms()] == ["cancelled_by_household"]
        both = [gateway.event(EventType.CANCEL, press="u1:4:2"), gateway.event(press="u1:4:2")]
        taken_in(gateway, *both)
        assert {alarm["state"] for alarm in served.alarms()} == {"cancelled_by_household"}

    def test_a_cancel_without_a_number_means_the_last_visible_press_of_the_unit(
        self, served: Served, gateway: Gateway
    ) -> None:
        presses = [
            gateway.event(press="u1:4:1"),
            gateway.event(press="u1:4:2"),
            gateway.event(press="u2:9:3", unit="u2"),
        ]
        taken_in(gateway, *presses)
        taken_in(gateway, gateway.event(EventType.CANCEL, press="u1:4:0"))
        states = {alarm["id"]: alarm["state"] for alarm in served.alarms()}
        assert [states[press.id] for press in presses] == ["received", "cancelled_by_household", "received"]

    def test_a_second_cancel_tells_nobody_again(
        self, served: Served, gateway: Gateway, audiences: dict[str, Peer]
    ) -> None:
        press = gateway.event(press="u1:4:1")
        taken_in(gateway, press, gateway.event(EventType.CANCEL, press="u1:4:1"))
        taken_in(gateway, gateway.event(EventType.CANCEL, press="u1:4:1"))
        acknowledge(served, press.id)
        audiences["police"].hear(AlarmUpdate, lambda update: update.state is UpdateState.ACKNOWLEDGED)
        assert told(audiences["police"])[press.id] == [
            UpdateState.CANCELLED_BY_HOUSEHOLD,
            UpdateState.ACKNOWLEDGED,
        ]


class TestAcknowledging:
    @pytest.mark.proves("N11", "F49")
    def test_of_two_at_once_exactly_one_wins_and_the_other_is_told_who(self, served: Served, gateway: Gateway) -> None:
        presses = gateway.presses(20)
        taken_in(gateway, *presses)
        start = threading.Barrier(2)
        answers: dict[tuple[str, str], Any] = {}

        def press_button(officer: str) -> None:
            for press in presses:
                start.wait(DEADLINE_S)
                answers[officer, press.id] = served.client.post(
                    f"/api/v1/alarms/{press.id}/acknowledge", headers={"Authorization": f"Bearer token-of-{officer}"}
                )

        officers = [threading.Thread(target=press_button, args=(officer,)) for officer in ("li", "zhao")]
        for officer in officers:
            officer.start()
        for officer in officers:
            officer.join()
        for press in presses:
            both = {officer: answers[officer, press.id] for officer in ("li", "zhao")}
            assert sorted(answer.status_code for answer in both.values()) == [200, 409]
            (winner,) = (officer for officer, answer in both.items() if answer.status_code == 200)
            (lost,) = (answer for answer in both.values() if answer.status_code == 409)
            assert lost.headers["content-type"] == "application/problem+json"
            assert (lost.json()["type"], lost.json()["by"]) == ("already_acknowledged", winner)
            assert NAMES[winner] in lost.json()["detail"]
            alarm = served.get(f"/api/v1/alarms/{press.id}")
            assert (alarm["acknowledged"]["by"], alarm["acknowledged"]["name"]) == (winner, NAMES[winner])
        assert served.rows("SELECT count(*) FROM alarm_step WHERE action = 'acknowledge'") == [(20,)]

    @pytest.mark.proves("N4")
    def test_everybody_who_was_told_of_the_alarm_is_told_by_role_and_never_by_name(
        self, served: Served, gateway: Gateway, audiences: dict[str, Peer]
    ) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        acknowledge(served, press.id, officer="zhao")
        for name, peer in audiences.items():
            if name == HOUSEHOLDS[0]:
                continue
            update = peer.hear(AlarmUpdate, of(press))
            assert (update.state, update.by, update.word_zh) == (UpdateState.ACKNOWLEDGED, "duty_officer", "签收")
            for heard in peer.heard:
                text = heard.payload.decode()
                assert "赵警官" not in text
                assert "zhao" not in text
                assert "老王家" not in text

    @pytest.mark.proves("N4")
    def test_of_duress_only_the_police_hear_and_no_lamp_changes(
        self, served: Served, gateway: Gateway, audiences: dict[str, Peer]
    ) -> None:
        """The panic behind it is the fence: what it brought everybody came after anything that the duress could."""
        duress, panic = gateway.event(kind=Kind.DURESS), gateway.event()
        gateway.say_status()
        taken_in(gateway, duress, panic)
        acknowledge(served, duress.id)
        acknowledge(served, panic.id)
        audiences["police"].hear(AlarmUpdate, of(duress))
        for name, peer in audiences.items():
            if name != HOUSEHOLDS[0]:
                peer.hear(AlarmUpdate, of(panic))
        gateway.commanded(of(panic))
        hearing = {name for name, peer in audiences.items() if duress.id in told(peer)}
        assert hearing == {"police"}
        assert [command.alarm for command in gateway.bodies(type(gateway.commanded()))] == [panic.id]
        assert served.rows("SELECT DISTINCT topic FROM outgoing WHERE alarm = ?", duress.id) == [
            ("sw1/north/police/update",)
        ]

    @pytest.mark.proves("N4")
    def test_an_unknown_group_is_a_matter_of_the_police_only(
        self, served: Served, gateway: Gateway, audiences: dict[str, Peer]
    ) -> None:
        press = gateway.event(group="nowhere", place="h99")
        taken_in(gateway, press)
        acknowledge(served, press.id)
        audiences["police"].hear(AlarmUpdate, of(press))
        assert served.rows("SELECT topic FROM outgoing WHERE command_to IS NULL") == [("sw1/north/police/update",)]

    @pytest.mark.proves("A5")
    def test_the_lamp_follows_by_a_signed_command_with_the_gateways_session(
        self, served: Served, gateway: Gateway
    ) -> None:
        gateway.say_status()
        presses = gateway.presses(3)
        taken_in(gateway, *presses)
        for press in presses:
            acknowledge(served, press.id)
        commands = [gateway.commanded(of(press)) for press in presses]
        for press, command in zip(presses, commands, strict=True):
            assert (command.action, command.state) == (Action.LADDER, LadderState.POLICE_HAVE_IT)
            assert (command.alarm, command.session) == (press.id, gateway.session)
        counters = [command.counter for command in commands]
        assert counters == sorted({*counters})

    def test_each_gateway_is_told_by_the_id_that_it_knows_the_press_by(
        self, served: Served, gateway: Gateway, other: Gateway, audiences: dict[str, Peer]
    ) -> None:
        gateway.say_status()
        other.say_status()
        first, second = gateway.event(press="u1:4:1"), other.event(press="u1:4:1")
        taken_in(gateway, first)
        taken_in(other, second)
        acknowledge(served, second.id)
        assert gateway.commanded().alarm == first.id
        assert other.commanded().alarm == second.id
        for event in (first, second):
            audiences[HOUSEHOLDS[1]].hear(AlarmUpdate, of(event))

    @pytest.mark.proves("F50")
    def test_a_gateway_that_brings_the_press_after_the_acknowledgement_is_told_at_once(
        self, served: Served, gateway: Gateway, other: Gateway, audiences: dict[str, Peer]
    ) -> None:
        other.say_status()
        first, second = gateway.event(press="u1:4:1"), other.event(press="u1:4:1")
        taken_in(gateway, first)
        acknowledge(served, first.id)
        taken_in(other, second)
        assert other.commanded().alarm == second.id
        assert audiences["grid"].hear(AlarmUpdate, of(second)).state is UpdateState.ACKNOWLEDGED

    def test_nobody_acknowledges_what_is_not_there(self, served: Served, gateway: Gateway) -> None:
        nobody = gateway.new_id()
        answer = served.post(f"/api/v1/alarms/{nobody}/acknowledge", status=404)
        assert (answer["type"], answer["status"]) == ("no_such_alarm", 404)
