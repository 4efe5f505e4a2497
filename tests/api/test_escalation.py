"""Nobody acknowledges, nobody goes, too few answer: it climbs, once per level, through restarts and days off."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, col, select

from api.accounts.models import Account, AccountGrant
from api.alarms.changes import Change
from api.alarms.models import AlarmRecord
from api.alarms.repository import add_alarms
from api.alarms.rules import Action, State
from api.clock import wall_ms
from api.database import Database
from api.duty.models import DutyShift, LiveDesk
from api.escalation import rules
from api.escalation.clock import LadderClock
from api.escalation.ladders import BadLadder, Ladders
from api.escalation.models import CountRow, DeadlineRow
from api.escalation.rules import (
    STAGE_OF,
    Cause,
    Climb,
    Due,
    LadderFault,
    Outcome,
    Rung,
    Sound,
    Stage,
    Target,
    climb,
    climbs,
    defaults,
    due,
    enough,
    faults,
    pick,
    plan,
    read,
    remains_ms,
    stages,
)
from api.escalation.service import Answered, Escalation
from api.etags import StaleVersion, etag
from api.notify.rules import Notice
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Grant, Principal, Role, rights
from api.settings import StationSettings
from broker.kinds import Kind, Mark
from broker.policy import POLICY, Audience
from tests.api.conftest import Serve, only_postgresql
from tests.api.peers import COMMUNITY, DEADLINE_S, GRID, HOUSEHOLDS, STATION, Gateway, eventually
from tests.api.people import somebody

NOON = 1_795_320_000_000
DAY_MS = 86_400_000
VISIBLE = (Kind.PANIC, Kind.HELP, Kind.MEDICAL, Kind.FIRE, Kind.INTRUSION)
PEOPLE = {
    "wang": (Role.GRID_WORKER, GRID),
    "li": (Role.OFFICER, COMMUNITY),
    "she": (Role.COMMUNITY, COMMUNITY),
    "chief": (Role.DUTY_LEADER, STATION),
    "desk": (Role.DUTY_OFFICER, STATION),
    "jie": (Role.TOWNSHIP, STATION),
    "zhi": (Role.COMMAND_CENTRE, STATION),
}


def rung(after_s: int, *tell: Target, **more: Any) -> Rung:
    return Rung(after_s=after_s, tell=tell or (Target.DESK,), **more)


class TestRules:
    @pytest.mark.proves("A8")
    @pytest.mark.parametrize("kind", VISIBLE)
    def test_the_default_ladder_climbs_through_five_levels_in_five_minutes(self, kind: Kind) -> None:
        planned = plan(defaults()[kind, Stage.ACKNOWLEDGE], NOON)
        assert [(one.level, one.remaining_s, (one.due_ms - NOON) // 1_000) for one in planned] == [
            (0, 0, 0), (1, 60, 60), (2, 120, 120), (3, 180, 180), (4, 300, 300),
        ]  # fmt: skip
        assert [one.rung.tell for one in planned] == [
            (Target.NEIGHBOURS, Target.GRID_WORKER, Target.DESK),
            (Target.DESK, Target.OFFICER),
            (Target.COMMUNITY, Target.DUTY_LEADER),
            (Target.TOWNSHIP,),
            (Target.COMMAND_CENTRE,),
        ]
        assert [planned[0].rung.sound, planned[1].rung.sound] == [Sound.ALARM, Sound.URGENT]

    @pytest.mark.proves("N4")
    def test_no_default_tells_anybody_who_may_not_know(self) -> None:
        for (kind, _stage), ladder in defaults().items():
            for one in ladder:
                for target in one.tell:
                    assert target.eyes is not None
                    assert POLICY[kind][target.eyes] is not None
        for stage in Stage:
            for one in defaults().get((Kind.DURESS, stage), ()):
                assert {target.eyes for target in one.tell} == {Audience.POLICE}
        assert (Kind.DURESS, Stage.ANSWERS) not in defaults()

    def test_tests_and_drills_do_not_climb_and_a_real_press_during_a_drill_does(self) -> None:
        assert not climbs(Kind.TEST, Mark.TEST)
        assert not climbs(Kind.DRILL, Mark.DRILL)
        assert not climbs(Kind.PANIC, Mark.DRILL)
        assert not climbs(Kind.PANIC, Mark.TEST)
        assert climbs(Kind.PANIC, None)

    @pytest.mark.proves("N6")
    def test_after_a_restart_the_earlier_of_the_two_counts_counts(self) -> None:
        assert remains_ms(due_ms=NOON + 60_000, remaining_s=30, counted_ms=10_000, now_ms=NOON) == 20_000
        assert remains_ms(due_ms=NOON + 60_000, remaining_s=60, counted_ms=0, now_ms=NOON + 50_000) == 10_000
        assert remains_ms(due_ms=NOON, remaining_s=60, counted_ms=0, now_ms=NOON + DAY_MS) == -DAY_MS
        assert remains_ms(due_ms=NOON + 60_000, remaining_s=60, counted_ms=30_000, now_ms=0) == 30_000  # it says 1970

    @given(st.dictionaries(st.integers(0, 9), st.integers(-DAY_MS, DAY_MS)))
    def test_what_is_overdue_is_told_once_at_its_highest_level(self, left: dict[int, int]) -> None:
        found = due(left)
        overdue = sorted(level for level, ms in left.items() if ms <= 0)
        if not overdue:
            assert found is None
            return
        assert found is not None
        assert [*found.passed, found.told] == overdue
        assert found.late or (len(overdue) == 1 and left[found.told] >= -rules.LATE_MS)

    def test_a_level_on_time_is_not_late(self) -> None:
        assert due({0: -900, 1: 59_100}) == Due(told=0, passed=(), late=False)

    @given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
    def test_a_climb_skips_nobody_but_those_who_are_not_there(self, levels: set[int], there: set[int]) -> None:
        found = climb(levels, lambda level: level in there)
        reached = sorted(levels & there)
        assert found.told == (reached[0] if reached else None)
        assert [*found.skipped] == sorted(level for level in levels if not reached or level < reached[0])
        assert isinstance(found, Climb)

    def test_enough_is_a_share_of_those_who_can_be_reached(self) -> None:
        assert not enough(answered=0, reachable=0, share=0.3)
        assert enough(answered=1, reachable=3, share=0.3)
        assert not enough(answered=2, reachable=9, share=0.3)
        assert enough(answered=3, reachable=9, share=0.3)

    def test_every_state_belongs_to_a_stage_or_is_over(self) -> None:
        assert {*STAGE_OF} == {*State}
        assert stages(State.RECEIVED, None) == (Stage.ACKNOWLEDGE, Stage.ANSWERS)
        assert stages(State.CANCELLED_BY_HOUSEHOLD, State.RECEIVED) == ()
        assert stages(State.ACKNOWLEDGED, State.RECEIVED) == (Stage.DISPATCH,)
        assert stages(State.VERIFIED, State.ACKNOWLEDGED) == ()
        assert stages(State.ACKNOWLEDGED, State.ARCHIVED) == (Stage.DISPATCH,)  # reopened
        assert stages(State.RESOLVED, State.ON_SCENE) == ()

    def test_the_nearest_areas_ladder_counts_and_there_the_kinds_own_first(self) -> None:
        near, far, own, default = ((rung(number),) for number in (1, 2, 3, 4))
        found = {("", "near"): near, ("", "far"): far, ("fire", "near"): own, ("", ""): far}
        areas = ("near", "far")
        assert pick(found, default, kind=Kind.FIRE, areas=areas) == own
        assert pick(found, default, kind=Kind.PANIC, areas=areas) == near
        assert pick(found, default, kind=Kind.PANIC, areas=("far",)) == far
        assert pick({}, default, kind=Kind.PANIC, areas=areas) == default

    @pytest.mark.proves("N4")
    def test_a_ladder_for_any_kind_is_none_for_duress(self) -> None:
        anybody = (rung(0, Target.GRID_WORKER),)
        default = defaults()[Kind.DURESS, Stage.ACKNOWLEDGE]
        assert pick({("", ""): anybody, ("", "near"): anybody}, default, kind=Kind.DURESS, areas=("near",)) == default
        assert faults(anybody, kind=Kind.DURESS, stage=Stage.ACKNOWLEDGE) == [
            LadderFault(where=0, why="grid_worker may not know of duress")
        ]

    def test_every_fault_of_a_ladder_is_named_at_once(self) -> None:
        bad = (rung(5), rung(5, share=0.5), replace(rung(9), tell=()))
        assert [one.where for one in faults(bad, kind=None, stage=Stage.ACKNOWLEDGE)] == [1, 1, 2]
        assert [one.where for one in faults((rung(1),), kind=None, stage=Stage.ANSWERS)] == [0]

    def test_a_file_with_two_ladders_for_one_thing_is_refused(self) -> None:
        one = '[[ladder]]\nkinds=["fire"]\nstage="acknowledge"\nrungs=[{after_s=0, tell=["desk"]}]\n'
        with pytest.raises(ValueError, match="two ladders"):
            read(one + one)

    @pytest.mark.proves("A8")
    def test_the_page_shows_the_ladders_of_the_file(self) -> None:
        page = Path(__file__).parents[2].joinpath("docs/escalation.md").read_text(encoding="utf-8")
        shown = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines()}
        for (kind, stage), ladder in defaults().items():
            for level, one in enumerate(ladder):
                tell = ", ".join(one.tell)
                row = (kind.value, stage.value, str(level), f"{one.after_s} s", tell, one.sound or "", _share(one))
                assert row in shown, row
        rows = [row for row in shown if len(row) == 7 and row[1] in {*Stage}]
        assert len(rows) == sum(map(len, defaults().values()))


def _share(one: Rung) -> str:
    return "" if one.share is None else f"{one.share:.0%}"


class Hill:
    """Ladders on real tables, with both clocks driven and everything that is told written down."""

    def __init__(self, database: Database, settings: StationSettings, *, roster: Sequence[str] = tuple(PEOPLE)) -> None:
        self.database = database
        self.now = NOON
        self.seconds = 1_000.0
        self.told: list[tuple[tuple[str, ...], Notice, str | None]] = []
        self.desk: list[Notice] = []
        self.heard: list[tuple[str, Mapping[str, object], frozenset[Audience]]] = []
        self.said = Answered(answered=0, reachable=3)
        self.register = Register(settings)
        self.register.begin(database)
        self.escalation = Escalation(
            self.register,
            clock=lambda: self.now,
            notify=self._notify,
            to_desk=self._to_desk,
            put=self._put,
            answers=lambda _session, _alarm: self.said,
            link=lambda alarm: f"https://station.example/a/{alarm}",
        )
        self.clock = self.new_clock()
        with database.write() as session:
            for account, (role, scope) in PEOPLE.items():
                session.merge(Account(id=account, kind="person", name=account, state="active", made_ms=1))
                session.flush()
                session.add(AccountGrant(account=account, role=role.value, scope=scope, from_ms=1, given_ms=1))
            for account in roster:
                session.add(shift(account))
            seen_ms = NOON + 9 * DAY_MS
            session.add(LiveDesk(station=STATION, name="d", account="desk", since_ms=1, seen_ms=seen_ms, beats=1))

    def new_clock(self, database: Database | None = None) -> LadderClock:
        """What a station that starts anew has."""
        return LadderClock(
            database or self.database,
            self.escalation,
            station=STATION,
            clock=lambda: self.now,
            monotonic_s=lambda: self.seconds,
        )

    def _notify(
        self, _session: Session, *, accounts: Sequence[str], notice: Notice, now_ms: int, escalation: str | None = None
    ) -> int:
        assert now_ms == self.now
        if accounts:
            self.told.append((tuple(accounts), notice, escalation))
        return len(accounts)

    def _to_desk(self, _session: Session, *, notice: Notice, **_more: object) -> int:
        self.desk.append(notice)
        return 1

    def _put(
        self, _session: Session, *, about: str, body: Mapping[str, object], eyes: frozenset[Audience], **_more: object
    ) -> None:
        self.heard.append((about, body, eyes))

    def open(self, number: int = 1, **changed: Any) -> AlarmRecord:
        alarm = record(number, received_ms=self.now, **changed)
        with self.database.write() as session:
            add_alarms(session, [alarm])
            self.escalation.follow(session, [Change(alarm=alarm, action=Action.RECEIVE, before=None, at_ms=self.now)])
        return alarm

    def change(self, alarm: AlarmRecord, action: Action, after: State, **changed: Any) -> AlarmRecord:
        before = State(alarm.state)
        alarm = replace(alarm, state=after.value, **changed)
        with self.database.write() as session:
            self.escalation.follow(session, [Change(alarm=alarm, action=action, before=before, at_ms=self.now)])
        return alarm

    def passes(self, seconds: float, *, look: bool = True) -> None:
        """Time goes on, by both clocks."""
        self.now += round(seconds * 1_000)
        self.seconds += seconds
        if look:
            self.clock.look()

    def rows(self, stage: Stage = Stage.ACKNOWLEDGE) -> list[DeadlineRow]:
        with self.database.read() as session:
            found = select(DeadlineRow).where(DeadlineRow.stage == stage.value).order_by(col(DeadlineRow.number))
            return [*session.exec(found).all()]

    def outcomes(self, stage: Stage = Stage.ACKNOWLEDGE) -> list[str]:
        return [row.outcome for row in self.rows(stage)]

    @property
    def people(self) -> list[tuple[str, ...]]:
        return [accounts for accounts, _, _ in self.told]


def shift(account: str) -> DutyShift:
    role, scope = PEOPLE[account]
    return DutyShift(
        station=STATION, account=account, role=role.value, area=scope, zone="UTC", weekdays="1234567", starts_min=0,
        lasts_min=1440, from_ms=1, made_by="x", made_ms=1,
    )  # fmt: skip


def record(number: int, **changed: Any) -> AlarmRecord:
    values: dict[str, Any] = {
        "id": f"{number:036}",
        "key": f"press:u1:1:{number}",
        "kind": "panic",
        "state": "received",
        "verified": True,
        "late": False,
        "gateway": "g1",
        "at_ms": 1,
        "clock": "synced",
        "age_ms": 1,
        "happened_ms": 1,
        "received_ms": 2,
        "place": HOUSEHOLDS[0],
        "group": "gr1",
        "group_known": True,
    }
    return AlarmRecord(**(values | changed))


@pytest.fixture
def hill(database: Database, settings: StationSettings) -> Hill:
    return Hill(database, settings)


class TestClimbing:
    @pytest.mark.proves("A8")
    def test_an_alarm_that_nobody_takes_climbs_on_time_through_whoever_is_on_duty(self, hill: Hill) -> None:
        hill.said = Answered(answered=3, reachable=3)
        hill.open()
        assert hill.people == [("wang",)]
        assert len(hill.desk) == 1
        hill.clock.look()
        for second in range(1, 301):
            hill.passes(1)
            told = [accounts for accounts, _, _ in hill.told]
            expected = [("wang",)]
            for after_s, names in ((60, ["li"]), (120, ["she", "chief"]), (180, ["jie"]), (300, ["zhi"])):
                if second >= after_s:
                    expected += [(name,) for name in names]
            assert told == expected, second
        assert hill.outcomes() == ["told"] * 5
        assert [row.people for row in hill.rows()] == [1, 1, 2, 1, 1]
        assert not any(row.late for row in hill.rows())
        assert [body["sound"] for _, body, _ in hill.heard][:2] == ["alarm", "urgent"]

    @pytest.mark.proves("A8", "N11")
    def test_whoever_acknowledges_ends_the_ladder_and_begins_the_next(self, hill: Hill) -> None:
        hill.said = Answered(answered=3, reachable=3)
        alarm = hill.open()
        hill.clock.look()
        hill.passes(59)
        alarm = hill.change(alarm, Action.ACKNOWLEDGE, State.ACKNOWLEDGED)
        hill.passes(299)
        assert hill.outcomes() == ["told", "settled", "settled", "settled", "settled"]
        assert hill.people == [("wang",)]
        hill.passes(1.5)
        assert hill.people[-1] == ("chief",)  # acknowledged and nobody sent
        alarm = hill.change(alarm, Action.DISPATCH, State.DISPATCHED)
        hill.passes(1)
        assert hill.outcomes(Stage.DISPATCH) == ["told", "settled"]
        hill.change(alarm, Action.RESOLVE, State.RESOLVED)
        assert hill.outcomes(Stage.ARRIVE) == ["settled", "settled"]
        hill.passes(DAY_MS / 1_000)
        assert hill.people[-1] == ("chief",)

    @pytest.mark.proves("A6")
    def test_a_households_cancel_does_not_stop_the_ladder(self, hill: Hill) -> None:
        alarm = hill.open()
        hill.clock.look()
        hill.change(alarm, Action.CANCEL, State.CANCELLED_BY_HOUSEHOLD)
        hill.passes(61)
        assert hill.people[-1] == ("li",)

    @pytest.mark.proves("A11")
    def test_tests_and_drills_climb_nothing_and_a_press_during_a_drill_does(self, hill: Hill) -> None:
        hill.open(1, kind="test", mark="test")
        hill.open(2, kind="drill", mark="drill")
        hill.open(3, mark="drill")
        assert hill.rows() == []
        hill.open(4, during_drill=True)
        assert len(hill.rows()) == 5

    @pytest.mark.proves("A8")
    def test_a_rung_with_nobody_on_duty_is_skipped_at_once_and_the_skipping_is_a_row(
        self, database: Database, settings: StationSettings
    ) -> None:
        hill = Hill(database, settings, roster=("zhi",))
        hill.open()
        hill.clock.look()
        hill.passes(60)
        assert hill.people == []  # the desk is attended
        hill.passes(60)
        assert hill.people == [("zhi",)]
        rows = hill.rows()
        assert [row.outcome for row in rows] == ["told", "told", "skipped", "skipped", "told"]
        assert [row.cause for row in rows[2:]] == ["timer", "nobody", "nobody"]
        assert {row.done_ms for row in rows[2:]} == {NOON + 120_000}
        hill.passes(600)
        assert hill.people == [("zhi",)]

    @pytest.mark.proves("A10")
    def test_a_ladder_that_ends_with_nobody_at_all_is_a_fault(
        self, database: Database, settings: StationSettings
    ) -> None:
        hill = Hill(database, settings, roster=())
        with database.write() as session:
            desk = session.get(LiveDesk, (STATION, "d"))
            assert desk is not None
            desk.seen_ms = 1
        hill.open()
        hill.clock.look()
        hill.passes(60)
        assert hill.outcomes() == ["told", *["skipped"] * 4]
        assert any(body.get("nobody") for _, body, _ in hill.heard)

    @pytest.mark.proves("A9")
    def test_too_few_answers_climb_by_themselves_and_enough_do_not(self, hill: Hill) -> None:
        hill.open(1)
        hill.clock.look()
        hill.passes(121)
        assert [row.outcome for row in hill.rows(Stage.ANSWERS)] == [Outcome.TOLD]
        assert ("wang",) in hill.people[1:]
        before = len(hill.told)
        hill.said = Answered(answered=1, reachable=3)
        hill.open(2)
        hill.clock.look()
        hill.passes(59)
        hill.change(record(2), Action.ACKNOWLEDGE, State.ACKNOWLEDGED)  # answers matter until somebody is there
        hill.passes(62)
        assert hill.outcomes(Stage.ANSWERS) == ["told", "enough"]
        assert [people for people in hill.people[before:] if people == ("wang",)] == [("wang",)]  # alarm 2 itself

    def test_a_level_that_nobody_received_brings_the_next_at_once(self, hill: Hill) -> None:
        hill.open()
        hill.clock.look()
        hill.passes(60)
        escalation = hill.told[-1][2]
        assert escalation is not None
        with hill.database.write() as session:
            hill.escalation.undeliverable(session, escalation, hill.now)
            hill.escalation.undeliverable(session, escalation, hill.now)
        assert hill.people[2:] == [("she",), ("chief",)]
        row = hill.rows()[2]
        assert (row.outcome, row.cause, row.done_ms) == (Outcome.TOLD, Cause.UNDELIVERABLE, NOON + 60_000)
        hill.passes(60)
        assert hill.rows()[2].done_ms == NOON + 60_000  # once

    def test_another_kind_begins_its_own_ladder(self, hill: Hill) -> None:
        alarm = hill.open(kind="help")
        hill.clock.look()
        hill.passes(30)
        hill.change(alarm, Action.SET_KIND, State.RECEIVED, kind="fire")
        assert [row.round for row in hill.rows()] == [0] * 5 + [1] * 5
        assert hill.outcomes()[1:5] == ["settled"] * 4
        assert hill.told[-1][1].kind_shown is Kind.FIRE

    @pytest.mark.proves("A7", "A8")
    def test_what_a_superior_urged_climbs_when_his_deadline_has_passed(self, hill: Hill) -> None:
        alarm = hill.change(hill.open(), Action.ACKNOWLEDGE, State.ACKNOWLEDGED)
        alarm = hill.change(alarm, Action.DISPATCH, State.DISPATCHED)
        alarm = hill.change(alarm, Action.URGE, State.DISPATCHED, due_ms=hill.now + 60_000)
        alarm = hill.change(alarm, Action.URGE, State.DISPATCHED, due_ms=hill.now + 120_000)
        assert hill.outcomes(Stage.URGED) == ["settled", "settled", "running", "running"]
        alarm = hill.change(alarm, Action.ON_SCENE, State.ON_SCENE)  # they are there, and it is not over
        hill.clock.look()
        told = len(hill.told)
        hill.passes(119)
        assert len(hill.told) == told
        hill.passes(2)
        assert hill.people[told:] == [("chief",)]
        hill.passes(1_800)
        assert hill.people[told:] == [("chief",), ("zhi",)]
        assert hill.outcomes(Stage.URGED)[2:] == ["told", "told"]

    @pytest.mark.proves("A8")
    def test_what_is_resolved_before_it_is_due_climbs_no_more_and_a_late_urge_at_once(self, hill: Hill) -> None:
        alarm = hill.change(hill.open(), Action.ACKNOWLEDGE, State.ACKNOWLEDGED)
        alarm = hill.change(alarm, Action.URGE, State.ACKNOWLEDGED, due_ms=hill.now - 5_000)
        assert hill.people[-1] == ("chief",)
        alarm = hill.change(alarm, Action.RESOLVE, State.RESOLVED)
        assert hill.outcomes(Stage.URGED) == ["told", "settled"]
        hill.change(alarm, Action.URGE, State.RESOLVED, due_ms=hill.now + 1_000)
        assert len(hill.rows(Stage.URGED)) == 2

    def test_the_urge_of_a_duress_alarm_is_told_to_police_alone(self, hill: Hill) -> None:
        alarm = hill.change(hill.open(kind="duress"), Action.ACKNOWLEDGE, State.ACKNOWLEDGED)
        hill.change(alarm, Action.URGE, State.ACKNOWLEDGED, due_ms=hill.now)
        assert hill.heard[-1][2] == {Audience.POLICE}
        assert hill.told[-1][1].police_only


class TestEyes:
    @pytest.mark.proves("N4")
    @pytest.mark.parametrize("changed", [{"kind": "duress"}, {"kind": "unverified", "verified": False}])
    def test_duress_and_the_unverified_climb_through_police_alone(self, hill: Hill, changed: dict[str, Any]) -> None:
        hill.open(**changed)
        hill.clock.look()
        for _ in range(40):
            hill.passes(10)
        assert {name for people in hill.people for name in people} == {"li", "chief", "zhi"}
        assert all(notice.police_only for _, notice, _ in hill.told)
        assert all(eyes == {Audience.POLICE} for _, _, eyes in hill.heard)
        assert hill.rows(Stage.ANSWERS) == []

    @pytest.mark.proves("N4")
    def test_of_an_alarm_whose_group_nobody_knows_only_police_are_told(self, hill: Hill) -> None:
        hill.open(group_known=False, place=None)
        hill.clock.look()
        for _ in range(40):
            hill.passes(10)
        assert {name for people in hill.people for name in people} <= {"li", "chief", "zhi"}
        assert "zhi" in {name for people in hill.people for name in people}
        assert all(eyes <= {Audience.POLICE} for _, _, eyes in hill.heard)

    @pytest.mark.proves("N4")
    @pytest.mark.parametrize(("excluded", "told"), [("", True), (f"{HOUSEHOLDS[1]} {HOUSEHOLDS[2]}", False)])
    def test_a_group_leader_whom_the_household_excludes_is_not_told_either(
        self, hill: Hill, excluded: str, *, told: bool
    ) -> None:
        with hill.database.write() as session:
            session.add(Account(id="zhang", kind="person", name="z", state="active", made_ms=1))
            session.flush()
            for role, scope in ((Role.GROUP_LEADER, "gr1"), (Role.HOUSEHOLD, HOUSEHOLDS[2])):
                session.add(AccountGrant(account="zhang", role=role.value, scope=scope, from_ms=1, given_ms=1))
            session.add(
                DutyShift(
                    station=STATION,
                    account="zhang",
                    role="group_leader",
                    area="gr1",
                    zone="UTC",
                    weekdays="1234567",
                    starts_min=0,
                    lasts_min=1440,
                    from_ms=1,
                    made_by="x",
                    made_ms=1,
                )
            )
        hill.open(excluded=excluded)
        hill.clock.look()
        hill.passes(121)
        assert (("zhang",) in hill.people) is told
        assert not any(Audience.NEIGHBOUR in eyes for _, _, eyes in hill.heard)

    @pytest.mark.proves("N4")
    def test_each_is_told_what_his_own_eyes_may_read(self, hill: Hill) -> None:
        hill.open(kind="medical", number=1)
        (_, notice, _), *_rest = hill.told
        assert (notice.kind_shown, notice.grid, notice.number) == (Kind.MEDICAL, GRID, None)
        assert "door" not in notice.text()
        assert "label" not in notice.text()
        assert HOUSEHOLDS[0] not in notice.text()


class TestPersistence:
    @pytest.mark.proves("N11", "N6", "F14")
    def test_a_restart_with_a_clock_of_1970_delays_nothing(self, hill: Hill) -> None:
        hill.open()
        hill.clock.look()
        for _ in range(5):
            hill.passes(10)  # how far it was counted is written down every 10 s
        hill.now, hill.seconds = 1_000, 5.0  # another boot: both clocks begin anew
        hill.clock = hill.new_clock()
        hill.clock.look()
        hill.passes(9.5)
        assert hill.people == [("wang",)]
        hill.passes(1)
        assert hill.people == [("wang",), ("li",)]

    @pytest.mark.proves("N11", "N6")
    def test_alarms_of_several_moments_each_keep_what_remains_over_restarts_with_a_clock_of_1970(
        self, hill: Hill
    ) -> None:
        for number in range(1, 4):  # at 0 s, 20 s and 40 s
            hill.open(number)
            hill.clock.look()
            hill.passes(20)
        for _ in range(2):  # twice another boot, after ten more seconds each
            hill.now, hill.seconds = 1_000, 5.0
            hill.clock = hill.new_clock()
            hill.clock.look()
            hill.passes(10)
        # 80 s were counted of the first alarm, 60 s of the second, 40 s of the third
        assert hill.outcomes() == ["told", "told", *["running"] * 3] * 2 + ["told", *["running"] * 4]
        hill.passes(19)
        assert hill.outcomes()[-5:-3] == ["told", "running"]
        hill.passes(2)
        assert hill.outcomes()[-5:-3] == ["told", "told"]

    @pytest.mark.proves("N11", "N6")
    def test_time_away_counts_although_the_next_boot_has_a_clock_of_1970(self, hill: Hill) -> None:
        hill.open()
        hill.now += 50_000  # away, before the clock had found it
        hill.clock = hill.new_clock()
        hill.clock.look()
        hill.passes(2)
        hill.clock.stop()
        hill.clock.save()
        hill.now, hill.seconds = 1_000, 5.0
        hill.clock = hill.new_clock()
        hill.clock.look()
        hill.passes(7)
        assert hill.outcomes()[:2] == ["told", "running"]
        hill.passes(1.1)
        assert hill.outcomes()[:2] == ["told", "told"]

    @pytest.mark.proves("A8")
    def test_however_many_levels_run_one_row_says_how_far_they_were_counted(self, hill: Hill) -> None:
        for number in range(1, 30):
            hill.open(number)
        hill.clock.look()
        for _ in range(4):
            hill.passes(10)
        with hill.database.read() as session:
            (row,) = session.exec(select(CountRow)).all()
        assert (row.from_ms, row.to_ms) == (0, 40_000)

    @pytest.mark.proves("N11")
    def test_time_that_the_station_was_away_counts(self, hill: Hill) -> None:
        hill.open()
        hill.clock.look()
        hill.passes(10)
        hill.now += 45_000  # away, by the wall clock
        hill.seconds = 3.0
        hill.clock = hill.new_clock()
        hill.clock.look()
        assert hill.people == [("wang",)]
        hill.passes(5.1)
        assert hill.people == [("wang",), ("li",)]
        assert not hill.rows()[1].late

    @pytest.mark.proves("N6", "F15")
    def test_a_wall_clock_that_jumps_while_the_station_runs_changes_nothing(self, hill: Hill) -> None:
        hill.open()
        hill.clock.look()
        hill.now += DAY_MS
        hill.clock.look()
        assert hill.people == [("wang",)]
        hill.now -= 2 * DAY_MS
        hill.passes(60)
        assert hill.people == [("wang",), ("li",)]

    @pytest.mark.proves("A8", "N11", "F52")
    def test_after_a_day_each_level_is_a_late_row_and_one_notification_goes_out(self, hill: Hill) -> None:
        hill.open()
        hill.clock.look()
        hill.passes(10)
        told, desk = len(hill.told), len(hill.desk)
        hill.now += DAY_MS
        hill.seconds = 0.0
        hill.clock = hill.new_clock()
        hill.clock.look()
        rows = hill.rows()
        assert [row.outcome for row in rows] == ["told", "passed", "passed", "passed", "told"]
        assert [row.late for row in rows] == [False, True, True, True, True]
        last = f"{rows[4].alarm}:acknowledge:0:4"
        ladder = [(people, notice) for people, notice, id_ in hill.told[told:] if id_ == last]
        assert [people for people, _ in ladder] == [("desk",), ("zhi",)]  # the duty officer and the highest due level
        assert all(notice.late and notice.level == 4 for _, notice in ladder)
        assert len(hill.desk) - desk <= 1  # too few answers, which is another stage
        hill.clock.look()
        hill.clock = hill.new_clock()
        hill.clock.look()
        assert [row.outcome for row in hill.rows()] == ["told", "passed", "passed", "passed", "told"]
        assert len([1 for _, _, id_ in hill.told if id_ == last]) == 2

    @pytest.mark.proves("N11", "F17")
    def test_what_fell_due_while_the_machine_slept_is_told_once_when_it_wakes(self, hill: Hill) -> None:
        hill.open()
        hill.clock.look()
        hill.passes(10)
        told = len(hill.told)
        hill.passes(86_400)  # the clock that counts has gone on: api.clock.running_s
        rows = hill.rows()
        assert [row.outcome for row in rows] == ["told", "passed", "passed", "passed", "told"]
        last = f"{rows[4].alarm}:acknowledge:0:4"
        assert [people for people, _, id_ in hill.told[told:] if id_ == last] == [("desk",), ("zhi",)]
        hill.passes(60)
        hill.clock.look()
        assert [row.outcome for row in hill.rows()] == ["told", "passed", "passed", "passed", "told"]
        assert len([1 for _, _, id_ in hill.told if id_ == last]) == 2

    @pytest.mark.proves("N11", "F51")
    def test_once_per_level_however_many_clocks_and_however_often_they_start(self, hill: Hill) -> None:
        for number in range(1, 6):
            hill.open(number)
        clocks = [hill.clock, hill.new_clock()]
        for second in range(320):
            for clock in clocks:
                clock.look()
            hill.passes(1, look=False)
            if second % 37 == 0:
                clocks[second % 2] = hill.new_clock()
        told = [(people, id_) for people, _, id_ in hill.told]
        assert len(told) == len({*told})
        assert hill.outcomes() == ["told"] * 25
        assert not any(row.late for row in hill.rows())

    @pytest.mark.proves("N11")
    @only_postgresql
    def test_of_several_processes_one_has_each_level(self, hill: Hill, another: Database) -> None:
        for number in range(1, 9):
            hill.open(number)
        clocks = [hill.new_clock(), hill.new_clock(another)]
        for clock in clocks:
            clock.look()
        hill.passes(60.5, look=False)
        start = threading.Barrier(2)

        def race(clock: LadderClock) -> None:
            start.wait(DEADLINE_S)
            clock.look()

        racing = [threading.Thread(target=race, args=(clock,)) for clock in clocks]
        for thread in racing:
            thread.start()
        for thread in racing:
            thread.join()
        told = [id_ for people, _, id_ in hill.told if people == ("li",)]
        assert len(told) == len({*told}) == 8

    @pytest.mark.proves("N11")
    @given(seed=st.integers(0, 10_000))
    def test_a_plan_is_never_overtaken_by_its_rows(self, seed: int) -> None:
        """Whatever was saved when, a level is never due later than its UTC moment says nor later than it remained."""
        due_ms, saved, away = NOON + seed * 37, seed % 301, seed * 11 % 700
        left = remains_ms(due_ms=due_ms, remaining_s=300, counted_ms=saved * 1_000, now_ms=NOON + away * 1_000)
        assert left <= (300 - saved) * 1_000
        assert left <= due_ms - NOON - away * 1_000


@pytest.fixture
def another(database_url: str) -> Iterator[Database]:
    """The same database, as another process has it."""
    with closing(Database.open(database_url, station=STATION)) as opened:
        yield opened


def by(role: Role, scope: str, action: str) -> Authority:
    principal = Principal(account="x", name="x", grants=(Grant(role=role, scope=scope),), via="token")
    return Authority(principal, action, rights().reach(principal, action, groups={}))


class TestLadders:
    def test_a_ladder_that_somebody_set_holds_for_alarms_from_then_on(self, hill: Hill) -> None:
        ladders = Ladders(hill.register, clock=lambda: hill.now)
        chief = by(Role.DUTY_LEADER, STATION, "ladder.edit")
        hill.open(1)
        with hill.database.write() as session:
            mine = (rung(0), rung(30, Target.COMMAND_CENTRE))
            ladders.set(session, chief, Stage.ACKNOWLEDGE, mine, kind="any", area=GRID, if_match=etag(0))
        hill.open(2)
        assert len(hill.rows()) == 7
        hill.clock.look()
        hill.passes(31)
        assert hill.people[-1] == ("zhi",)
        with hill.database.write() as session:
            ladders.take_back(session, chief, Stage.ACKNOWLEDGE, kind="any", area=GRID, if_match=etag(1))
        hill.open(3)
        assert len(hill.rows()) == 12
        with hill.database.write() as session:
            again = ladders.set(session, chief, Stage.ACKNOWLEDGE, mine, kind="any", area=GRID, if_match=etag(1))
            assert again.version == 2

    def test_nobody_sets_a_ladder_outside_his_area_or_over_another(self, hill: Hill) -> None:
        ladders = Ladders(hill.register, clock=lambda: hill.now)
        mine = (rung(0),)
        with hill.database.write() as session:
            stranger = by(Role.DUTY_LEADER, "elsewhere", "ladder.edit")
            admin = by(Role.ADMINISTRATOR, "", "ladder.edit")
            for who, area in ((stranger, GRID), (admin, "nowhere")):
                with pytest.raises(NotThere):
                    ladders.set(session, who, Stage.ACKNOWLEDGE, mine, kind="any", area=area, if_match=etag(0))
            ladders.set(session, admin, Stage.ACKNOWLEDGE, mine, kind="fire", area="any", if_match=etag(0))
            with pytest.raises(StaleVersion):
                ladders.set(session, admin, Stage.ACKNOWLEDGE, mine, kind="fire", area="any", if_match=etag(0))
            bad = (rung(0, Target.COMMUNITY),)
            with pytest.raises(BadLadder):
                ladders.set(session, admin, Stage.ACKNOWLEDGE, bad, kind="duress", area="any", if_match=etag(0))


class TestStation:
    @pytest.mark.proves("A8", "N11", "F51")
    def test_an_alarm_climbs_across_a_restart_of_the_station(self, serve: Serve, gateway: Gateway) -> None:
        ahead = [0]

        def clock() -> int:
            return wall_ms() + ahead[0]

        with serve(clock=clock) as served:
            for account, (role, scope) in PEOPLE.items():
                if account != "li":
                    somebody(served, account, role, scope)
            with served.station.database.write() as session:
                for account in PEOPLE:
                    if account != "li":
                        session.add(shift(account))
            event = gateway.event()
            gateway.send([event])
            eventually(lambda: bool(served.alarms()), "an alarm")
            alarm = served.alarms()[0]["id"]
            items = served.get(f"/api/v1/alarms/{alarm}/deadlines")["items"]
            ladder = [one for one in items if one["stage"] == "acknowledge"]
            assert [one["outcome"] for one in ladder] == ["told", "running", "running", "running", "running"]
        ahead[0] = 24 * 3_600_000
        with serve(clock=clock) as served:

            def ladder_now() -> list[Any]:
                items = served.get(f"/api/v1/alarms/{alarm}/deadlines")["items"]
                return [one for one in items if one["stage"] == "acknowledge"]

            eventually(lambda: ladder_now()[-1]["outcome"] == "told", "climbed", deadline_s=DEADLINE_S)
            assert [one["outcome"] for one in ladder_now()] == ["told", "passed", "passed", "passed", "told"]
            assert [one["late"] for one in ladder_now()] == [False, True, True, True, True]

    @pytest.mark.proves("N4")
    def test_nobody_but_police_can_ask_how_far_duress_has_climbed(self, serve: Serve, gateway: Gateway) -> None:
        with serve() as served:
            workers = [
                somebody(served, "wang", Role.GRID_WORKER, GRID),
                somebody(served, "she", Role.COMMUNITY, COMMUNITY),
                somebody(served, "jie", Role.TOWNSHIP, STATION),
            ]
            duress, panic = gateway.event(kind=Kind.DURESS), gateway.event()
            gateway.send([duress, panic])
            eventually(lambda: len(served.alarms()) == 2, "two alarms")
            assert served.get(f"/api/v1/alarms/{duress.id}/deadlines")["items"]
            nothing = workers[0].get(f"/api/v1/alarms/{duress.id[:-4]}0000/deadlines", status=404)
            for worker in workers:
                assert worker.get(f"/api/v1/alarms/{panic.id}/deadlines")["items"]
                answer = worker.get(f"/api/v1/alarms/{duress.id}/deadlines", status=404)
                assert {**answer, "detail": ""} == {**nothing, "detail": ""}

    def test_ladders_are_read_and_set_over_http_with_their_version(self, serve: Serve) -> None:
        with serve() as served:
            chief = somebody(served, "chief", Role.DUTY_LEADER, STATION)
            worker = somebody(served, "wang", Role.GRID_WORKER, GRID)
            path = f"/api/v1/ladders/acknowledge/fire/{GRID}"
            rungs: list[dict[str, Any]] = [{"after_s": 0, "tell": ["desk"]}, {"after_s": 45, "tell": ["duty_leader"]}]
            body = {"rungs": rungs}
            worker.get("/api/v1/ladders", status=403)
            chief.get(path, status=404)
            headers = {"Authorization": "Bearer token-of-chief", "If-Match": '"0"'}
            answer = served.client.put(path, json=body, headers=headers)
            assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
            assert served.client.put(path, json=body, headers=headers).status_code == 412
            assert chief.get(path)["rungs"][1]["after_s"] == 45
            duress = f"/api/v1/ladders/acknowledge/duress/{GRID}"
            rungs[1]["tell"] = ["community"]
            answer = served.client.put(duress, json=body, headers=headers)
            assert (answer.status_code, answer.json()["faults"][0]["where"]) == (422, 1)
