"""A village as one simulation: lines, readers, acts by name, and scripts of people."""

import pytest

from devices.radio433 import Form, Radio433
from devices.rdm6300 import Rdm6300
from devices.readings import Answer, Key, RadioCode, TagSeen
from firmware_sim import acts
from firmware_sim.diary import CodeSent, Entry, Pressed, TagHeld
from firmware_sim.faults import Loss
from firmware_sim.line import NativeLine
from firmware_sim.medium import GATEWAY, Station
from firmware_sim.reader import Reader, code_frame, rdm6300_frame
from firmware_sim.scenario import storm, village_evening
from firmware_sim.settings import LineKind, LineSettings, UnitSettings, VillageSettings
from firmware_sim.unit import Memory
from firmware_sim.village import Village
from tests.firmware_sim.gateway_end import MS, S, a_line

SETTINGS = VillageSettings(
    lines=(
        a_line(3, 9600, name="line1"),
        LineSettings(name="line2", baud=115_200, units=(UnitSettings(name="shop", unit=1, key=bytes(16)),)),
        LineSettings(name="gate", kind=LineKind.RDM6300),
        LineSettings(name="air", kind=LineKind.RADIO433, form=Form.TEXT),
    ),
    heartbeat_s=0,
)


def a_village(told: list[tuple[str, Entry]] | None = None) -> Village:
    return Village(SETTINGS, now_ns=0, write=lambda name, entry: None if told is None else told.append((name, entry)))


def reader_of(village: Village, name: str) -> Reader:
    line = village.lines[name]
    assert isinstance(line, Reader)
    return line


def test_a_village_knows_its_units_by_name_whatever_line_they_are_on() -> None:
    village = a_village()
    assert sorted(village.units) == ["shop", "u001", "u002", "u003"]
    assert village.memories()["shop"] == Memory(1, 0)


def test_an_entry_of_a_diary_is_told_with_the_name_of_its_unit() -> None:
    told: list[tuple[str, Entry]] = []
    village = a_village(told)
    village.press("shop", Key.FIRE, 5 * S)
    village.advance(6 * S)
    [(name, entry)] = [(name, entry) for name, entry in told if isinstance(entry, Pressed)]
    assert (name, entry.key) == ("shop", "fire")
    assert village.units["shop"].diary[-1] in [entry for _, entry in told]


def test_being_late_changes_nothing_but_when_it_is_learnt() -> None:
    def story(step_ns: int) -> list[tuple[str, Entry]]:
        told: list[tuple[str, Entry]] = []
        village = a_village(told)
        village.press("u001", Key.PANIC, S)
        village.press("u002", Key.PANIC, S + MS)
        for now_ns in range(S + MS, 20 * S + 1, step_ns):
            village.advance(now_ns)
        village.advance(20 * S)
        return sorted(told, key=lambda one: (one[1].at_ns, one[0]))

    assert story(MS) == story(5 * S)


def test_next_due_is_the_first_of_all_lines() -> None:
    village = a_village()
    due = village.next_due()
    assert due == min(due for line in village.lines.values() if (due := line.next_due()) is not None)
    village.advance(60 * S)
    village.perform(acts.HoldTag("gate", "0062E3086C", hold_ms=1), 60 * S)
    due = village.next_due()
    assert due is not None
    assert 60 * S < due < 60 * S + 20 * MS


def test_a_tag_near_a_reader_is_one_tag_seen() -> None:
    village = a_village()
    village.perform(acts.HoldTag("gate", "0062e3086c", hold_ms=500), S)
    village.advance(5 * S)
    codec = Rdm6300(known=())
    seen = [tag for at_ns, data in village.lines["gate"].take_heard() for tag in codec.receive_data(data, at_ns)]
    assert seen == [TagSeen("0062E3086C")]
    assert codec.counts.frames == 9  # one at once, and one every 60 ms
    assert [entry.tag for entry in reader_of(village, "gate").diary if isinstance(entry, TagHeld)] == ["0062E3086C"]


def test_the_frame_of_a_tag_is_the_one_in_the_makers_sheet() -> None:
    assert rdm6300_frame("62E3086CED") == bytes.fromhex("02 36 32 45 33 30 38 36 43 45 44 30 38 03")
    with pytest.raises(ValueError, match="ten digits"):
        rdm6300_frame("62E3")


@pytest.mark.parametrize("form", list(Form))
def test_a_transmitter_is_one_radio_code_in_every_form(form: Form) -> None:
    reader = Reader("air", baud=9600)
    reader.send_code(0xABCDE, 4, 0, hold_ns=400 * MS, form=form)
    reader.advance(5 * S)
    codec = Radio433(form)
    heard = [code for at_ns, data in reader.take_heard() for code in codec.receive_data(data, at_ns)]
    assert heard == [RadioCode(0xABCDE, 4)]
    assert codec.counts.repeats >= 2
    assert [entry.identity for entry in reader.diary if isinstance(entry, CodeSent)] == [0xABCDE]


def test_the_frame_of_a_code_is_as_receivers_send_it() -> None:
    assert code_frame(0x12345, 6, Form.PLAIN) == bytes.fromhex("FD 12 34 56 DF")
    assert code_frame(0x12345, 6, Form.TEXT) == b"LC:123456\r\n"


