"""The life of an alarm: the table against a model, and the whole of it over HTTP as each role."""

import re
import threading
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import settings as attempts
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from api.alarms import repository
from api.alarms.keeping import MISSING, FolderWatch
from api.alarms.models import AlarmDispatch
from api.alarms.rules import (
    CLIMBS,
    CLOSED,
    FRESH,
    HANDLED,
    OPEN,
    TABLE,
    Action,
    Outcome,
    State,
    gravest,
    joins_incidents,
    may_become,
    may_call,
    may_follow_up,
    may_resolve,
    needs_visit,
    told,
)
from api.alarms.schemas import ACTION_WORDS, OUTCOME_WORDS, RING_WORDS, STATE_WORDS
from api.drills.models import Away
from api.rights.rules import Role
from api.settings import StationSettings
from broker.kinds import SIREN_PRIORITY, EventType, Kind, LadderState, Mark, UpdateState
from broker.messages import Action as Order
from broker.messages import AlarmUpdate, GatewayEvent
from broker.topics import Role as Wire
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, DEADLINE_S, GATEWAYS, GRID, HOUSEHOLDS, STATION, Gateway, eventually, listener
from tests.api.people import Somebody, add_grant, somebody

DAY: Final = 24 * 3_600_000
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "lifecycle.md"


class TestTable:
    @pytest.mark.proves("A7")
    def test_it_answers_every_pair_and_every_word_is_there_in_both_languages(self) -> None:
        assert TABLE.keys() == {*product(State, Action)}
        for words, told_of in ((STATE_WORDS, State), (ACTION_WORDS, Action), (OUTCOME_WORDS, Outcome)):
            assert {*words} == {*told_of}
            assert all(word.zh and word.en for word in words.values())
        assert len(RING_WORDS) == 6

    @pytest.mark.proves("A7")
    def test_the_document_shows_the_table_as_it_is(self) -> None:
        rows = re.findall(r"^\| `(\w+)` [^|]*\|(.*)\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
        shown = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows if name in {*Action}}
        assert shown.keys() == {*Action}
        for action in Action:
            after = [TABLE[state, action] for state in State]
            cells = [
                "-" if one is None else "=" if one is state else f"{one}"
                for one, state in zip(after, State, strict=True)
            ]
            assert shown[action] == cells, action

    @pytest.mark.proves("A6")
    @pytest.mark.parametrize("action", [Action.RECEIVE, Action.CANCEL, Action.ANSWER, Action.ARRIVE, Action.RUNG])
    def test_nothing_that_a_household_or_a_unit_does_closes_an_alarm(self, action: Action) -> None:
        for state in OPEN:
            assert TABLE[state, action] in OPEN

    def test_what_is_handled_was_acknowledged_first(self) -> None:
        waiting = {action for action in Action for state in FRESH if TABLE[state, action] in HANDLED}
        assert waiting == {Action.ACKNOWLEDGE}

    def test_only_by_resolving_it_is_closed_and_only_by_reopening_open_again(self) -> None:
        closing = {action for (state, action), after in TABLE.items() if state in OPEN and after in CLOSED}
        opening = {action for (state, action), after in TABLE.items() if state in CLOSED and after in OPEN}
        assert (closing, opening) == ({Action.RESOLVE}, {Action.REOPEN})

    @pytest.mark.parametrize(("kind", "outcome"), [*product(Kind, Outcome)])
    def test_nothing_in_earnest_is_closed_unseen(self, kind: Kind, outcome: Outcome) -> None:
        assert may_resolve(kind, None, checked=True, outcome=outcome) is True
        assert may_resolve(kind, None, checked=False, outcome=outcome) is False
        unseen = outcome in {Outcome.TEST, Outcome.DRILL} and kind is not Kind.DURESS
        assert may_resolve(kind, Mark.DRILL, checked=False, outcome=outcome) is unseen

    @pytest.mark.proves("N4")
    @pytest.mark.parametrize(("before", "after"), [*product(Kind, Kind)])
    def test_nothing_becomes_duress_and_duress_becomes_nothing(self, before: Kind, after: Kind) -> None:
        if Kind.DURESS in {before, after}:
            assert may_become(before, after) is False
        assert may_call(Kind.DURESS, in_person=False) is False

    @given(st.lists(st.sampled_from([kind for kind in Kind if joins_incidents(kind, None)]), min_size=1))
    def test_the_kind_of_an_incident_only_rises_with_what_joins_it(self, kinds: list[Kind]) -> None:
        ranks = [SIREN_PRIORITY.index(gravest(kinds[: many + 1])) for many in range(len(kinds))]
        assert ranks == sorted(ranks, reverse=True)

    @pytest.mark.parametrize("kind", Kind)
    def test_duress_tests_and_drills_are_part_of_no_incident(self, kind: Kind) -> None:
        alone = {Kind.DURESS, Kind.UNVERIFIED, Kind.TAMPER, Kind.TEST, Kind.DRILL}
        assert joins_incidents(kind, None) is (kind not in alone)
        assert joins_incidents(kind, Mark.DRILL) is False

    @pytest.mark.parametrize(
        ("before", "visit"), [([], False), ([1], False), ([1, 2], True), ([1, 30 * DAY], False), ([29 * DAY, 1], True)]
    )
    def test_the_third_false_alarm_within_thirty_days_needs_a_visit(self, before: list[int], *, visit: bool) -> None:
        now = 1_000 * DAY
        assert needs_visit([now - age for age in before], now_ms=now) is visit

    def test_whoever_had_a_hand_in_it_does_not_follow_it_up(self) -> None:
        assert may_follow_up("wang", {"li", None}) is True
        assert may_follow_up("li", {"li", None}) is False


