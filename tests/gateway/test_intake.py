from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import EventId, UnitId
from broker.kinds import EventType, Kind
from devices import readings
from devices.readings import (
    Answer,
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    ContactClosed,
    ContactOpened,
    ContactStuck,
    Heartbeat,
    Key,
    LoopCut,
    LoopRestored,
    NotUnderstood,
    Part,
    PartFailed,
    PartRestored,
    PressEnded,
    Proof,
    RadioCode,
    SealRefused,
    TagRead,
    TagSeen,
    UnitHello,
)
from gateway.events import Event
from gateway.intake import KNOWN_PRESSES, Intake, Verdict, ZigbeeAction
from gateway.journal import Dropped
from tests.gateway.place import GATEWAY, Clock, Dice, register, unit

LINE = "line1"


def intake(known: Mapping[str, EventId] | None = None, **more: Any) -> Intake:
    return Intake(register(**more), gateway=GATEWAY, random_bytes=Dice(), known=known, alarm_of=lambda _: EventId("a1"))


def pressed(number: int = 1, *, address: int = 1, key: int = Key.PANIC, age_ms: int = 0, proof: Proof = Proof.SEALED,
            boot: int = 1) -> ButtonPressed:  # fmt: skip
    return ButtonPressed(address, boot, number, key, age_ms, proof)


def event_of(verdict: Verdict) -> Event:
    assert verdict.event is not None
    return verdict.event


@pytest.mark.proves("A3")
@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (Key.PANIC, Kind.PANIC), (Key.HELP, Kind.HELP), (Key.MEDICAL, Kind.MEDICAL), (Key.FIRE, Kind.FIRE),
        (Key.INTRUSION, Kind.INTRUSION), (Key.DURESS, Kind.DURESS),
    ],
)  # fmt: skip
def test_each_key_is_its_kind(key: Key, kind: Kind) -> None:
    verdict = intake().judge(LINE, pressed(key=key), Clock()())
    event = event_of(verdict)
    assert event.kind is kind
    assert event.verified
    assert (event.place, event.group, event.door, event.label) == ("h01", "g1", 101, "老王家")
    assert event.press == event.message == "u01:1:1"
    assert verdict.rings
    assert verdict.told is not None


@pytest.mark.proves("N13")
def test_a_key_that_nobody_knows_is_a_panic_all_the_same() -> None:
    verdict = intake().judge(LINE, pressed(key=99), Clock()())
    assert event_of(verdict).kind is Kind.PANIC
    assert event_of(verdict).reason == "unknown_key"
    assert verdict.rings


@pytest.mark.proves("N3", "F44")
def test_the_same_press_heard_again_is_the_same_event_however_often() -> None:
    judge, clock = intake(), Clock()
    first = event_of(judge.judge(LINE, pressed(), clock()))
    for proof in (Proof.SEALED, Proof.REPEAT, Proof.SEALED):
        again = judge.judge(LINE, pressed(proof=proof), clock.pass_s(3))
        assert again.event is None
        assert not again.rings
        assert again.repeat == first.id
        assert again.told is not None
    assert (judge.counts.events, judge.counts.repeats) == (1, 3)


@pytest.mark.proves("N3")
def test_a_press_is_known_over_a_restart() -> None:
    known = {"u01:1:1": EventId("before")}
    assert intake(known).judge(LINE, pressed(), Clock()()).repeat == "before"


@pytest.mark.proves("N3")
def test_the_oldest_messages_are_forgotten_first_so_that_the_latest_is_still_a_repeat_after_a_restart() -> None:
    known = {f"u01:1:{number}": EventId(f"e{number}") for number in range(1, KNOWN_PRESSES + 1)}
    judge = intake(known)
    judge.judge(LINE, pressed(60_000), Clock()())
    assert judge.judge(LINE, pressed(KNOWN_PRESSES), Clock()()).repeat == f"e{KNOWN_PRESSES}"
    assert judge.judge(LINE, pressed(1), Clock()()).event is not None


