"""Frames and bodies of the native link: docs/link.md, "Frame" and "Bodies"."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.commands import (
    MOST_DOORS,
    Challenge,
    Command,
    Kept,
    KeyHalf,
    Lamp,
    Pattern,
    SetTime,
    ShowLamp,
    Siren,
    Stop,
)
from devices.frames import (
    BODY_BYTES,
    CONTENT_BYTES,
    DOWN,
    FRAME_BYTES,
    LAST_ADDRESS,
    UP,
    Header,
    build_frame,
    decode_downlink,
    decode_uplink,
    encode_downlink,
    encode_uplink,
    new_deframer,
    split_content,
)
from devices.readings import (
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    Confirmation,
    FreshProof,
    Heartbeat,
    NotUnderstood,
    Numbered,
    PartFailed,
    PartRestored,
    PressEnded,
    Proof,
    Sounded,
    TagRead,
    TestPressed,
    UnitHello,
)
from devices.sealing import Seal
from tests.devices.vectors import FOLDER, Vector, read_vectors

KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
SEAL = Seal(KEY)
VECTORS = read_vectors("link-frames")
WHO = {"unit": 0x0102, "boot": 5, "proof": Proof.SEALED}

Told = dict[str, Any]


def id_of(vector: Vector) -> str:
    meaning = json.loads(vector.meaning)
    return f"{meaning['told']['says']} {meaning['counter']:08x}"


def reading_of(told: Told, unit: int, boot: int) -> Numbered | Confirmation:
    """What an uplink vector means, field by field."""
    number, flags = told.get("number", 0), told.get("flags", 0)
    sealed = Proof.SEALED
    make: dict[str, Callable[[], Numbered | Confirmation]] = {
        "hello": lambda: UnitHello(unit, boot, number, told["firmware"], told["reason"], told["floor"], sealed),
        "press": lambda: ButtonPressed(unit, boot, number, told["key"], told["age_tenths"] * 100, sealed),
        "ended": lambda: PressEnded(unit, boot, number, told["press"], told["held_tenths"] * 100, sealed),
        "cancel": lambda: CancelPressed(unit, boot, number, told["press"], sealed),
        "answer": lambda: AnswerGiven(unit, boot, number, told["answer"], told["alarm"], sealed),
        "sounded": lambda: Sounded(unit, told["counter"], told["pattern"], told["works"] == 1),
        "tag": lambda: TagRead(unit, boot, number, told["tag"], told["age_tenths"] * 100, sealed),
        "heartbeat": lambda: Heartbeat(
            unit,
            boot,
            number,
            None if told["battery"] == 255 else told["battery"],
            mains=flags & 1 != 0,
            cover_open=flags & 2 != 0,
            sounder_broken=flags & 4 != 0,
            firmware=told["firmware"],
            floor=told["floor"],
            proof=sealed,
        ),
        "failed": lambda: PartFailed(unit, boot, number, told["part"], sealed),
        "restored": lambda: PartRestored(unit, boot, number, told["part"], sealed),
        "test": lambda: TestPressed(unit, boot, number, sealed),
        "done": lambda: CommandDone(unit, told["counter"], told["result"], told["floor"]),
        "proof": lambda: FreshProof(unit, boot, bytes.fromhex(told["nonce"])),
    }
    return make[told["says"]]()


def command_of(told: Told) -> Command:
    """What a downlink vector means, field by field."""
    flags = told.get("flags", 0)
    make: dict[str, Callable[[], Command]] = {
        "kept": lambda: Kept(told["boot"], told["number"], Lamp(told["lamp"])),
        "lamp": lambda: ShowLamp(Lamp(told["lamp"])),
        "siren": lambda: Siren(
            Pattern(told["pattern"]),
            told["volume"],
            told["seconds"],
            told["alarm"],
            tuple(told["doors"]),
            own=flags & 1 != 0,
            strobe=flags & 2 != 0,
            stand_back=flags & 4 != 0,
        ),
        "stop": Stop,
        "time": lambda: SetTime(told["unix_s"]),
        "challenge": lambda: Challenge(bytes.fromhex(told["nonce"])),
        "key_half": lambda: KeyHalf(told["key_id"], told["half"], bytes.fromhex(told["material"])),
    }
    return make[told["says"]]()


def header_of(vector: Vector) -> Header:
    meaning = json.loads(vector.meaning)
    return Header(UP if meaning["direction"] == "up" else DOWN, meaning["unit"], meaning["counter"])


# Golden frames


@pytest.mark.proves("A2", "A3")
@pytest.mark.parametrize("vector", VECTORS, ids=id_of)
def test_a_frame_of_the_independent_tool_is_read(vector: Vector) -> None:
    meaning = json.loads(vector.meaning)
    [content] = new_deframer().receive_data(vector.data)
    split = split_content(content)
    assert split is not None
    header, header_bytes, sealed = split
    assert header == header_of(vector)
    body = SEAL.open(header_bytes, sealed)
    assert body == bytes.fromhex(meaning["body"])
    if header.direction == UP:
        reading = decode_uplink(body, header.unit, header.boot, Proof.SEALED)
        assert reading == reading_of(meaning["told"], header.unit, header.boot)
    else:
        assert decode_downlink(body) == command_of(meaning["told"])


@pytest.mark.parametrize("vector", VECTORS, ids=id_of)
def test_a_frame_is_written_as_the_independent_tool_does(vector: Vector) -> None:
    told, header = json.loads(vector.meaning)["told"], header_of(vector)
    if header.direction == UP:
        body = encode_uplink(reading_of(told, header.unit, header.boot))
    else:
        body = encode_downlink(command_of(told))
    assert build_frame(SEAL, header.direction, header.unit, header.counter, body) == vector.data


def test_every_type_of_body_has_a_golden_frame() -> None:
    types = {bytes.fromhex(json.loads(vector.meaning)["body"])[0] for vector in VECTORS}
    assert types == {*range(0x01, 0x0E), *range(0x81, 0x88)}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not here")
def test_the_golden_frames_are_what_the_independent_tool_makes() -> None:
    made = subprocess.run([sys.executable, FOLDER / "make_link_frames.py"], capture_output=True, check=True, text=True)
    assert made.stdout == (FOLDER / "link-frames.hex").read_text(encoding="utf-8")


# Bodies

NUMBER = st.integers(0, 0xFFFF)
BYTE = st.integers(0, 0xFF)
COUNTER = st.integers(0, 0xFFFF_FFFF)
TENTHS = NUMBER.map(lambda tenths: tenths * 100)
EIGHT = st.binary(min_size=8, max_size=8)
LAMPS = st.sampled_from(Lamp)
HEX = st.binary(min_size=1, max_size=10).map(lambda identity: identity.hex().upper())

UNIT, BOOT, PROOF = st.just(0x0102), st.just(5), st.just(Proof.SEALED)
SAID = st.one_of(
    st.builds(UnitHello, UNIT, BOOT, NUMBER, NUMBER, BYTE, COUNTER, PROOF),
    st.builds(ButtonPressed, UNIT, BOOT, NUMBER, BYTE, TENTHS, PROOF),
    st.builds(PressEnded, UNIT, BOOT, NUMBER, NUMBER, TENTHS, PROOF),
    st.builds(CancelPressed, UNIT, BOOT, NUMBER, NUMBER, PROOF),
    st.builds(AnswerGiven, UNIT, BOOT, NUMBER, BYTE, NUMBER, PROOF),
    st.builds(Sounded, UNIT, COUNTER, BYTE, st.booleans()),
    st.builds(TagRead, UNIT, BOOT, NUMBER, HEX, TENTHS, PROOF),
    st.builds(
        Heartbeat,
        UNIT,
        BOOT,
        NUMBER,
        st.none() | st.integers(0, 100),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        NUMBER,
        COUNTER,
        PROOF,
    ),
    st.builds(PartFailed, UNIT, BOOT, NUMBER, BYTE, PROOF),
    st.builds(PartRestored, UNIT, BOOT, NUMBER, BYTE, PROOF),
    st.builds(TestPressed, UNIT, BOOT, NUMBER, PROOF),
    st.builds(CommandDone, UNIT, COUNTER, BYTE, COUNTER),
    st.builds(FreshProof, UNIT, BOOT, EIGHT),
)
DOORS = st.lists(st.integers(1, 0xFFFF), max_size=MOST_DOORS).map(tuple)
SIRENS = st.builds(
    Siren, st.sampled_from(Pattern), BYTE, BYTE, NUMBER, DOORS, st.booleans(), st.booleans(), st.booleans()
)
COMMANDS = st.one_of(
    st.builds(Kept, NUMBER, NUMBER, LAMPS),
    st.builds(ShowLamp, LAMPS),
    SIRENS,
    st.just(Stop()),
    st.builds(SetTime, COUNTER),
    st.builds(Challenge, EIGHT),
    st.builds(KeyHalf, BYTE, st.integers(0, 1), EIGHT),
)
BODY = st.binary(min_size=BODY_BYTES, max_size=BODY_BYTES)


@given(SAID)
def test_whatever_a_unit_says_comes_back(said: Numbered | Confirmation) -> None:
    body = encode_uplink(said)
    assert len(body) == BODY_BYTES
    assert decode_uplink(body, 0x0102, 5, Proof.SEALED) == said


@given(COMMANDS)
def test_whatever_the_gateway_says_comes_back(command: Command) -> None:
    body = encode_downlink(command)
    assert len(body) == BODY_BYTES
    assert decode_downlink(body) == command


@given(BODY)
def test_any_body_is_read_without_an_error(body: bytes) -> None:
    said = decode_uplink(body, 0x0102, 5, Proof.SEALED)
    assert said.unit == 0x0102
    decode_downlink(body)


@given(SAID, st.binary(max_size=15))
def test_a_later_firmware_may_say_more_behind_the_fields(said: Numbered | Confirmation, more: bytes) -> None:
    """Only the tag fills its body to the end."""
    body = encode_uplink(said)
    if not isinstance(said, TagRead):
        used = FIELDS_END[body[0]]
        body = (body[:used] + more).ljust(BODY_BYTES, b"\xee")[:BODY_BYTES]
    assert decode_uplink(body, 0x0102, 5, Proof.SEALED) == said


FIELDS_END = {
    0x01: 10, 0x02: 6, 0x03: 7, 0x04: 5, 0x05: 6, 0x06: 7, 0x08: 11, 0x09: 4, 0x0A: 4, 0x0B: 3, 0x0C: 10, 0x0D: 9,
}  # fmt: skip


@pytest.mark.proves("N12")
def test_a_time_is_told_in_tenths_and_stops_at_the_longest() -> None:
    def told(age_ms: int) -> int:
        said = decode_uplink(encode_uplink(ButtonPressed(1, 1, 1, 1, age_ms, Proof.SEALED)), 1, 1, Proof.SEALED)
        assert isinstance(said, ButtonPressed)
        return said.age_ms

    assert [told(-5), told(99), told(100), told(6_553_599), told(10**9)] == [0, 0, 100, 6_553_500, 6_553_500]


@pytest.mark.parametrize("tag", ["", "00" * 11])
def test_a_tag_that_does_not_fit_is_refused_where_it_is_said(tag: str) -> None:
    with pytest.raises(ValueError, match=r"a tag has 1 to 10 bytes, this one has"):
        encode_uplink(TagRead(1, 1, 1, tag, 0, Proof.SEALED))


@pytest.mark.parametrize("length", [0, 11, 255])
def test_a_tag_of_an_impossible_length_is_not_understood(length: int) -> None:
    body = struct.pack(">BHHB10s", 0x07, 1, 0, length, b"0123456789")
    assert decode_uplink(body, 1, 1, Proof.SEALED) == NotUnderstood(1, 0x07)


@pytest.mark.parametrize("level", [101, 254, 255])
def test_a_battery_above_100_percent_is_none(level: int) -> None:
    said = decode_uplink(bytes([0x08, 0, 1, level]) + bytes(12), 1, 1, Proof.SEALED)
    assert isinstance(said, Heartbeat)
    assert said.battery is None


@pytest.mark.proves("N13")
@pytest.mark.parametrize("kind", [0x00, 0x0E, 0x7F, 0x81, 0xFF])
def test_a_type_that_no_unit_of_this_version_sends_is_told_and_not_dropped(kind: int) -> None:
    assert decode_uplink(bytes([kind]) + bytes(15), 7, 1, Proof.SEALED) == NotUnderstood(7, kind)


@pytest.mark.parametrize("key", [0, 7, 255])
def test_a_key_that_we_do_not_know_is_a_press_all_the_same(key: int) -> None:
    said = decode_uplink(struct.pack(">BHBH", 0x02, 1, key, 0) + bytes(10), 1, 1, Proof.SEALED)
    assert isinstance(said, ButtonPressed)
    assert said.key == key


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(bytes(16), id="no type"),
        pytest.param(b"\x88" + bytes(15), id="a later type"),
        pytest.param(b"\x02" + bytes(15), id="an uplink type"),
        pytest.param(b"\x81\x00\x01\x00\x01\x05" + bytes(10), id="a later lamp in an answer"),
        pytest.param(b"\x82\xff" + bytes(14), id="a later lamp"),
        pytest.param(b"\x83\x00" + bytes(14), id="no pattern"),
        pytest.param(b"\x83\x08" + bytes(14), id="a later pattern"),
        pytest.param(b"\x87\x01\x02" + bytes(13), id="a third half"),
    ],
)
def test_what_a_unit_does_not_know_is_none(body: bytes) -> None:
    assert decode_downlink(body) is None


def test_a_siren_names_the_first_four_doors() -> None:
    siren = Siren(Pattern.PANIC, 3, 180, 1, (5, 4, 3, 2, 1))
    read = decode_downlink(encode_downlink(siren))
    assert isinstance(read, Siren)
    assert read.doors == (5, 4, 3, 2)


def test_a_siren_that_claims_more_doors_than_there_is_room_for_names_four() -> None:
    body = bytearray(encode_downlink(Siren(Pattern.PANIC, 3, 180, 1, (4, 3, 2, 1))))
    body[7] = 200
    read = decode_downlink(bytes(body))
    assert isinstance(read, Siren)
    assert read.doors == (4, 3, 2, 1)


# Frames


@pytest.mark.proves("A3", "N4")
@given(SAID | COMMANDS, st.integers(1, LAST_ADDRESS), COUNTER)
def test_every_frame_has_the_same_length(said: Numbered | Confirmation | Command, unit: int, counter: int) -> None:
    """Nothing on the line tells a press from a heartbeat, or a siren from an answer, by its length."""
    up = isinstance(said, Numbered | Confirmation)
    body = encode_uplink(said) if isinstance(said, Numbered | Confirmation) else encode_downlink(said)
    frame = build_frame(SEAL, UP if up else DOWN, unit, counter, body)
    assert len(frame) == FRAME_BYTES == 36
    [content] = new_deframer().receive_data(frame)
    assert len(content) == CONTENT_BYTES == 31
    split = split_content(content)
    assert split is not None
    assert split[0] == Header(UP if up else DOWN, unit, counter)
    assert SEAL.open(split[1], split[2]) == body


@given(st.binary(min_size=CONTENT_BYTES, max_size=CONTENT_BYTES))
def test_any_content_is_split_or_foreign(content: bytes) -> None:
    split = split_content(content)
    ours = content[0] in {0x10, 0x11} and 1 <= int.from_bytes(content[1:3], "big") <= LAST_ADDRESS
    assert (split is not None) == ours


@pytest.mark.parametrize("unit", [0, LAST_ADDRESS + 1, 0xFFFF])
def test_a_reserved_address_is_foreign(unit: int) -> None:
    """There is no broadcast."""
    assert split_content(bytes([0x11]) + unit.to_bytes(2, "big") + bytes(28)) is None


def test_a_boot_number_is_the_upper_half_of_an_uplink_counter() -> None:
    assert Header(UP, 1, 0x0005_0002).boot == 5
