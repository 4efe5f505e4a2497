import pytest

from broker import kinds
from broker.kinds import EventType, Kind, LadderState, Lane, Mark, UpdateState

WORD_LIST = {
    kinds.KIND_WORDS[Kind.PANIC]: "紧急报警",
    kinds.KIND_WORDS[Kind.HELP]: "一般求助",
    kinds.KIND_WORDS[Kind.MEDICAL]: "医疗求助",
    kinds.KIND_WORDS[Kind.FIRE]: "火警",
    kinds.KIND_WORDS[Kind.INTRUSION]: "入侵报警",
    kinds.KIND_WORDS[Kind.DURESS]: "胁迫报警(无声)",
    kinds.KIND_WORDS[Kind.TAMPER]: "防拆",
    kinds.KIND_WORDS[Kind.TEST]: "测试",
    kinds.KIND_WORDS[Kind.DRILL]: "演练",
    kinds.KIND_WORDS[Kind.UNVERIFIED]: "未登记/未核验",
    kinds.NEIGHBOUR_HELP: "求助",
    kinds.UPDATE_WORDS[UpdateState.ACKNOWLEDGED]: "签收",
    kinds.UPDATE_WORDS[UpdateState.CANCELLED_BY_HOUSEHOLD]: "住户撤销·待核实",
    kinds.UPDATE_WORDS[UpdateState.FALSE_ALARM]: "误报",
    kinds.UPDATE_WORDS[UpdateState.STAND_BACK]: "不要靠近",
    kinds.UPDATE_WORDS[UpdateState.CLOSED]: "办结",
    kinds.ANSWER_WORDS[kinds.Answer.COMING]: "马上去",
    kinds.ANSWER_WORDS[kinds.Answer.WATCHING]: "看着呢",
    kinds.ANSWER_WORDS[kinds.Answer.CANNOT]: "去不了",
}


@pytest.mark.parametrize(("words", "zh"), WORD_LIST.items())
def test_the_chinese_words_are_those_of_the_word_list(words: kinds.Words, zh: str) -> None:
    assert words.zh == zh


def test_every_member_has_its_words() -> None:
    assert set(kinds.KIND_WORDS) == set(Kind)
    assert set(kinds.LADDER_WORDS) == set(LadderState)
    assert set(kinds.UPDATE_WORDS) == set(UpdateState)
    assert set(kinds.ANSWER_WORDS) == set(kinds.Answer)
    assert set(kinds.MARK_WORDS) == set(Mark)


def test_no_two_kinds_share_a_word() -> None:
    assert len({words.zh for words in kinds.KIND_WORDS.values()}) == len(Kind)
    assert len({words.en for words in kinds.KIND_WORDS.values()}) == len(Kind)


def test_a_cancel_and_a_false_alarm_have_different_words() -> None:
    """A household cancels; only a handler finds that an alarm was false."""
    cancelled, false = (
        kinds.UPDATE_WORDS[state] for state in (UpdateState.CANCELLED_BY_HOUSEHOLD, UpdateState.FALSE_ALARM)
    )
    assert cancelled.zh != false.zh
    assert cancelled.en != false.en


@pytest.mark.proves("A3")
def test_fire_drowns_panic_and_everything_drowns_a_drill() -> None:
    order = [Kind.FIRE, Kind.PANIC, Kind.INTRUSION, Kind.MEDICAL, Kind.HELP, Kind.DRILL]
    for index, kind in enumerate(order):
        assert kinds.loudest(frozenset(order[index:])) is kind


@pytest.mark.parametrize("kind", [Kind.DURESS, Kind.TAMPER, Kind.TEST, Kind.UNVERIFIED])
def test_what_must_be_silent_has_no_place_among_the_sirens(kind: Kind) -> None:
    assert kind not in kinds.AUDIBLE
    assert kinds.loudest(frozenset({kind})) is None


def test_nothing_ringing_is_silence() -> None:
    assert kinds.loudest(frozenset()) is None


@pytest.mark.parametrize("event", EventType)
def test_every_event_has_a_lane_and_only_alarms_grow_old(event: EventType) -> None:
    fresh, old = (kinds.lane(event, age_ms=age) for age in (59_999, 60_000))
    if fresh is Lane.ALARM:
        assert old is Lane.OLD_ALARM
    else:
        assert old is fresh


def test_a_press_goes_before_a_fault_before_a_check_in_before_telemetry() -> None:
    events = [EventType.PRESS, EventType.FAULT, EventType.CHECK_IN, EventType.HEARTBEAT]
    lanes = [kinds.lane(event, age_ms=0) for event in events]
    assert lanes == sorted(lanes)
    assert lanes[0] < Lane.OLD_ALARM < lanes[1]