@pytest.mark.proves("N12", "N13", "F40")
def test_a_stale_press_is_shown_to_the_police_as_unverified_and_rings_nowhere() -> None:
    judge = intake()
    verdict = judge.judge(LINE, pressed(proof=Proof.STALE), Clock()())
    event = event_of(verdict)
    assert (event.kind, event.verified, event.reason) == (Kind.UNVERIFIED, False, "possible_replay")
    assert not verdict.rings
    assert event.targets(GATEWAY) == ["station", "police"]
    assert (event.message, verdict.told) == (None, None)
    for proof in (Proof.STALE, Proof.REPEAT):
        again = judge.judge(LINE, pressed(proof=proof), Clock()())
        assert (again.repeat, again.told) == (event.id, None)


@pytest.mark.proves("N13", "F42")
def test_a_press_that_looked_like_a_replay_is_believed_and_rings_when_its_unit_says_it_again() -> None:
    judge = intake()
    suspected = event_of(judge.judge(LINE, pressed(proof=Proof.STALE), Clock()()))
    verdict = judge.judge(LINE, pressed(), Clock()())
    assert verdict.rings
    assert verdict.told is not None
    assert event_of(verdict).id != suspected.id
    assert event_of(verdict).kind is Kind.PANIC
    cancel = CancelPressed(1, 1, 2, 1, Proof.STALE)
    assert judge.judge(LINE, cancel, Clock()()).cancels is None
    assert judge.judge(LINE, cancel, Clock()()).event is None
    assert judge.judge(LINE, replace(cancel, proof=Proof.SEALED), Clock()()).cancels == event_of(verdict).id


