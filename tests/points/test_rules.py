"""The rules of points without tables: what facts are worth, caps, and that every fault of a table is named at once."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.points.facts import MERITS, WEAK, Fact, Happened, Happening, of_round
from api.points.rules import (
    APPEAL_UPHELD,
    DEFAULT,
    LATE_DATA,
    BadRules,
    Booked,
    Judged,
    default,
    judge,
    month_of,
    read,
    settle,
)

ZONE = ZoneInfo("Asia/Shanghai")
NOW = 1_800_000_000_000
DAY = 86_400_000
TEXT = DEFAULT.read_text(encoding="utf-8")


def fact(key: str, *happened: Happened | Happening, order: int = 0, at_ms: int = NOW, guard: str = "gd1") -> Fact:
    found = [one if isinstance(one, Happening) else Happening(what=one, item=str(n)) for n, one in enumerate(happened)]
    return Fact(
        key=key, guard=guard, company="co1", area="north", occurred_ms=at_ms, happenings=tuple(found), order=order
    )


def points(*facts: Fact) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in judge([default()], facts, zone=ZONE):
        found[one.rule] = found.get(one.rule, 0) + (0 if one.flag else one.points_tenths)
    return found


happenings = st.builds(
    Happening,
    what=st.sampled_from([*Happened]),
    item=st.sampled_from(["a", "b", "c", "d", "e"]),
    value=st.integers(0, 200),
)
facts = st.lists(
    st.builds(
        fact,
        st.just("f"),
        at_ms=st.integers(NOW, NOW + 40 * DAY),
        guard=st.sampled_from(["gd1", "gd2"]),
    ).flatmap(
        lambda one: st.lists(happenings, max_size=6, unique_by=lambda h: (h.what, h.item)).map(
            lambda found: replace(one, happenings=tuple(found))
        )
    ),
    max_size=30,
).map(lambda found: [replace(one, key=f"f{n}", order=n) for n, one in enumerate(found)])


@pytest.mark.proves("P7")
@pytest.mark.parametrize(
    ("rule", "happened", "tenths"),
    [
        ("P01", Happened.COMPLETE, 10),
        ("P02", Happened.LATE, -5),
        ("P03", Happened.EARLY, -5),
        ("P04", Happened.MISSED, -20),
        ("P05", Happened.WRONG_ORDER, -10),
        ("P06", Happened.NOT_STARTED, -30),
        ("P08", Happened.DWELL_SHORT, -10),
        ("R03", Happened.NOT_ANSWERED, -20),
        ("I01", Happened.INSPECTION_PASSED, 10),
        ("I02", Happened.OFF_POST, -30),
        ("I03", Happened.ASLEEP, -60),
        ("I04", Happened.GEAR_MISSING, -10),
        ("I05", Happened.GEAR_BROKEN, -10),
        ("F04", Happened.DAMAGED, -40),
        ("M01", Happened.INFORMATION, 10),
        ("M02", Happened.INCIDENT, 20),
        ("M03", Happened.DISPUTE, 20),
        ("M05", Happened.HAZARD, 10),
        ("M06", Happened.FIRST_ON_SCENE, 20),
        ("T01", Happened.TRAINED, 5),
        ("T02", Happened.TRAINING_MISSED, -10),
        ("J01", Happened.ORDER_DONE, 10),
    ],
)
def test_what_happens_is_worth_what_the_proposed_table_says(rule: str, happened: Happened, tenths: int) -> None:
    assert points(fact("f", happened)) == {rule: tenths}


@pytest.mark.proves("P7")
def test_an_answer_is_worth_something_within_a_minute_and_nothing_after_it() -> None:
    def answered(seconds: int) -> dict[str, int]:
        return points(fact("f", Happening(what=Happened.ANSWERED, value=seconds)))

    assert answered(60) == {"R01": 5}
    assert answered(61) == answered(180) == answered(181) == {}


@pytest.mark.proves("P7")
def test_an_arrest_gives_what_the_officer_sets_between_five_and_ten() -> None:
    def arrest(tenths: int) -> dict[str, int]:
        return points(fact("f", Happening(what=Happened.ARREST, value=tenths)))

    assert (arrest(0), arrest(70), arrest(900)) == ({"M04": 50}, {"M04": 70}, {"M04": 100})


@pytest.mark.proves("P7")
def test_a_gap_in_a_red_area_costs_the_company_and_no_guard() -> None:
    (one,) = judge([default()], [fact("f", Happened.COVERAGE_GAP)], zone=ZONE)
    assert (one.guard, one.company, one.points_tenths) == (None, "co1", -10)


@pytest.mark.proves("P9")
@given(facts)
def test_what_a_machine_suspects_costs_nothing_by_itself(found: list[Fact]) -> None:
    judged = judge([default()], found, zone=ZONE)
    suspected = {rule.id for rule in default().rules.values() if rule.when in WEAK}
    assert {one.rule for one in judged if one.flag} <= suspected
    assert not {one.rule for one in judged if not one.flag} & suspected


@pytest.mark.proves("P7")
@given(facts, st.randoms(use_true_random=False))
def test_the_order_in_which_facts_are_handed_over_does_not_matter(found: list[Fact], random: Random) -> None:
    mixed = [*found]
    random.shuffle(mixed)
    assert judge([default()], mixed, zone=ZONE) == judge([default()], found, zone=ZONE)


@pytest.mark.proves("P7")
@given(facts, st.randoms(use_true_random=False))
def test_the_order_in_which_facts_became_known_changes_no_sum_of_a_month(found: list[Fact], random: Random) -> None:
    def sums(all_: list[Fact]) -> dict[tuple[str | None, str, bool], int]:
        total: dict[tuple[str | None, str, bool], int] = {}
        for one in judge([default()], all_, zone=ZONE):
            if not one.flag:
                key = (one.guard, month_of(one.occurred_ms, ZONE), one.points_tenths > 0)
                total[key] = total.get(key, 0) + one.points_tenths
        return total

    places = [*range(len(found))]
    random.shuffle(places)
    assert sums([replace(one, order=place) for one, place in zip(found, places, strict=True)]) == sums(found)


@pytest.mark.proves("P7")
@given(facts)
def test_caps_hold_for_every_round_and_every_month(found: list[Fact]) -> None:
    judged = [one for one in judge([default()], found, zone=ZONE) if not one.flag]
    for cap in default().caps:
        sums: dict[tuple[str | None, str], int] = {}
        for one in judged:
            if one.rule in cap.rules:
                over = one.fact if cap.per == "fact" else month_of(one.occurred_ms, ZONE)
                sums[one.guard, over] = sums.get((one.guard, over), 0) + one.points_tenths
        assert all(abs(total) <= abs(cap.tenths) for total in sums.values()), cap


@pytest.mark.proves("P7")
def test_routine_gives_twenty_a_month_and_a_new_month_begins_anew_in_civil_time() -> None:
    rounds = [fact(f"f{n}", Happened.COMPLETE, order=n) for n in range(25)]
    assert points(*rounds) == {"P01": 200}
    last_of_january, first_of_february = 1_801_411_199_999, 1_801_411_200_000  # midnight in Shanghai
    rounds = [replace(one, occurred_ms=last_of_january) for one in rounds]
    assert points(*rounds, fact("new", Happened.COMPLETE, order=99, at_ms=last_of_january)) == {"P01": 200}
    assert points(*rounds, fact("new", Happened.COMPLETE, order=99, at_ms=first_of_february)) == {"P01": 210}


@pytest.mark.proves("P7")
def test_a_round_that_was_not_started_costs_no_more_than_one_in_which_three_checkpoints_were_missed() -> None:
    missed = [Happening(what=Happened.MISSED, item=str(n)) for n in range(8)]
    assert sum(points(fact("f", *missed)).values()) == -60
    assert sum(points(fact("f", Happening(what=Happened.NOT_STARTED), *missed)).values()) == -60


@pytest.mark.proves("P7")
@given(facts, facts)
def test_a_fact_that_becomes_known_later_moves_nothing_that_others_have(before: list[Fact], later: list[Fact]) -> None:
    later = [replace(one, key=f"later-{one.key}", order=one.order + 1_000) for one in later]
    first = judge([default()], before, zone=ZONE)
    assert judge([default()], [*later, *before], zone=ZONE)[: len(first)] == first


def booked(judged: list[Judged]) -> list[Booked]:
    return [
        Booked(id=str(n), about=one.about, guard=one.guard, company=one.company, points_tenths=one.points_tenths)
        for n, one in enumerate(judged)
    ]


@pytest.mark.proves("P7")
@given(facts, facts)
def test_after_settling_the_ledger_is_worth_what_the_facts_are(before: list[Fact], after: list[Fact]) -> None:
    old = [one for one in judge([default()], before, zone=ZONE) if not one.flag]
    new = [one for one in judge([default()], after, zone=ZONE) if not one.flag]
    lines = booked(old)
    made = settle(new, lines)
    balance = sum(one.points_tenths for one in lines) - sum(one.points_tenths for one in made.reverse)
    assert balance + sum(one.points_tenths for one in made.book) == sum(one.points_tenths for one in new)
    gone = {one.id for one in made.reverse}
    ledger = [replace(one, reversed_by=LATE_DATA) if one.id in gone else one for one in lines]
    again = settle(new, [*ledger, *(replace(one, id=f"new{one.id}") for one in booked([*made.book]))])
    assert (again.reverse, again.book) == ((), ())


@pytest.mark.proves("P7")
def test_a_round_that_turns_out_to_be_another_guards_moves_over() -> None:
    one, other = fact("f", Happened.MISSED), fact("f", Happened.MISSED, guard="gd2")
    made = settle(judge([default()], [other], zone=ZONE), booked(judge([default()], [one], zone=ZONE)))
    assert [line.guard for line in made.reverse] == ["gd1"]
    assert [line.guard for line in made.book] == ["gd2"]


@pytest.mark.proves("P7")
@given(facts)
def test_what_an_appeal_took_back_is_never_booked_again(found: list[Fact]) -> None:
    judged = [one for one in judge([default()], found, zone=ZONE) if not one.flag]
    taken = [replace(one, reversed_by=APPEAL_UPHELD) for one in booked(judged)]
    assert settle(judged, taken).book == ()


@dataclass(frozen=True)
class Visit:
    point: str
    outcome: str
    check_in: str | None = None
    due_ms: int | None = NOW


def walked(*visits: Visit, **more: Any) -> Fact | None:
    return of_round("round:1", visits, guard="gd1", company="co1", area="north", occurred_ms=NOW, **more)


@pytest.mark.proves("P7")
def test_a_round_gives_a_point_when_everything_was_in_time_and_scans_beyond_the_plan_give_nothing() -> None:
    made = walked(Visit("a", "on_time", "c1"), Visit("b", "on_time", "c2"))
    assert made is not None
    assert points(made) == {"P01": 10}
    assert not {"scan", "extra"} & {word for what in Happened for word in what.value.split("_")}


@pytest.mark.proves("P7")
def test_what_the_system_caused_is_excused_and_does_not_cost_the_point_of_the_round() -> None:
    made = walked(Visit("a", "on_time", "c1"), Visit("b", "excused"))
    assert made is not None
    assert points(made) == {"P01": 10}
    whole = walked(Visit("a", "excused"), Visit("b", "excused"))
    assert whole is not None
    assert (points(whole), whole.duty) == ({}, False)


@pytest.mark.proves("P7")
def test_of_two_on_one_round_each_has_what_he_did_and_both_have_what_nobody_did() -> None:
    visits = [Visit("a", "on_time", "mine"), Visit("b", "late", "his"), Visit("c", "missed")]
    mine, his = walked(*visits, own={"mine"}), walked(*visits, own={"his"})
    assert mine is not None
    assert his is not None
    assert (points(mine), points(his)) == ({"P04": -20}, {"P02": -5, "P04": -20})
    assert [one.item for one in his.happenings] == ["2:b", "3:c"]
    both = [Visit("a", "on_time", "mine"), Visit("b", "on_time", "his")]
    done, idle = walked(*both, own={"mine"}), walked(*both, own=set[str]())
    assert done is not None
    assert idle is not None
    assert (points(done), points(idle), idle.active) == ({"P01": 10}, {}, False)


@pytest.mark.proves("P7")
def test_whoever_came_along_without_being_listed_misses_nothing() -> None:
    made = walked(Visit("a", "on_time", "mine"), Visit("b", "missed"), own={"mine"}, listed=False)
    assert made is not None
    assert (points(made), made.duty, made.active) == ({}, False, True)


@pytest.mark.proves("P7")
def test_a_round_of_which_something_is_pending_is_no_fact_yet() -> None:
    assert walked(Visit("a", "on_time", "c1"), Visit("b", "pending")) is None


@pytest.mark.proves("P7")
def test_every_reason_says_in_both_languages_what_it_is_about() -> None:
    made = walked(Visit("gate", "late", "c1"), Visit("yard", "missed"))
    assert made is not None
    late, missed = judge([default()], [made], zone=ZONE)
    assert (late.reason.zh, late.evidence) == ("巡查点gate迟到", ("c1",))
    assert missed.reason.en == "checkpoint yard was missed"


@pytest.mark.proves("P7")
def test_a_round_that_was_ordered_for_its_day_is_also_an_order_done_if_it_was_done() -> None:
    visits = Visit("a", "on_time", "c1"), Visit("b", "on_time", "c2")
    done, along = walked(*visits, ordered=True), walked(*visits, ordered=True, listed=False)
    late = walked(Visit("a", "on_time", "c1"), Visit("b", "late", "c2"), ordered=True)
    assert done is not None
    assert along is not None
    assert late is not None
    assert (points(done), points(along), points(late)) == ({"P01": 10, "J01": 10}, {"P01": 10}, {"P02": -5})


@pytest.mark.proves("P7")
def test_a_reason_calls_a_checkpoint_as_people_do() -> None:
    made = walked(Visit("gate", "late", "c1"), Visit("yard", "missed"), names={"gate": "东门岗亭"})
    assert made is not None
    late, missed = judge([default()], [made], zone=ZONE)
    assert (late.reason.zh, late.reason.en) == ("巡查点东门岗亭迟到", "checkpoint 东门岗亭 was visited late")
    assert (late.item, missed.reason.zh) == ("1:gate", "巡查点yard漏巡")


def faults(text: str) -> dict[str, str]:
    with pytest.raises(BadRules) as bad:
        read(text)
    return {one.where: one.why for one in bad.value.faults}


@pytest.mark.proves("P7")
def test_everything_that_is_wrong_with_a_table_is_named_at_once() -> None:
    text = (
        TEXT.replace("points = -0.5", "points = -0.55", 1)
        .replace('when = "missed"', 'when = "scanned_more"')
        .replace('rules = ["R01"]', 'rules = ["R99"]')
        .replace('"too_fast"\npoints = -3\nflag = true', '"too_fast"\npoints = -3')
        .replace("巡查点{item}早到", "巡查点{name}早到")
        .replace("to_s = 60", "to_s = 90")
        .replace("appeal_h = 72", "appeal_h = 1\nmercy = true")
    )  # fmt: skip
    assert {*faults(text)} == {
        "rule.P02.points",
        "rule.P04.when",
        "cap.answers.rules",
        "rule.P07.flag",
        "rule.P03.why_zh",
        "rule.R02",
        "set.appeal_h",
        "set.mercy",
    }


@pytest.mark.proves("P7")
def test_no_table_can_let_a_machine_punish_a_suspicion() -> None:
    for rule in default().rules.values():
        if rule.when in WEAK:
            head = f"[rule.{rule.id}]"
            before, after = TEXT.split(head)
            assert f"rule.{rule.id}.flag" in faults(before + head + after.replace("flag = true\n", "", 1))
    assert not MERITS & WEAK


@given(st.text(max_size=200))
def test_whatever_somebody_writes_is_a_table_or_named_faults(text: str) -> None:
    try:
        read(text)
    except BadRules as bad:
        assert bad.faults  # noqa: PT017 - either is right
