"""docs/link.md says what the codec does: its examples are decoded, its tables compared."""

import re
from enum import IntEnum
from pathlib import Path

import pytest

from devices.commands import Kept, Lamp, Pattern, Result
from devices.frames import FRAME_BYTES, decode_downlink, decode_uplink, new_deframer, split_content
from devices.readings import Answer, ButtonPressed, Key, Part, Proof
from devices.sealing import Seal
from devices.timing import FIRST_WINDOW, LONG_SILENCE_SLOTS, MS, LineTiming

DOCUMENT = (Path(__file__).parents[2] / "docs/link.md").read_text(encoding="utf-8")
KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
BAUDS = (9600, 19200, 57600, 115200)


def section(title: str) -> str:
    return re.split(r"\n##+ ", DOCUMENT.partition(f" {title}\n")[2])[0]


def examples() -> list[bytes]:
    return [bytes.fromhex(line) for line in re.findall(r"^00 [0-9A-F ]+ 00$", section("Examples"), re.MULTILINE)]


def test_the_examples_say_what_the_page_says() -> None:
    said: list[object] = []
    for frame in examples():
        (content,) = new_deframer().receive_data(frame)
        split = split_content(content)
        assert split is not None
        header, header_bytes, sealed = split
        body = Seal(KEY).open(header_bytes, sealed)
        assert body is not None
        up = header.direction == 0
        said.append(decode_uplink(body, header.unit, header.boot, Proof.SEALED) if up else decode_downlink(body))
    assert said == [
        ButtonPressed(unit=0x0102, boot=5, number=2, key=Key.PANIC, age_ms=0, proof=Proof.SEALED),
        Kept(boot=5, number=2, lamp=Lamp.KEPT),
    ]


def test_the_examples_are_taken_apart_as_the_page_says() -> None:
    parts = re.findall(r"Sealed: `([0-9A-F]{32})`, tag `([0-9A-F]{16})`, CRC `([0-9A-F]{4})`", section("Examples"))
    assert [bytes.fromhex("".join(part)) for part in parts] == [frame[-27:-1] for frame in examples()]


@pytest.mark.parametrize(
    ("title", "codes"),
    [("Keys", Key), ("Answers", Answer), ("Parts", Part), ("Results", Result), ("Lamp", Lamp), ("Patterns", Pattern)],
)
def test_every_code_of_the_program_stands_on_the_page(title: str, codes: type[IntEnum]) -> None:
    written = {int(number) for number in re.findall(r"(?:^|[ |])(\d)(?= )", section(title), re.MULTILINE)}
    assert {int(code) for code in codes} <= written


@pytest.mark.parametrize(
    ("row", "measure"),
    [
        ("char", lambda timing: timing.char_ns),
        ("frame", lambda timing: timing.frame_ns),
        ("turn", lambda timing: timing.turn_idle_ns),
        ("idle", lambda timing: timing.idle_ns),
        ("slot", lambda timing: timing.slot_ns),
        ("unused", lambda timing: timing.unused_ns),
        ("answer", lambda timing: timing.answer_ns),
        ("confirm, n units owe one", lambda timing: timing.confirm_ns(10)),
    ],
)
def test_the_times_of_the_page_are_those_of_the_program(row: str, measure: object) -> None:
    assert callable(measure)
    line = next(line for line in section("Timing").splitlines() if line.startswith(f"| {row} |"))
    for baud, cell in zip(BAUDS, line.split("|")[3:7], strict=True):
        value, unit = cell.split()
        written_ns = float(value) * (1_000 if unit == "s" else 1) * MS
        assert written_ns == pytest.approx(measure(LineTiming(baud, FRAME_BYTES)), rel=0.03)


def test_a_unit_draws_among_as_many_slots_as_the_page_says() -> None:
    among = re.findall(
        r"\d+", section("A unit on the line").partition("**Among how many slots**")[2].partition("\n")[0]
    )
    assert among == [
        str(number) for number in (FIRST_WINDOW, LONG_SILENCE_SLOTS, 2 * LONG_SILENCE_SLOTS, FIRST_WINDOW, 3)
    ]
    line = next(line for line in section("Timing").splitlines() if line.startswith("| most slots drawn among |"))
    assert [int(cell) for cell in line.split("|")[3:7]] == [LineTiming(baud, FRAME_BYTES).last_window for baud in BAUDS]
