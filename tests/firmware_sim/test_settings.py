"""Settings, acts and faults as JSON: what is written is read, what is wrong is named."""

import json

import pytest

from devices.radio433 import Form
from devices.readings import Answer, Key
from firmware_sim import acts
from firmware_sim.faults import Duplicate, Loss, Noise, Split
from firmware_sim.settings import BadSettings, LineKind, LineSettings, UnitSettings, VillageSettings

UNIT = UnitSettings(name="u01", unit=1, key=bytes(16), door=101)


def test_settings_come_back_as_they_were() -> None:
    village = VillageSettings(
        lines=(
            LineSettings(name="line1", baud=115_200, units=(UNIT,)),
            LineSettings(name="gate", kind=LineKind.RDM6300),
            LineSettings(name="air", kind=LineKind.RADIO433, form=Form.TEXT),
        ),
        seed=7,
        heartbeat_s=2.5,
        faults=(Noise(per_byte=0.01), Loss(per_frame=0.5), Split(per_frame=1, pause_ms=3), Duplicate(per_frame=0)),
    )
    assert VillageSettings.from_json(village.to_json()) == village


def test_what_is_left_out_has_its_default() -> None:
    text = json.dumps({"lines": [{"name": "line1", "units": [{"name": "u01", "unit": 1, "key": "00" * 16}]}]})
    assert VillageSettings.from_json(text) == VillageSettings(
        lines=(LineSettings(name="line1", units=(UnitSettings(name="u01", unit=1, key=bytes(16)),)),)
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"lines": [{"name": "a", "kind": "laser"}]}, "line a: kind"),
        ({"lines": [{"name": "a", "baud": "fast"}]}, "baud is 'fast'"),
        ({"lines": [{"name": "a", "baud": 50}]}, "line a: 50 baud"),
        ({"lines": [{"name": "a", "speed": 9600}]}, "there is no 'speed'"),
        ({"lines": [{"name": "a"}, {"name": "a"}]}, "two lines are named a"),
        ({"lines": [{"baud": 9600}]}, "line None"),
        ({"lines": {}}, "lines: a list is missing"),
        ({"lines": [17]}, "a line is not a JSON object"),
        ({"lines": [{"name": "a", "units": [{"name": "u", "unit": 1, "key": "00"}]}]}, "unit u: a key has 16 bytes"),
        ({"lines": [{"name": "a", "units": [{"name": "u", "unit": 1, "key": "xy"}]}]}, "unit u: key is not given"),
        ({"lines": [{"name": "a", "units": [{"name": "u", "unit": 0, "key": "00" * 16}]}]}, "unit u: address 0"),
        ({"lines": [{"name": "a", "kind": "rdm6300", "units": [{"name": "u", "unit": 1, "key": "00" * 16}]}]}, "only"),
        ({"faults": [{"fault": "gremlins"}]}, "a fault is one of"),
        ({"faults": [{"fault": "loss", "per_frame": 2}]}, "fault loss: per_frame is 2"),
        ({"faults": [{"fault": "loss"}]}, "fault loss"),
        ({"seed": True}, "seed is True"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: dict[str, object], place: str) -> None:
    with pytest.raises(BadSettings, match=place):
        VillageSettings.from_json(json.dumps({"lines": []} | change))


def test_two_units_with_one_address_are_refused() -> None:
    with pytest.raises(BadSettings, match="two units with address 1"):
        LineSettings(name="a", units=(UNIT, UnitSettings(name="u02", unit=1, key=bytes(16))))


def test_two_units_with_one_name_are_refused_across_lines() -> None:
    with pytest.raises(BadSettings, match="two units are named u01"):
        VillageSettings(lines=(LineSettings(name="a", units=(UNIT,)), LineSettings(name="b", units=(UNIT,))))


def test_text_that_is_no_json_is_said_to_be_none() -> None:
    with pytest.raises(BadSettings, match="no JSON"):
        VillageSettings.from_json("lines = []")


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ('{"do":"press","unit":"u03","key":"panic","hold_ms":90}', acts.Press("u03", Key.PANIC, hold_ms=90)),
        ('{"do":"press","unit":"u03","key":"duress","bounces":3}', acts.Press("u03", Key.DURESS, bounces=3)),
        ('{"do":"release","unit":"u03","key":"fire"}', acts.Release("u03", Key.FIRE)),
        ('{"do":"jam","unit":"u03","key":"help"}', acts.Jam("u03", Key.HELP)),
        ('{"do":"cancel","unit":"u03"}', acts.Cancel("u03")),
        ('{"do":"answer","unit":"u03","answer":"silence_mine"}', acts.GiveAnswer("u03", Answer.SILENCE_MINE)),
        ('{"do":"test","unit":"u03"}', acts.Test("u03")),
        ('{"do":"tag","unit":"gate","tag":"0062E3086C"}', acts.HoldTag("gate", "0062E3086C")),
        ('{"do":"code","unit":"air","identity":703710,"command":2}', acts.SendCode("air", 703710, 2)),
        ('{"do":"reboot","unit":"u03","off_ms":10}', acts.Reboot("u03", 10)),
        ('{"do":"tamper","unit":"u03","opened":false}', acts.Tamper("u03", opened=False)),
        ('{"do":"mains","unit":"u03"}', acts.CutMains("u03")),
        ('{"do":"battery","unit":"u03","percent":12}', acts.SetBattery("u03", 12)),
        ('{"do":"sounder","unit":"u03"}', acts.BreakSounder("u03")),
        ('{"do":"cut","line":"line1","units":["u03"]}', acts.CutLine("line1", ("u03",))),
        ('{"do":"mend","line":"line1"}', acts.MendLine("line1")),
        (
            '{"do":"faults","line":"line1","faults":[{"fault":"loss","per_frame":0.1}]}',
            acts.SetFaults("line1", (Loss(per_frame=0.1),)),
        ),
    ],
)
def test_every_act_is_read_from_json(text: str, act: acts.Act) -> None:
    assert acts.act_from(json.loads(text)) == act
    if not isinstance(act, acts.SetFaults):
        assert acts.act_from(json.loads(json.dumps(acts.act_to(act)))) == act


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (17, "do is one of press"),
        ({"do": "dance"}, "do is one of press"),
        ({"do": "press", "unit": "u03"}, "press: needs unit, key"),
        ({"do": "press", "unit": "u03", "key": "escape"}, "press: key is 'escape'"),
        ({"do": "press", "unit": "u03", "key": 1}, "press: key is 1"),
        ({"do": "press", "unit": "u03", "key": "panic", "hold_ms": -1}, "hold_ms is -1"),
        ({"do": "press", "unit": "u03", "key": "panic", "hold": 1}, "there is no 'hold'"),
        ({"do": "tag", "unit": "gate", "tag": "ABC"}, "a tag is 2 to 20 hexadecimal digits"),
        ({"do": "code", "unit": "air", "identity": 1 << 20}, "not 20 and 4 bits"),
        ({"do": "faults", "line": "l", "faults": [{"fault": "x"}]}, "faults: faults is"),
        ({"do": "cut", "line": "l", "units": [1]}, "cut: units is"),
    ],
)
def test_what_nobody_can_do_is_refused_with_a_reason(value: object, why: str) -> None:
    with pytest.raises(acts.BadAct, match=why):
        acts.act_from(value)