def test_a_reader_is_paced_and_does_not_listen() -> None:
    reader = Reader("gate", baud=9600)
    reader.hold_tag("0062E3086C", 0, hold_ns=1)
    assert reader.next_due() == 7 * (10 * S // 9600)
    reader.receive(b"hello", 0)
    assert reader.unsent_bytes(0) == 0
    reader.advance(S)
    assert [len(data) for _, data in reader.take_heard()] == [7, 7]
    assert reader.next_due() is None


def test_acts_reach_the_unit_that_they_name() -> None:
    village = a_village()
    for act in (
        acts.Press("u001", Key.HELP, hold_ms=60_000, bounces=2),
        acts.Release("u001", Key.HELP),
        acts.Jam("u002", Key.PANIC),
        acts.Jam("u002", Key.PANIC, jammed=False),
        acts.Cancel("u001"),
        acts.GiveAnswer("u001", Answer.GOING),
        acts.Test("u001"),
        acts.HoldTag("u001", "AB12"),
        acts.Tamper("u001"),
        acts.CutMains("u001"),
        acts.SetBattery("u001", 5),
        acts.BreakSounder("u001"),
        acts.Reboot("shop"),
    ):
        village.perform(act, 5 * S)
    village.advance(10 * S)
    unit = village.units["u001"]
    assert (unit.cover_open, unit.mains, unit.battery, unit.sounder_broken) == (True, False, 5, True)
    said = [getattr(entry, "what", entry.event) for entry in unit.diary]
    assert {"cancel", "answer", "test", "tag", "part_failed"} <= set(said)
    assert village.memories()["shop"].boot == 2


def test_a_line_is_cut_mended_and_given_faults() -> None:
    village = a_village()
    line = village.lines["line1"]
    assert isinstance(line, NativeLine)
    village.perform(acts.CutLine("line1"), S)
    assert line.medium.cut == {GATEWAY}
    village.perform(acts.CutLine("line1", ("u002",)), S)
    assert line.medium.cut == {Station(2)}
    village.perform(acts.MendLine("line1"), S)
    assert line.medium.cut == frozenset()
    village.perform(acts.SetFaults("line1", (Loss(per_frame=1),)), S)
    assert line.medium.faults == (Loss(per_frame=1),)
    village.perform(acts.CutLine("gate"), S)
    village.perform(acts.HoldTag("gate", "0062E3086C"), S)
    village.advance(3 * S)
    assert village.lines["gate"].take_heard() == []
    village.perform(acts.MendLine("gate"), 3 * S)
    assert not reader_of(village, "gate").cut


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (acts.Press("u009", Key.PANIC), "there is no unit 'u009'"),
        (acts.Press("gate", Key.PANIC), "there is no unit 'gate'"),
        (acts.HoldTag("air", "0062E3086C"), "there is no rdm6300 or wiegand or pn532 line 'air'"),
        (acts.HoldTag("line1", "0062E3086C"), "no rdm6300 or wiegand or pn532 line 'line1'"),
        (acts.HoldTag("gate", "AB12"), "an EM4100 tag has ten digits"),
        (acts.SendCode("gate", 1), "there is no radio433 line 'gate'"),
        (acts.CutLine("line9"), "there is no line 'line9'"),
        (acts.CutLine("line1", ("shop",)), "line line1 has no unit shop"),
        (acts.SetFaults("gate"), "faults are for native lines"),
    ],
)
def test_what_is_not_there_is_refused(act: acts.Act, why: str) -> None:
    with pytest.raises(acts.BadAct, match=why):
        a_village().perform(act, S)


def test_a_storm_has_everybody_press_once_in_its_time() -> None:
    units = [f"u{number}" for number in range(50)]
    scenes = storm(units, within_ms=1000, seed=1)
    assert sorted(scene.act.unit for scene in scenes if isinstance(scene.act, acts.Press)) == sorted(units)
    assert [scene.at_ms for scene in scenes] == sorted(scene.at_ms for scene in scenes)
    assert 0 <= scenes[0].at_ms <= scenes[-1].at_ms <= 1000
    assert scenes == storm(units, within_ms=1000, seed=1) != storm(units, within_ms=1000, seed=2)


def test_an_evening_can_be_played_in_the_village_that_it_is_written_for() -> None:
    village = a_village()
    units = ["u001", "u002", "u003"]
    script = village_evening(units, seed=3, minutes=120, readers=["gate"], tags=["0062E3086C", "100086F444"])
    assert script == village_evening(units, seed=3, minutes=120, readers=["gate"], tags=["0062E3086C", "100086F444"])
    assert {type(scene.act) for scene in script} >= {acts.Press, acts.HoldTag, acts.Test, acts.GiveAnswer}
    for scene in script:
        village.perform(scene.act, round(scene.at_ms * MS))
    assert all(scene.at_ms >= 0 for scene in script)
    pressed = [entry for unit in village.units.values() for entry in unit.diary if isinstance(entry, Pressed)]
    assert len(pressed) == len([1 for scene in script if isinstance(scene.act, acts.Press)])