class Life(RuleBasedStateMachine):
    """Every action in every order. What the model remembers in its own way must be what the table says."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.RECEIVED
        self.somebody_has_it = False
        self.closed = False
        self.reached = 0
        """How far the response is: 1 verified, 2 dispatched, 3 on the way, 4 on scene."""
        self.cancelled = False
        self.filed = 0

    @rule(action=st.sampled_from(Action))
    def anything(self, action: Action) -> None:
        after = TABLE[self.state, action]
        if after is None:
            assert not self.allowed(action)
            return
        assert self.allowed(action)
        self.remember(action)
        self.state = after

    def allowed(self, action: Action) -> bool:
        match action:
            case Action.RECEIVE | Action.CANCEL | Action.RUNG:
                return True
            case Action.ACKNOWLEDGE:
                return not self.somebody_has_it
            case Action.ANSWER | Action.ARRIVE | Action.STAND_BACK | Action.SET_KIND | Action.REPORT_UP:
                return not self.closed
            case Action.NOTE | Action.ATTACH | Action.LINK | Action.WRONG_ADDRESS:
                return self.filed < 2
            case Action.URGE:
                return not self.closed or self.filed == 0
            case Action.NUMBER:
                return self.somebody_has_it and self.filed < 2
            case Action.FOLLOW_UP | Action.WAIVE | Action.FILE:
                return self.closed and self.filed == 0
            case Action.ARCHIVE:
                return self.filed == 1
            case Action.REOPEN:
                return self.closed
            case Action.RECALL | Action.RECALL_ALL:
                return self.somebody_has_it and not self.closed and self.reached >= 2
            case _:
                return self.somebody_has_it and not self.closed

    def remember(self, action: Action) -> None:
        match action:
            case Action.CANCEL:
                self.cancelled = True
            case Action.ACKNOWLEDGE:
                self.somebody_has_it = True
            case Action.VERIFY:
                self.reached = max(self.reached, 1)
            case Action.DISPATCH:
                self.reached = max(self.reached, 2)
            case Action.ON_THE_WAY:
                self.reached = max(self.reached, 3)
            case Action.ON_SCENE:
                self.reached = 4
            case Action.RECALL_ALL:
                self.reached = 4 if self.reached == 4 else 0
            case Action.RESOLVE:
                self.closed = True
            case Action.FOLLOW_UP | Action.WAIVE:
                self.filed = 1
            case Action.ARCHIVE | Action.FILE:
                self.filed = 2
            case Action.REOPEN:
                self.closed, self.filed, self.reached = False, 0, 0

    @invariant()
    def the_state_is_what_was_done(self) -> None:
        if self.closed:
            expected = (State.RESOLVED, State.FOLLOWED_UP, State.ARCHIVED)[self.filed]
        elif self.somebody_has_it:
            expected = HANDLED[self.reached]
        else:
            expected = State.CANCELLED_BY_HOUSEHOLD if self.cancelled else State.RECEIVED
        assert self.state is expected

    @invariant()
    def the_presser_is_told_the_truth(self) -> None:
        climb = CLIMBS.get(self.state)
        if not self.somebody_has_it:
            assert climb is None
        elif self.closed:
            assert climb is LadderState.CLOSED
        else:
            assert climb is (LadderState.SOMEBODY_COMING if self.reached >= 3 else LadderState.POLICE_HAVE_IT)

    @precondition(lambda self: self.closed)
    @invariant()
    def only_a_finding_is_told_as_false(self) -> None:
        assert told(self.state, Outcome.FALSE) is UpdateState.FALSE_ALARM
        assert told(self.state, Outcome.REAL) is UpdateState.CLOSED


Life.TestCase.settings = attempts(max_examples=200, stateful_step_count=40)
TestLife = pytest.mark.proves("A7")(Life.TestCase)


@pytest.fixture
def settings(settings: StationSettings) -> StationSettings:
    """The group's home gateway is the first one."""
    groups = tuple(group.model_copy(update={"gateway": GATEWAYS[0]}) for group in settings.groups)
    return settings.model_copy(update={"groups": groups})


@dataclass(frozen=True)
class Town:
    """A station with people in every role."""

    served: Served
    li: Somebody
    zhao: Somebody
    leader: Somebody
    community: Somebody
    grid: Somebody
    guard: Somebody
    presser: Somebody
    neighbour: Somebody
    excluded: Somebody

    @property
    def outside(self) -> dict[str, Somebody]:
        """Everybody without the eyes of the police."""
        names = ("community", "grid", "guard", "presser", "neighbour", "excluded")
        return {name: getattr(self, name) for name in names}


@pytest.fixture
def town(served: Served) -> Town:
    people = {
        "leader": (Role.DUTY_LEADER, STATION),
        "community": (Role.COMMUNITY, COMMUNITY),
        "grid": (Role.GRID_WORKER, GRID),
        "guard": (Role.GUARD, "guards"),
        "presser": (Role.HOUSEHOLD, HOUSEHOLDS[0]),
        "neighbour": (Role.HOUSEHOLD, HOUSEHOLDS[1]),
        "excluded": (Role.HOUSEHOLD, HOUSEHOLDS[2]),
    }
    made = {name: somebody(served, f"a{name}", role, scope) for name, (role, scope) in people.items()}
    return Town(served, Somebody(served, "li"), Somebody(served, "zhao"), **made)


def taken_in(gateway: Gateway, *events: GatewayEvent) -> None:
    gateway.send([*events])
    gateway.receipted(events)


def path(alarm: str, verb: str = "") -> str:
    return f"/api/v1/alarms/{alarm}" + (f"/{verb}" if verb else "")


def resolved(town: Town, alarm: str, outcome: str = "real", cause: str | None = None) -> dict[str, Any]:
    """Li takes it, verifies it and closes it."""
    town.li.post(path(alarm, "acknowledge"))
    town.li.post(path(alarm, "call-back"), {"result": "safe"})
    answer: dict[str, Any] = town.li.post(path(alarm, "resolve"), {"outcome": outcome, "cause": cause})
    return answer