def test_suspicions_are_remembered_within_bounds() -> None:
    judge = intake()
    for number in range(KNOWN_PRESSES + 5):
        judge.judge(LINE, pressed(number % 65_536, boot=number // 65_536 + 1, proof=Proof.STALE), Clock()())
    assert len(judge._stale) == KNOWN_PRESSES


@pytest.mark.proves("N12")
@pytest.mark.parametrize(("age_ms", "rings"), [(0, True), (60_000, True), (60_001, False), (600_000, False)])
def test_a_press_that_took_long_to_get_here_is_kept_and_does_not_ring(age_ms: int, rings: bool) -> None:
    verdict = intake().judge(LINE, pressed(age_ms=age_ms), Clock()())
    assert event_of(verdict).late_ms == age_ms
    assert verdict.rings is rings


@pytest.mark.proves("A3", "N4")
def test_a_silent_unit_is_duress_whatever_key_it_has() -> None:
    units = [unit(1, silent=True)]
    verdict = intake(units=units).judge(LINE, pressed(key=Key.HELP), Clock()())
    assert event_of(verdict).kind is Kind.DURESS


@pytest.mark.proves("N4", "N13")
@pytest.mark.parametrize(("agreed", "reason"), [(True, None), (False, "duress_not_agreed")])
def test_duress_without_an_agreement_stays_silent_and_says_so_to_the_police(agreed: bool, reason: str | None) -> None:
    judge = intake(households=[{"id": "h01", "group": "g1", "duress": agreed}])
    event = event_of(judge.judge(LINE, pressed(key=Key.DURESS), Clock()()))
    assert (event.kind, event.reason) == (Kind.DURESS, reason)
    assert event.targets(GATEWAY) == ["station", "police"]


@pytest.mark.proves("N4")
def test_a_press_from_an_unknown_group_goes_to_the_police_only() -> None:
    event = event_of(intake().judge(LINE, pressed(address=5), Clock()()))
    assert event.targets(GATEWAY) == ["station", "police"]


@pytest.mark.proves("N13")
def test_a_press_of_a_unit_that_was_removed_while_it_spoke_is_unverified() -> None:
    verdict = intake().judge(LINE, pressed(address=77), Clock()())
    assert event_of(verdict).reason == "unknown_unit"
    assert not verdict.rings


@pytest.mark.proves("N1")
def test_what_a_removed_unit_says_besides_is_not_kept_and_so_not_answered() -> None:
    judge = intake()
    verdict = judge.judge(LINE, TagRead(77, 1, 1, "AA", 0, Proof.SEALED), Clock()())
    assert verdict == Verdict()
    assert judge.counts.passed_by == 1


@pytest.mark.proves("A6")
def test_a_cancel_names_its_press_and_stops_only_that() -> None:
    judge, clock = intake(), Clock()
    alarm = event_of(judge.judge(LINE, pressed(1), clock()))
    judge.judge(LINE, pressed(2, key=Key.FIRE), clock())
    verdict = judge.judge(LINE, CancelPressed(1, 1, 3, 1, Proof.SEALED), clock())
    assert verdict.cancels == alarm.id
    assert event_of(verdict).type is EventType.CANCEL
    assert event_of(verdict).press == "u01:1:1"


def test_a_cancel_without_a_number_means_the_last_press_that_could_be_heard() -> None:
    judge, clock = intake(), Clock()
    alarm = event_of(judge.judge(LINE, pressed(1), clock()))
    judge.judge(LINE, pressed(2, key=Key.DURESS), clock())
    judge.judge(LINE, pressed(9, address=3), clock())
    assert judge.judge(LINE, CancelPressed(1, 1, 3, 0, Proof.SEALED), clock()).cancels == alarm.id
    assert judge.judge(LINE, CancelPressed(4, 1, 3, 0, Proof.SEALED), clock()).cancels is None


@pytest.mark.proves("N13")
def test_a_cancel_that_cannot_be_verified_is_kept_and_changes_nothing() -> None:
    judge, clock = intake(), Clock()
    judge.judge(LINE, pressed(1), clock())
    for press in (0, 1):
        verdict = judge.judge(LINE, CancelPressed(1, 1, 5 + press, press, Proof.STALE), clock())
        assert verdict.cancels is None
        assert not event_of(verdict).verified
        assert event_of(verdict).reason == "possible_replay"


@pytest.mark.proves("A9")
def test_an_answer_names_the_alarm_that_the_siren_frame_was_about() -> None:
    event = event_of(intake().judge(LINE, AnswerGiven(3, 1, 1, Answer.GOING, 513, Proof.SEALED), Clock()()))
    assert event.type is EventType.ANSWER
    assert event.detail == {"answer": "coming", "alarm": 513, "event": "a1"}
    assert intake().judge(LINE, AnswerGiven(3, 1, 1, 9, 513, Proof.SEALED), Clock()()).event is not None


def test_silencing_is_for_ones_own_sounder_and_only_when_it_is_verified() -> None:
    judge = intake()
    mine = AnswerGiven(3, 1, 1, Answer.SILENCE_MINE, 0, Proof.SEALED)
    assert judge.judge(LINE, mine, Clock()()).silences == "u03"
    stale = replace(mine, number=2, proof=Proof.STALE)
    assert judge.judge(LINE, stale, Clock()()).silences is None


@pytest.mark.parametrize(
    ("reading", "type_", "detail"),
    [
        (PressEnded(1, 1, 9, 4, 700, Proof.SEALED), EventType.DURATION, {"held_ms": 700}),
        (TagRead(1, 1, 9, "AB12", 30, Proof.SEALED), EventType.CHECK_IN, {"tag": "AB12"}),
        (PartFailed(1, 1, 9, Part.COVER, Proof.SEALED), EventType.TAMPER, {"part": "cover"}),
        (PartFailed(1, 1, 9, 99, Proof.SEALED), EventType.TAMPER, {"part": "unknown"}),
        (PartRestored(1, 1, 9, Part.LOOP, Proof.SEALED), EventType.RESTORE, {"part": "loop"}),
        (UnitHello(1, 1, 9, 7, 2, 0, Proof.SEALED), EventType.HELLO, {"firmware": 7, "reason": 2}),
        (readings.TestPressed(1, 1, 9, Proof.SEALED), EventType.TEST, {}),
    ],
)
def test_whatever_a_unit_numbers_is_kept_once_and_answered(
    reading: readings.Numbered, type_: EventType, detail: dict[str, Any]
) -> None:
    judge = intake()
    verdict = judge.judge(LINE, reading, Clock()())
    assert event_of(verdict).type is type_
    assert event_of(verdict).detail == detail
    assert verdict.told is not None
    assert not verdict.rings
    again = judge.judge(LINE, reading, Clock()())
    assert again.repeat == event_of(verdict).id


@pytest.mark.proves("A10")
@pytest.mark.parametrize("part", [Part.MAINS, Part.BATTERY, Part.SOUNDER])
def test_conditions_that_last_are_answered_and_left_to_supervision(part: Part) -> None:
    judge = intake()
    verdict = judge.judge(LINE, PartFailed(1, 1, 2, part, Proof.SEALED), Clock()())
    assert verdict.event is None
    assert verdict.told is not None
    assert judge.counts.conditions == 1


@pytest.mark.proves("N4")
def test_a_heartbeat_makes_no_event_and_is_answered_like_everything_else() -> None:
    beat = Heartbeat(1, 1, 5, 80, True, False, False, 1, 0, Proof.SEALED)
    judge = intake()
    verdict = judge.judge(LINE, beat, Clock()())
    assert verdict.event is None
    assert verdict.heartbeat
    assert verdict.told == judge.judge(LINE, pressed(5, key=Key.DURESS), Clock()()).told


@pytest.mark.proves("N9", "N13", "F41")
def test_refused_seals_reach_the_police_once_in_ten_minutes_for_each_address_and_six_for_a_line() -> None:
    judge, clock = intake(), Clock()
    first = judge.judge(LINE, SealRefused(1, known=True), clock())
    assert event_of(first).reason == "bad_seal"
    assert (event_of(first).place, event_of(first).verified) == ("h01", False)
    assert not first.rings
    assert judge.judge(LINE, SealRefused(1, known=True), clock()).event is None
    strangers = [judge.judge(LINE, SealRefused(100 + n, known=False), clock()) for n in range(8)]
    assert [event_of(one).reason for one in strangers[:5]] == ["unknown_unit"] * 5
    assert all(one.event is None for one in strangers[5:])
    assert judge.counts.refused_over_rate == 4
    assert judge.judge("line2", SealRefused(1, known=False), clock()).event is not None
    clock.pass_s(600)
    assert judge.judge(LINE, SealRefused(1, known=True), clock()).event is not None


REMOTE_BUTTON = [{"id": "r1", "identity": 5, "command": 2, "household": "h01"}]


@pytest.mark.proves("A2", "F40")
def test_a_fixed_code_rings_and_is_marked_unverified() -> None:
    verdict = intake(remotes=REMOTE_BUTTON).judge("radio", RadioCode(5, 2), Clock()())
    event = event_of(verdict)
    assert verdict.rings
    assert (event.kind, event.verified, event.reason, event.unit) == (Kind.PANIC, False, "fixed_code", "r1")


@pytest.mark.proves("N3")
def test_a_fixed_code_within_ten_seconds_is_the_same_press_and_later_another() -> None:
    judge, clock = intake(remotes=REMOTE_BUTTON), Clock()
    first = event_of(judge.judge("radio", RadioCode(5, 2), clock()))
    assert judge.judge("radio", RadioCode(5, 2), clock.pass_s(9)).repeat == first.id
    assert judge.judge("radio", RadioCode(5, 2), clock.pass_s(9)).repeat == first.id
    second = event_of(judge.judge("radio", RadioCode(5, 2), clock.pass_s(10)))
    assert second.press != first.press


@pytest.mark.proves("N9")
def test_a_strangers_radio_code_is_counted_and_nothing_else() -> None:
    judge = intake(remotes=REMOTE_BUTTON)
    assert judge.judge("radio", RadioCode(5, 3), Clock()()) == Verdict()
    assert judge.counts.unknown_radio == 1


ZIGBEE = [{"id": "z1", "name": "hall", "household": "h01", "actions": {"emergency": "panic", "single": "help"}}]


@pytest.mark.proves("A2")
def test_a_zigbee_button_is_a_press_of_the_kind_that_its_action_stands_for() -> None:
    judge, clock = intake(zigbee_buttons=ZIGBEE), Clock()
    first = judge.judge("zigbee", ZigbeeAction("hall", "emergency"), clock())
    assert (event_of(first).kind, event_of(first).verified, first.rings) == (Kind.PANIC, True, True)
    assert judge.judge("zigbee", ZigbeeAction("hall", "emergency"), clock.pass_s(1)).repeat == event_of(first).id
    assert event_of(judge.judge("zigbee", ZigbeeAction("hall", "single"), clock())).kind is Kind.HELP
    for name, action in (("hall", "double"), ("attic", "emergency")):
        assert judge.judge("zigbee", ZigbeeAction(name, action), clock()) == Verdict()


def test_a_tag_at_a_bare_reader_is_a_check_in_of_that_reader() -> None:
    event = event_of(intake().judge("gate-reader", TagSeen("0A0B"), Clock()()))
    assert (event.type, event.unit, event.detail) == (EventType.CHECK_IN, "gate-reader", {"tag": "0A0B"})


@pytest.mark.proves("P1", "N16")
@pytest.mark.parametrize(
    ("written", "code"),
    [
        (("PT1:east:1:0123456789abcdef",), "PT1:east:1:0123456789abcdef"),
        (("东门", "https://sw.example/phone/c/PT1:east:12:0123456789abcdef"), "PT1:east:12:0123456789abcdef"),
        (("PT1:east:1:0123", "https://bank.example/?card=6222020200112233", "张强 13900000000"), None),
        ((), None),
    ],
)
def test_of_what_is_written_on_a_card_only_a_code_of_a_checkpoint_leaves_the_gateway(
    written: tuple[str, ...], code: str | None
) -> None:
    event = event_of(intake().judge("gate-reader", TagSeen("0A0B", written), Clock()()))
    assert event.detail == ({"tag": "0A0B"} if code is None else {"tag": "0A0B", "code": code})


CONTACT = [
    {"id": "k1", "pin": 4, "household": "h01", "kind": "fire"},
    {"id": "l1", "pin": 5, "role": "loop", "normally_closed": True},
]


@pytest.mark.proves("A2")
def test_a_wired_key_is_a_press_known_by_start_and_count_and_its_duration_names_it() -> None:
    judge, clock = intake(contacts=CONTACT), Clock()
    verdict = judge.judge_contact(UnitId("k1"), 65_536 + 7, ContactClosed(3), clock())
    assert (event_of(verdict).kind, event_of(verdict).press, verdict.rings) == (Kind.FIRE, "k1:7:3", True)
    ended = event_of(judge.judge_contact(UnitId("k1"), 65_536 + 7, ContactOpened(3, 450), clock()))
    assert (ended.type, ended.press, ended.detail) == (EventType.DURATION, "k1:7:3", {"held_ms": 450})
    stuck = event_of(judge.judge_contact(UnitId("k1"), 7, ContactStuck(3), clock()))
    assert (stuck.type, stuck.detail) == (EventType.FAULT, {"fault": "stuck_key"})


def test_a_cut_loop_is_tamper_without_a_siren_and_has_its_restore() -> None:
    judge, clock = intake(contacts=CONTACT), Clock()
    cut = judge.judge_contact(UnitId("l1"), 1, LoopCut(1), clock())
    assert (event_of(cut).kind, event_of(cut).type, cut.rings) == (Kind.TAMPER, EventType.TAMPER, False)
    restored = event_of(judge.judge_contact(UnitId("l1"), 1, LoopRestored(1, 50), clock()))
    assert restored.type is EventType.RESTORE
    assert judge.judge_contact(UnitId("x"), 1, ContactClosed(1), clock()) == Verdict()


def test_what_is_no_message_is_passed_by_and_counted() -> None:
    judge = intake()
    for reading in (CommandDone(1, 2, 0, 3), NotUnderstood(1, 9), object()):
        assert judge.judge(LINE, reading, Clock()()) == Verdict()
    assert judge.counts.passed_by == 3


def test_a_fault_names_its_unit_place_and_cleaned_words() -> None:
    event = intake().fault("battery", Clock()(), over=True, unit=UnitId("u01"), subject="u\u202e01",
                           detail={"why": "a\nb", "percent": 3})  # fmt: skip
    assert (event.type, event.place) == (EventType.FAULT_RESTORED, "h01")
    assert event.detail == {"fault": "battery", "subject": "u01", "why": "ab", "percent": 3}


def test_what_gave_way_is_told_as_a_range() -> None:
    event = intake().dropped(Dropped(3, 9, 5), epoch=judge_epoch(), stamp=Clock()())
    assert (event.type, event.detail) == (
        EventType.PRUNED, {"first": 3, "last": 9, "count": 5, "epoch": judge_epoch()}
    )  # fmt: skip


def judge_epoch() -> Any:
    return "0123456789abcdef"


def test_a_message_that_was_let_go_of_is_new_when_it_comes_again() -> None:
    judge = intake()
    first = event_of(judge.judge(LINE, pressed(), Clock()()))
    judge.forget(first)
    second = judge.judge(LINE, pressed(), Clock()())
    assert second.event is not None
    judge.forget(first)
    assert judge.judge(LINE, pressed(), Clock()()).repeat == second.event.id


anything = (
    st.builds(
        ButtonPressed,
        unit=st.integers(0, 6), boot=st.integers(0, 0xFFFF), number=st.integers(0, 0xFFFF),
        key=st.integers(0, 255), age_ms=st.integers(0, 10**7), proof=st.sampled_from(Proof),
    )
    | st.builds(
        CancelPressed,
        unit=st.integers(0, 6), boot=st.integers(0, 0xFFFF), number=st.integers(0, 0xFFFF),
        press=st.integers(0, 0xFFFF), proof=st.sampled_from(Proof),
    )
    | st.builds(SealRefused, unit=st.integers(0, 0xFFFF), known=st.booleans())
    | st.builds(RadioCode, identity=st.integers(0, 6), command=st.integers(0, 3))
)  # fmt: skip


@pytest.mark.proves("N9", "N12", "N13")
@given(said=st.lists(anything, max_size=30))
def test_every_reading_is_an_event_a_repeat_or_counted_and_only_audible_kinds_are_verified_to_ring(
    said: list[Any],
) -> None:
    judge, clock = intake(remotes=REMOTE_BUTTON), Clock()
    for reading in said:
        verdict = judge.judge(LINE, reading, clock())
        if verdict.rings:
            assert event_of(verdict).kind not in {Kind.UNVERIFIED, Kind.TEST, Kind.TAMPER}
        if verdict.event is not None and verdict.event.kind is Kind.UNVERIFIED:
            assert verdict.event.targets(GATEWAY) == ["station", "police"]
    counts = judge.counts
    told = counts.events + counts.repeats + counts.heartbeats + counts.conditions + counts.passed_by
    assert told == len(said)
    assert counts.refused_over_rate + counts.unknown_radio <= counts.passed_by