class TestHandling:
    @pytest.mark.proves("A7")
    def test_an_alarm_goes_from_the_press_to_the_archive_and_every_step_is_kept(
        self, town: Town, gateway: Gateway
    ) -> None:
        gateway.say_status()
        press = gateway.event()
        taken_in(gateway, press)
        steps: list[tuple[Somebody, str, dict[str, Any], str]] = [
            (town.li, "acknowledge", {}, "acknowledged"),
            (town.li, "call-back", {"result": "no_answer", "contact": 1}, "acknowledged"),
            (town.li, "call-back", {"result": "in_need", "contact": 2, "words": "老人摔倒"}, "verified"),
            (town.li, "kind", {"kind": "medical", "reason": "老人摔倒"}, "verified"),
            (town.li, "dispatch", {"accounts": ["zhao", "aguard"]}, "dispatched"),
            (town.li, "hand-over", {"service": "120", "name": "调度员8号"}, "dispatched"),
            (town.li, "number", {"number": "110-20261122-7"}, "dispatched"),
            (town.guard, "on-the-way", {}, "on_the_way"),
            (town.li, "on-scene", {"account": "zhao", "behalf": "赵警官(电台)"}, "on_scene"),
            (town.li, "notes", {"words": "门未锁"}, "on_scene"),
            (town.li, "resolve", {"outcome": "real", "words": "已送医"}, "resolved"),
            (town.grid, "follow-up", {"satisfaction": 5, "words": "谢谢"}, "followed_up"),
            (town.zhao, "archive", {}, "archived"),
        ]
        for who, verb, body, state in steps:
            assert who.post(path(press.id, verb), body)["state"] == (
                "on_the_way" if state == "on_scene" and who is town.guard else state
            )
        detail = town.li.get(path(press.id))
        assert [step["action"] for step in detail["steps"]] == [
            "receive", "acknowledge", "call_back", "verify", "set_kind", "dispatch", "hand_over", "number",
            "on_the_way", "on_scene", "note", "resolve", "follow_up", "archive",
        ]  # fmt: skip
        scene = detail["steps"][9]
        assert (scene["officer"], scene["behalf"], scene["detail"]["account"]) == ("li", "赵警官(电台)", "zhao")
        assert (detail["kind"], detail["first_kind"], detail["police_number"]) == ("medical", "panic", "110-20261122-7")
        assert [(one["account"], one["service"]) for one in detail["dispatches"]] == [
            ("zhao", None), ("aguard", None), (None, "120")
        ]  # fmt: skip
        assert (detail["satisfaction"], detail["outcome_words"]["zh"]) == (5, "属实")
        states = [command.state for command in [gateway.commanded(lambda one: one.state is LadderState.CLOSED)]]
        assert states == [LadderState.CLOSED]
        climbed = [one.state for one in gateway.bodies(type(gateway.commanded()))]
        assert climbed == [LadderState.POLICE_HAVE_IT, LadderState.SOMEBODY_COMING, LadderState.CLOSED]

    @pytest.mark.proves("N11", "F49")
    def test_of_two_who_close_at_once_on_the_same_version_one_wins(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        town.li.post(path(press.id, "acknowledge"))
        version = town.li.post(path(press.id, "call-back"), {"result": "safe"})["version"]
        start, answers = threading.Barrier(2), {}

        def close(officer: str, outcome: str) -> None:
            start.wait(DEADLINE_S)
            headers = {"Authorization": f"Bearer token-of-{officer}", "If-Match": f'"{version}"'}
            answers[officer] = town.served.client.post(
                path(press.id, "resolve"), json={"outcome": outcome}, headers=headers
            )

        both = [threading.Thread(target=close, args=one) for one in (("li", "real"), ("zhao", "nothing_found"))]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert sorted(answer.status_code for answer in answers.values()) == [200, 412]
        (winner,) = (name for name, answer in answers.items() if answer.status_code == 200)
        assert town.li.get(path(press.id))["outcome"] == {"li": "real", "zhao": "nothing_found"}[winner]

    def test_what_is_asked_twice_with_one_key_is_done_once(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        town.li.post(path(press.id, "acknowledge"))
        key = {"Authorization": "Bearer token-of-li", "Idempotency-Key": "0123456789"}
        client, words = town.served.client, {"words": "门未锁"}
        first, again = (client.post(path(press.id, "notes"), json=words, headers=key) for _ in range(2))
        other = client.post(path(press.id, "notes"), json={"words": "别的"}, headers=key)
        assert (first.status_code, first.json()) == (200, again.json())
        assert (other.status_code, other.json()["type"]) == (422, "asked_differently")
        steps = town.li.get(path(press.id))["steps"]
        assert [step["action"] for step in steps] == ["receive", "acknowledge", "note"]

    def test_nothing_is_closed_before_somebody_has_looked(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event(press="u1:4:1")
        taken_in(gateway, press, gateway.event(EventType.CANCEL, press="u1:4:1"))
        assert town.li.get(path(press.id))["state_words"]["zh"] == "住户撤销·待核实"
        assert town.li.post(path(press.id, "resolve"), {"outcome": "real"}, status=409)["type"] == "not_now"
        town.li.post(path(press.id, "acknowledge"))
        refused = town.li.post(path(press.id, "resolve"), {"outcome": "false", "cause": "child"}, status=409)
        assert refused["type"] == "not_checked"
        town.grid.post(path(press.id, "on-scene"), {})
        closed = town.li.post(path(press.id, "resolve"), {"outcome": "false", "cause": "child"})
        assert (closed["state"], closed["outcome_words"]["zh"]) == ("resolved", "误报")

    @pytest.mark.proves("A6")
    def test_only_a_handler_finds_that_an_alarm_was_false(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        for who in town.outside.values():
            found = {"outcome": "false", "cause": "mistake"}
            assert who.post(path(press.id, "resolve"), found, status=403)["type"] == "may_not"

    @pytest.mark.proves("A7")
    def test_the_follow_up_is_for_somebody_else_unless_the_duty_leader_waives_it(
        self, town: Town, gateway: Gateway
    ) -> None:
        first, second = gateway.event(), gateway.event()
        taken_in(gateway, first, second)
        for press in (first, second):
            resolved(town, press.id)
        asked = {"satisfaction": 4, "words": "很快"}
        assert town.li.post(path(first.id, "follow-up"), asked, status=409)["type"] == "same_hands"
        assert town.zhao.post(path(first.id, "follow-up"), asked)["satisfaction"] == 4
        town.zhao.post(path(second.id, "waive"), {"reason": "住户已搬走"}, status=403)
        town.leader.post(path(second.id, "waive"), {"reason": ""}, status=422)
        assert town.leader.post(path(second.id, "waive"), {"reason": "住户已搬走"})["state"] == "followed_up"

    def test_reopening_keeps_what_was_found_and_begins_anew(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        resolved(town, press.id, "nothing_found")
        opened = town.zhao.post(path(press.id, "reopen"), {"reason": "又有人喊"})
        assert (opened["state"], opened["outcome"], opened["owner"]["by"]) == ("acknowledged", None, "zhao")
        assert opened["acknowledged"]["by"] == "li"
        assert town.zhao.post(path(press.id, "resolve"), {"outcome": "real"}, status=409)["type"] == "not_checked"
        outcomes = [step["detail"] for step in town.li.get(path(press.id))["steps"] if step["action"] == "resolve"]
        assert outcomes == [{"outcome": "nothing_found", "cause": None, "words": ""}]

    def test_the_third_false_alarm_opens_one_visit_and_mutes_nobody(self, town: Town, gateway: Gateway) -> None:
        presses = gateway.presses(4)
        taken_in(gateway, *presses)
        for press in presses:
            resolved(town, press.id, "false", "pet")
        (errand,) = town.grid.get("/api/v1/errands")["items"]
        assert (errand["what"], errand["place"], errand["about"], errand["alarm"]) == (
            "visit", HOUSEHOLDS[0], "pet", presses[2].id
        )  # fmt: skip
        done = town.grid.post(f"/api/v1/errands/{errand['id']}/done", {"found": "猫踩到按键，已移位"})
        assert (done["done_by"], town.grid.get("/api/v1/errands")["items"]) == ("agrid", [])
        again = gateway.event()
        taken_in(gateway, again)
        assert town.li.get(path(again.id))["state"] == "received"

    def test_a_wrong_address_opens_a_correction(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        town.grid.post(path(press.id, "wrong-address"), {"words": "是3号楼"})
        assert [one["what"] for one in town.li.get("/api/v1/errands")["items"]] == ["address"]

    def test_a_test_goes_to_the_archive_without_a_follow_up(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event(kind=Kind.TEST)
        taken_in(gateway, press)
        town.li.post(path(press.id, "acknowledge"))
        assert town.li.post(path(press.id, "resolve"), {"outcome": "real"}, status=409)["type"] == "not_checked"
        town.li.post(path(press.id, "resolve"), {"outcome": "test"})
        assert town.li.post(path(press.id, "archive"))["state"] == "archived"

    def test_whoever_offers_an_alarm_is_responsible_until_it_is_accepted(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        town.li.post(path(press.id, "acknowledge"))
        town.li.post(path(press.id, "transfer"), {"receiver": "nowhere", "reason": "他们更近"}, status=422)
        offer = {"receiver": COMMUNITY, "reason": "邻里纠纷"}
        assert town.li.post(path(press.id, "transfer"), offer)["owner"]["by"] == "li"
        assert town.li.post(path(press.id, "transfer/answer"), {"accept": True}, status=409)["type"] == "not_offered"
        town.community.post(path(press.id, "transfer/answer"), {"accept": False}, status=422)
        town.community.post(path(press.id, "transfer/answer"), {"accept": False, "reason": "无人手"})
        town.li.post(path(press.id, "transfer"), offer)
        taken = town.community.post(path(press.id, "transfer/answer"), {"accept": True})
        assert (taken["owner"]["by"], taken["acknowledged"]["by"]) == ("acommunity", "li")
        assert [one["answer"] for one in town.li.get(path(press.id))["transfers"]] == ["refused", "accepted"]

    def test_an_order_has_a_deadline_and_reporting_upward_is_another_thing(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        far = {"due": "0001-01-01T00:00:00+14:00", "reason": "尽快"}
        assert town.leader.post(path(press.id, "urge"), far, status=422)["type"] == "malformed"
        town.li.post(path(press.id, "urge"), {"due": "2027-01-01T00:00:00Z", "reason": "尽快"}, status=403)
        urged = town.leader.post(path(press.id, "urge"), {"due": "2027-01-01T00:00:00Z", "reason": "尽快"})
        assert urged["due"] == "2027-01-01T00:00:00Z"
        town.grid.post(path(press.id, "report-up"), {"receiver": COMMUNITY, "reason": "需要协调"})
        assert [one["what"] for one in town.li.get(path(press.id))["transfers"]] == ["report_up"]


class TestEyes:
    @pytest.mark.proves("N4", "F61")
    def test_a_planted_duress_is_found_by_nobody_but_the_police_on_any_route(
        self, town: Town, gateway: Gateway
    ) -> None:
        before, duress, after = gateway.event(), gateway.event(kind=Kind.DURESS), gateway.event()
        taken_in(gateway, before, duress, after)
        nobody = gateway.new_id()
        bodies: dict[str, Any] = {
            "answer": {"answer": "coming"}, "on-scene": {}, "on-the-way": {}, "notes": {"words": "x"},
            "wrong-address": {}, "follow-up": {"satisfaction": 1}, "transfer/answer": {"accept": True},
            "report-up": {"receiver": COMMUNITY, "reason": "why"}, "acknowledge": {}, "cancel": None, "arrive": None,
        }  # fmt: skip
        for name, who in town.outside.items():
            listed = town.served.client.get("/api/v1/alarms", headers={"Authorization": f"Bearer token-of-{who.id}"})
            assert duress.id not in listed.text, name
            for verb in ("", "incident", "nearby", "contacts"):
                same(who, "GET", path(duress.id, verb), path(nobody, verb), None)
            for verb, body in bodies.items():
                same(who, "POST", path(duress.id, verb), path(nobody, verb), body)
        assert [alarm["id"] for alarm in town.neighbour.get("/api/v1/alarms")["items"]] == [after.id, before.id]
        shown = town.li.get(path(duress.id))
        assert (shown["do_not_call"], shown["incident"], shown["answers"]) == (True, None, None)
        assert len(shown["steps"]) == 1

    @pytest.mark.proves("N4")
    def test_pages_and_their_cursors_tell_nothing_of_what_is_not_shown(self, town: Town, gateway: Gateway) -> None:
        presses = [gateway.event(kind=Kind.DURESS if number % 2 else Kind.PANIC) for number in range(8)]
        taken_in(gateway, *presses)
        seen, after = [], None
        while True:
            page = town.neighbour.get("/api/v1/alarms", limit=2, **({} if after is None else {"after": after}))
            seen += page["items"]
            assert {item["number"] for item in page["items"]} == {None}
            after = page["next"]
            if after is None:
                break
        assert [item["id"] for item in seen] == [press.id for press in reversed(presses[::2])]
        for unknown in (presses[1].id, gateway.new_id(), "\x00", "b"):
            refused = town.neighbour.get("/api/v1/alarms", after=f"a{unknown}", status=422)
            assert refused["type"] == "bad_cursor"

    @pytest.mark.proves("N4")
    def test_a_neighbour_who_is_left_out_sees_nothing_and_whoever_moved_in_later_neither(
        self, town: Town, gateway: Gateway
    ) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        with town.served.station.database.write() as session:
            repository.update_alarm(session, press.id, {"excluded": HOUSEHOLDS[2]})
        assert town.neighbour.get(path(press.id))["id"] == press.id
        assert town.excluded.get(path(press.id), status=404)["type"] == "no_such_alarm"
        assert town.excluded.get("/api/v1/alarms")["items"] == []
        late = somebody(town.served, "anew", Role.HOUSEHOLD, HOUSEHOLDS[0])
        with town.served.station.database.write() as session:
            far = town.served.station.clock() + DAY
            session.connection().exec_driver_sql(
                f"UPDATE account_grant SET from_ms = {far} WHERE account = 'anew'"  # noqa: S608 - a number of ours
            )
        late.get(path(press.id), status=403)  # nothing is held yet

    @pytest.mark.proves("P10")
    def test_whoever_is_sent_sees_it_from_the_dispatch_until_it_is_closed(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event(kind=Kind.MEDICAL)
        taken_in(gateway, press)
        town.li.post(path(press.id, "acknowledge"))
        town.guard.get(path(press.id), status=404)
        town.li.post(path(press.id, "dispatch"), {"accounts": ["aguard"]})
        shown = town.guard.get(path(press.id))
        assert (shown["kind"], shown["door"], shown["place"]) == ("medical", 101, HOUSEHOLDS[0])
        assert (shown["number"], shown["steps"], shown["acknowledged"]) == (None, [], None)
        town.li.post(path(press.id, "recall"), {"account": "aguard", "reason": "另有任务"})
        town.guard.get(path(press.id), status=404)
        town.li.post(path(press.id, "dispatch"), {"accounts": ["aguard"]})
        town.guard.post(path(press.id, "on-scene"), {})
        town.li.post(path(press.id, "resolve"), {"outcome": "real"})
        town.guard.get(path(press.id), status=404)
        assert town.guard.get("/api/v1/alarms")["items"] == []

    @pytest.mark.proves("N4", "P10")
    def test_a_grid_worker_of_another_area_sees_what_he_was_sent_to_and_no_duress(
        self, town: Town, gateway: Gateway
    ) -> None:
        far = somebody(town.served, "afar", Role.GRID_WORKER, "w9")
        press, duress = gateway.event(kind=Kind.MEDICAL), gateway.event(kind=Kind.DURESS)
        taken_in(gateway, press, duress)
        for alarm in (press, duress):
            town.li.post(path(alarm.id, "acknowledge"))
        refused = town.li.post(path(duress.id, "dispatch"), {"accounts": ["afar"]}, status=409)
        assert refused["type"] == "cannot_send"
        far.get(path(press.id), status=404)
        town.li.post(path(press.id, "dispatch"), {"accounts": ["afar", "agrid"]})
        for who in (far, town.grid):
            shown = who.get(path(press.id))
            assert (shown["kind"], shown["door"], shown["place"]) == ("medical", 101, HOUSEHOLDS[0])
        assert (far.get(path(press.id))["number"], far.get(path(press.id))["steps"]) == (None, [])
        assert [one["id"] for one in far.get("/api/v1/alarms")["items"]] == [press.id]
        far.post(path(press.id, "on-the-way"), {})
        far.post(path(press.id, "acknowledge"), {}, status=404)
        with town.served.station.database.write() as session:  # however he came to be sent
            for account in ("afar", "agrid"):
                session.add(AlarmDispatch(alarm=duress.id, account=account, by="li", at_ms=1))
        for who in (far, town.grid):
            who.get(path(duress.id), status=404)
            who.post(path(duress.id, "on-scene"), {}, status=404)
            assert [one["id"] for one in who.get("/api/v1/alarms")["items"]] == [press.id]
        town.li.post(path(press.id, "resolve"), {"outcome": "real"}, status=409)  # nobody was there yet
        far.post(path(press.id, "on-scene"), {})
        town.li.post(path(press.id, "resolve"), {"outcome": "real"})
        far.get(path(press.id), status=404)

    @pytest.mark.proves("N4")
    def test_an_officer_of_another_area_who_is_sent_to_duress_sees_it_until_it_is_closed(
        self, town: Town, gateway: Gateway
    ) -> None:
        far = somebody(town.served, "afar", Role.OFFICER, "p9")
        duress = gateway.event(kind=Kind.DURESS)
        taken_in(gateway, duress)
        town.li.post(path(duress.id, "acknowledge"))
        far.get(path(duress.id), status=404)
        town.li.post(path(duress.id, "dispatch"), {"accounts": ["afar"]})
        assert far.get(path(duress.id))["do_not_call"] is True
        assert [one["id"] for one in far.get("/api/v1/alarms")["items"]] == [duress.id]
        town.li.post(path(duress.id, "recall"), {"account": "afar", "reason": "另有任务"})
        far.get(path(duress.id), status=404)

    @pytest.mark.proves("N4")
    def test_whoever_the_household_leaves_out_is_not_sent_there(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        with town.served.station.database.write() as session:
            add_grant(session, "aguard", Role.HOUSEHOLD, HOUSEHOLDS[2])
            repository.update_alarm(session, press.id, {"excluded": HOUSEHOLDS[2]})
        town.li.post(path(press.id, "acknowledge"))
        assert town.li.post(path(press.id, "dispatch"), {"accounts": ["aguard"]}, status=409)["type"] == "cannot_send"

    def test_of_several_ways_to_see_an_alarm_the_nearest_counts(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event(kind=Kind.MEDICAL)
        taken_in(gateway, press)
        with town.served.station.database.write() as session:
            add_grant(session, "aneighbour", Role.HOUSEHOLD, HOUSEHOLDS[0])
            add_grant(session, "aexcluded", Role.GUARD, "guards")
        assert town.neighbour.get(path(press.id))["kind"] == "medical"  # it is his own as well
        assert town.excluded.get(path(press.id))["kind"] == "help"
        town.li.post(path(press.id, "acknowledge"))
        town.li.post(path(press.id, "dispatch"), {"accounts": ["aexcluded"]})
        assert town.excluded.get(path(press.id))["kind"] == "medical"
        town.li.post(path(press.id, "call-back"), {"result": "safe"})
        town.li.post(path(press.id, "resolve"), {"outcome": "real"})
        town.li.post(path(press.id, "reopen"), {"reason": "再看一次"})
        assert town.excluded.get(path(press.id))["kind"] == "help"  # he is not out any more

    @pytest.mark.proves("N4")
    def test_to_duress_only_police_go_in_person_and_nobody_is_called(self, town: Town, gateway: Gateway) -> None:
        duress = gateway.event(kind=Kind.DURESS)
        taken_in(gateway, duress)
        town.li.post(path(duress.id, "acknowledge"))
        assert town.li.post(path(duress.id, "call-back"), {"result": "safe"}, status=409)["type"] == "do_not_call"
        assert town.li.get(path(duress.id, "contacts")) == {"do_not_call": True, "list": []}
        sent = town.li.post(path(duress.id, "dispatch"), {"accounts": ["zhao", "aguard"]}, status=409)
        assert (sent["type"], sent["accounts"]) == ("cannot_send", ["aguard"])
        refused = town.li.post(path(duress.id, "kind"), {"kind": "panic", "reason": "不静默"}, status=409)
        assert refused["type"] == "kind_refused"
        town.li.post(path(duress.id, "dispatch"), {"accounts": ["zhao"]})
        town.zhao.post(path(duress.id, "on-scene"), {})
        town.li.post(path(duress.id, "resolve"), {"outcome": "real"})
        asked = {"satisfaction": 3}
        assert town.leader.post(path(duress.id, "follow-up"), asked, status=409)["type"] == "do_not_call"
        assert town.leader.post(path(duress.id, "follow-up"), asked | {"in_person": True})["state"] == "followed_up"
        assert town.served.rows("SELECT DISTINCT topic FROM outgoing") == [("sw1/north/police/update",)]

    def test_an_administrator_and_an_auditor_see_no_alarm(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        for role in (Role.ADMINISTRATOR, Role.AUDITOR, Role.GUARD_COMPANY, Role.INSTALLER):
            somebody(town.served, f"x{role.replace('_', '-')}", role, STATION).get("/api/v1/alarms", status=403)


def same(who: Somebody, method: str, there: str, not_there: str, body: object) -> None:
    """What is hidden is answered like what does not exist."""
    headers = {"Authorization": f"Bearer token-of-{who.id}"}
    answers = [who.served.client.request(method, one, headers=headers, json=body) for one in (there, not_there)]
    assert {answer.status_code for answer in answers} <= {403, 404}
    texts = [re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", answer.text) for answer in answers]
    assert texts[0] == texts[1], there


class TestIncidents:
    def test_visible_presses_of_one_place_within_ten_minutes_are_one_incident_and_duress_is_none(
        self, town: Town, gateway: Gateway
    ) -> None:
        first, duress = gateway.event(kind=Kind.HELP), gateway.event(kind=Kind.DURESS)
        graver, elsewhere = gateway.event(kind=Kind.FIRE), gateway.event(place=HOUSEHOLDS[1], door=102)
        old = gateway.event(age_ms=700_000, clock="unsynced")
        taken_in(gateway, first, duress, graver, elsewhere)
        taken_in(gateway, old)
        incident = town.li.get(path(graver.id, "incident"))
        assert ([alarm["id"] for alarm in incident["alarms"]], incident["kind"]) == ([first.id, graver.id], "fire")
        assert town.li.get(path(duress.id))["incident"] is None
        assert town.li.get(path(old.id))["incident"] == old.id
        assert [alarm["id"] for alarm in town.li.get(path(first.id, "nearby"))["items"]] == [elsewhere.id]

    def test_two_are_joined_by_hand_and_never_with_duress(self, town: Town, gateway: Gateway) -> None:
        here, there, duress = gateway.event(), gateway.event(place=HOUSEHOLDS[1]), gateway.event(kind=Kind.DURESS)
        taken_in(gateway, here, there, duress)
        why = {"reason": "同一伙人"}
        town.li.post(path(there.id, "link"), why | {"to": here.id})
        assert len(town.li.get(path(here.id, "incident"))["alarms"]) == 2
        for one, other in ((here, duress), (duress, here), (here, here)):
            refused = town.li.post(path(one.id, "link"), why | {"to": other.id}, status=409)
            assert refused["type"] == "cannot_link"


class TestRaising:
    @pytest.mark.proves("A2")
    def test_a_press_on_a_phone_page_rings_the_group_through_its_gateway_once(
        self, town: Town, gateway: Gateway
    ) -> None:
        gateway.say_status()
        self.until_online(town)
        body = {"kind": "panic", "whereabouts": "home", "words": "有人撬门"}
        first, again = (self.press(town.presser, body, "the-same-press") for _ in range(2))
        assert (first.status_code, first.json()["id"]) == (201, again.json()["id"])
        alarm = first.json()
        assert (alarm["ring"], alarm["state"], alarm["door"]) == ("ordered", "received", 101)
        command = gateway.commanded(lambda one: one.action is Order.ALERT)
        assert (command.alarm, command.kind, command.group, command.place) == (
            alarm["id"], Kind.PANIC, "gr1", HOUSEHOLDS[0]
        )  # fmt: skip
        taken_in(gateway, rung := gateway.event(EventType.ALERT, detail={"alarm": alarm["id"], "group": "gr1"},
                                                kind=None, unit=None, place=None, group=None, door=None))  # fmt: skip
        assert town.presser.get(path(alarm["id"]))["ring_words"]["zh"] == "邻户已响警"
        assert len(town.li.get("/api/v1/alarms")["items"]) == 1
        assert town.li.get(path(alarm["id"]))["events"][0]["event"] == rung.id

    def test_an_offline_gateway_is_said_at_once(self, town: Town) -> None:
        alarm = self.press(town.presser, {"kind": "fire", "whereabouts": "home"}, "a-press-of-mine").json()
        assert (alarm["ring"], alarm["ring_words"]["zh"]) == ("gateway_offline", "网关离线，邻户未响警")
        assert town.li.get(path(alarm["id"]))["source"] == "phone"

    def test_away_from_home_neighbours_are_shown_it_and_not_rung(self, town: Town, gateway: Gateway) -> None:
        gateway.say_status()
        self.until_online(town)
        where = {"lat": 31.2, "lon": 121.5, "accuracy_m": 30}
        body = {"kind": "help", "whereabouts": "position", "position": where}
        alarm = self.press(town.presser, body, "a-press-of-mine").json()
        assert alarm["ring"] == "shown"
        neighbour, officer = town.neighbour.get(path(alarm["id"])), town.li.get(path(alarm["id"]))
        assert (neighbour["whereabouts"], neighbour["position"], officer["position"]) == ("position", None, where)
        assert town.served.rows("SELECT count(*) FROM outgoing WHERE command_to IS NOT NULL") == [(0,)]

    def test_nobody_presses_for_another_place_and_no_phone_presses_duress(self, town: Town) -> None:
        other = self.press(town.presser, {"kind": "help", "place": HOUSEHOLDS[1]}, "a-press-of-mine")
        silent = self.press(town.presser, {"kind": "duress"}, "a-press-of-mine")
        assert (other.status_code, other.json()["type"], silent.status_code) == (422, "no_such_place", 422)

    @pytest.mark.proves("A2")
    def test_the_desk_enters_a_caller_and_duress_rings_nowhere(self, town: Town, gateway: Gateway) -> None:
        gateway.say_status()
        self.until_online(town)
        call = {"place": HOUSEHOLDS[0], "words": "低声说被人控制", "behalf": "王女士"}
        duress = town.li.post("/api/v1/calls", {"kind": "duress", **call}, status=201)
        assert (duress["ring"], duress["do_not_call"], duress["said"]) == ("silent", True, "低声说被人控制")
        town.presser.get(path(duress["id"]), status=404)
        loud = town.li.post("/api/v1/calls", {"kind": "help", **call}, status=201)
        assert gateway.commanded(lambda one: one.action is Order.ALERT).alarm == loud["id"]
        address = town.li.post("/api/v1/calls", {"kind": "help", "address": "槐树街口"}, status=201)
        assert (address["place"], address["ring"]) == (
            None,
            "no_gateway",
        )  # for the police alone: no neighbour is shown it
        town.neighbour.get(path(address["id"]), status=404)

    @pytest.mark.proves("A6")
    def test_taking_it_back_by_phone_stops_sirens_and_closes_nothing(self, town: Town, gateway: Gateway) -> None:
        gateway.say_status()
        press = gateway.event()
        taken_in(gateway, press)
        town.neighbour.post(path(press.id, "cancel"), status=404)
        assert town.presser.post(path(press.id, "cancel"))["state"] == "cancelled_by_household"
        assert gateway.commanded(lambda one: one.action is Order.STOP).alarm == press.id
        assert [alarm["id"] for alarm in town.li.get("/api/v1/alarms", open=True)["items"]] == [press.id]

    @staticmethod
    def press(who: Somebody, body: dict[str, Any], key: str) -> Any:
        headers = {"Authorization": f"Bearer token-of-{who.id}", "Idempotency-Key": key}
        return who.served.client.post("/api/v1/alarms", json=body, headers=headers)

    @staticmethod
    def until_online(town: Town) -> None:
        eventually(lambda: town.served.rows("SELECT online FROM gateway WHERE online") != [], "online")


class TestAnswers:
    @pytest.mark.proves("A9")
    def test_neighbours_answer_by_key_and_by_phone_and_the_last_word_counts(self, town: Town, gateway: Gateway) -> None:
        gateway.say_status()
        press = gateway.event()
        early = self.key(gateway, press, HOUSEHOLDS[3], "watching")
        taken_in(gateway, early)
        taken_in(gateway, press, self.key(gateway, press, HOUSEHOLDS[2], "cannot"))
        taken_in(gateway, self.key(gateway, press, HOUSEHOLDS[2], "coming", verified=False))
        town.neighbour.post(path(press.id, "answer"), {"answer": "watching"})
        town.neighbour.post(path(press.id, "answer"), {"answer": "coming"})
        town.neighbour.post(path(press.id, "arrive"))
        town.presser.post(path(press.id, "answer"), {"answer": "coming"}, status=404)
        said = town.li.get(path(press.id))["answers"]
        assert [(one["door"], one["answer"]) for one in said["list"]] == [
            (102, "coming"), (104, "watching"), (103, "cannot")
        ]  # fmt: skip
        counts = {name: said[name] for name in ("reachable", "coming", "watching", "cannot", "arrived")}
        assert counts == {"reachable": 3, "coming": 1, "watching": 1, "cannot": 1, "arrived": 1}
        assert said["list"][0]["words"]["zh"] == "马上去"
        mine = town.neighbour.get(path(press.id))["answers"]
        assert (mine["own"], mine["list"], mine["coming"]) == ("coming", [], 1)
        assert len(town.presser.get(path(press.id))["answers"]["list"]) == 3

    @pytest.mark.proves("A9")
    def test_whoever_is_away_or_cannot_be_rung_is_not_counted_as_reachable(self, town: Town, gateway: Gateway) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        assert town.li.get(path(press.id))["answers"]["reachable"] == 0  # no gateway to ring them
        gateway.say_status()
        eventually(lambda: town.li.get(path(press.id))["answers"]["reachable"] == 3, "reachable")
        with town.served.station.database.write() as session:
            session.add(Away(place=HOUSEHOLDS[1], from_ms=1, by="aneighbour"))
        assert town.li.get(path(press.id))["answers"]["reachable"] == 2

    @pytest.mark.proves("N4")
    def test_an_answer_to_duress_is_kept_and_counts_nowhere(self, town: Town, gateway: Gateway) -> None:
        duress = gateway.event(kind=Kind.DURESS)
        taken_in(gateway, duress, self.key(gateway, duress, HOUSEHOLDS[1], "coming"))
        assert town.served.rows("SELECT count(*) FROM alarm_answer") == [(0,)]
        assert town.served.rows("SELECT count(*) FROM alarm_event WHERE part = 'answer'") == [(1,)]

    @pytest.mark.proves("A9")
    def test_stand_back_reaches_everybody_who_knows_and_the_sirens(
        self, town: Town, gateway: Gateway, broker: PrivateBroker
    ) -> None:
        gateway.say_status()
        press = gateway.event()
        taken_in(gateway, press)
        with listener(broker, Wire.HOUSEHOLD, HOUSEHOLDS[1]) as neighbour:
            town.li.post(path(press.id, "stand-back"), {"words": "有刀"})
            update = neighbour.hear(AlarmUpdate)
        assert (update.state, update.word_zh) == (UpdateState.STAND_BACK, "不要靠近")
        assert gateway.commanded(lambda one: one.action is Order.STAND_BACK).alarm == press.id
        shown = town.neighbour.get(path(press.id))
        assert shown["stand_back"] is not None

    @staticmethod
    def key(gateway: Gateway, press: GatewayEvent, place: str, answer: str, *, verified: bool = True) -> GatewayEvent:
        detail = {"answer": answer, "event": press.id, "alarm": 7}
        return gateway.event(EventType.ANSWER, place=place, unit="u9", detail=detail, verified=verified)


@only_sqlite
class TestFiles:
    PICTURE = b"\x89PNG\r\n\x1a\n" + b"x" * 100

    def test_a_file_is_judged_by_its_content_and_kept_under_its_digest(
        self, town: Town, gateway: Gateway, tmp_path: Path
    ) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        for _ in range(2):
            assert self.attach(town.li, press, self.PICTURE, name="<b>../x.png\u202e").status_code == 200
        (kept,) = town.li.get(path(press.id))["attachments"]
        assert (kept["type"], kept["size"], kept["name"]) == ("image/png", len(self.PICTURE), "<b>../x.png")
        (file,) = (one for one in (tmp_path / "attachments").rglob("*") if one.is_file())
        assert (file.name, file.read_bytes()) == (kept["sha256"], self.PICTURE)
        headers = {"Authorization": "Bearer token-of-li"}
        got = town.served.client.get(path(press.id, f"attachments/{kept['id']}"), headers=headers)
        assert (got.content, got.headers["x-content-type-options"]) == (self.PICTURE, "nosniff")
        assert got.headers["content-disposition"].startswith("attachment")
        assert "x.png" not in got.headers["content-disposition"]

    @pytest.mark.proves("A10", "N4")
    def test_a_machine_whose_folder_lacks_the_files_says_so_until_it_has_them_and_nothing_of_silent_alarms(
        self, town: Town, gateway: Gateway, tmp_path: Path
    ) -> None:
        station = town.served.station

        def missing(folder: Path) -> list[str]:
            FolderWatch(station.database, station.register, folder, clock=station.clock, host="web2").look()
            found = town.served.rows("SELECT detail FROM fault WHERE code = ? AND cleared_ms IS NULL", MISSING)
            return [detail for (detail,) in found]

        here, other = tmp_path / "attachments", tmp_path / "elsewhere"
        silent, press = gateway.event(kind=Kind.DURESS), gateway.event()
        taken_in(gateway, silent)
        assert self.attach(town.li, silent, self.PICTURE + b"!").status_code == 200
        assert missing(other) == []
        taken_in(gateway, press)
        assert self.attach(town.li, press, self.PICTURE).status_code == 200
        assert missing(other) == ["1/1"]
        assert missing(other) == ["1/1"]
        assert missing(here) == []

    def test_what_is_no_picture_or_too_large_is_refused_and_nothing_is_kept(
        self, town: Town, gateway: Gateway, tmp_path: Path
    ) -> None:
        press = gateway.event()
        taken_in(gateway, press)
        assert self.attach(town.li, press, b"<svg onload=alert(1)>").status_code == 415
        assert self.attach(town.li, press, b"\xff\xd8\xff" + bytes(9 * 1024 * 1024)).status_code == 413
        assert self.attach(town.neighbour, press, self.PICTURE).status_code == 403
        assert not (tmp_path / "attachments").exists()

    @staticmethod
    def attach(who: Somebody, press: GatewayEvent, content: bytes, name: str = "") -> Any:
        headers = {"Authorization": f"Bearer token-of-{who.id}"}
        return who.served.client.post(
            path(press.id, "attachments"), params={"name": name}, content=content, headers=headers
        )
