"""What a stranger can write to us, octet by octet: every codec, every message, every file.

A target takes any octets and returns; whatever it raises is a finding. It raises of itself where octets are lost,
where how they were cut changes what was read, or where what was read is not what is written again.
"""

import io
import json
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final

import openpyxl

from api import pictures
from api.checkins.schemas import OwnTracks
from api.checkins.sheets import civil_time
from api.register.files import FileRefused, Format, grid, tables
from api.register.sheets import Sheet
from broker import access, qr, slices, tags, topics
from broker.ids import GatewayId, StationId
from broker.messages import parse_body, plain
from broker.signing import EnvelopeError, Message, Signer, Verifier, canonical, gateway_kid, may_ring
from deploy import site
from devices import ndef
from devices.frames import DOWN, UP, build_frame, decode_downlink, decode_uplink, encode_downlink, encode_uplink
from devices.line_link import LineLink, UnitKey
from devices.pn532 import Pn532, Pn532Frames
from devices.radio433 import Form, Radio433
from devices.rdm6300 import Rdm6300
from devices.readings import NotUnderstood, Proof
from devices.sealing import Seal
from devices.timing import LineTiming
from devices.unit_link import UnitLink
from devices.wand import WandFrames, WandReader, WandRefused
from devices.wiegand import Wiegand, WiegandText
from tests.devices.feeding import START_NS, Codec, cut, feed, single_bytes

UNIT: Final = 7
KEY: Final = b"0123456789abcdef"
TIMING: Final = LineTiming(9600, 36)
BODY_BYTES: Final = 16
STATION: Final = StationId("north")
GATEWAY: Final = GatewayId("gw1")
SIGNERS: Final = {kid: Signer(kid, seed * 32) for kid, seed in ((gateway_kid(GATEWAY), b"g"), ("station", b"s"))}
RECEIVER: Final = Verifier(STATION, {kid: signer.public for kid, signer in SIGNERS.items()})


def _however_cut(make_codec: Callable[[], Codec[Any]], data: bytes) -> None:
    """The first octets say where the rest is cut; whole, cut and byte by byte it must say the same."""
    places, stream = [*data[:4]], data[4:]
    whole = feed(make_codec(), [stream])
    assert feed(make_codec(), cut(stream, places)) == whole, "the cuts changed what was read"
    assert feed(make_codec(), single_bytes(stream)) == whole, "octet by octet it is something else"


class _Timeless:
    """A codec that does not ask what time it is."""

    def __init__(self, codec: Any) -> None:
        self._codec = codec

    def receive_data(self, data: bytes, _now_ns: int, /) -> Any:
        return self._codec.receive_data(data)


def rdm6300(data: bytes) -> None:
    _however_cut(lambda: Rdm6300(frozenset({"0F003B1F6A"})), data)


def radio433(data: bytes) -> None:
    forms = list(Form)
    form = forms[data[0] % len(forms)] if data else Form.TEXT
    _however_cut(lambda: Radio433(form), data[1:])


def wiegand(data: bytes) -> None:
    """As lines of a converter; and as pulses, an octet each: the bit, and how long after the last one."""
    _however_cut(WiegandText, data)
    reader, now_ns = Wiegand(), START_NS
    for octet in data:
        now_ns += (octet >> 1) * 500_000
        reader.pulse(octet & 1, now_ns)
    reader.advance(now_ns + 1_000_000_000)
    assert reader.next_due() is None, "a frame that never ends"


def pn532(data: bytes) -> None:
    _however_cut(lambda: _Timeless(Pn532Frames()), data)
    chip, now_ns = Pn532(), START_NS
    chip.start(now_ns)
    for number, said in enumerate(data.split(b"\xff\xfe")):  # between them the chip is asked the next thing
        now_ns += 1_000_000 * (number + 1)
        chip.receive_data(said, now_ns)
        chip.data_to_send()
        due_ns = chip.next_due()
        assert due_ns is not None, "it would never be asked again"
        chip.advance(due_ns)
    chip.stop()


def tag_memory(data: bytes) -> None:
    """NDEF on a card."""
    needed = ndef.octets_needed(data)
    with suppress(ndef.NdefError):
        ndef.words(ndef.read_tag(data))
        assert needed is not None, "a message that nobody would have read on for"
        assert needed <= len(data), "a message beyond what was read"
    with suppress(ndef.NdefError):
        ndef.words(ndef.read_message(data))


def wand(data: bytes) -> None:
    """Its frames; and its records as it answers what it is asked."""
    _however_cut(lambda: _Timeless(WandFrames()), data)
    reader = WandReader(codes=range(0x1000, 0xF000))
    reader.begin()
    with suppress(WandRefused):
        for said in data.split(b"\xff\xfe"):
            reader.receive_data(said)
        if reader.done:
            list(reader.records)
            reader.commit()


def line(data: bytes) -> None:
    """What anybody may shout on the wire, at both ends."""
    _however_cut(_gateways_end, data)
    _however_cut(_units_end, data)


def sealed_line(data: bytes) -> None:
    """The same from somebody who holds the key: an octet for direction and counter, then a body."""
    up, down, counter = b"", b"", 1 << 16
    for at in range(0, len(data) - BODY_BYTES, BODY_BYTES + 1):
        head, body = data[at], data[at + 1 : at + 1 + BODY_BYTES]
        counter += head >> 1
        up += build_frame(Seal(KEY), UP, UNIT, counter, body)
        down += build_frame(Seal(KEY), DOWN, UNIT, counter, body)
        _written_again(body)
    at_gateway, at_unit = _gateways_end(), _units_end()
    at_gateway.receive_data(up, START_NS)
    at_gateway.data_to_send(START_NS + 1_000_000_000)
    at_gateway.advance(START_NS + 3_600_000_000_000)
    at_unit.receive_data(down, START_NS)
    at_unit.data_to_send(START_NS + 1_000_000_000)


def _written_again(body: bytes) -> None:
    said = decode_uplink(body, UNIT, 1, Proof.SEALED)
    if not isinstance(said, NotUnderstood):
        assert decode_uplink(encode_uplink(said), UNIT, 1, Proof.SEALED) == said
    command = decode_downlink(body)
    if command is not None:
        assert decode_downlink(encode_downlink(command)) == command


def _gateways_end() -> LineLink:
    numbers = iter(range(1, 1 << 20))
    return LineLink(
        units={UNIT: UnitKey(KEY)}, timing=TIMING, take_counter=lambda: next(numbers), random_bytes=lambda n: b"r" * n
    )


def _units_end() -> UnitLink:
    return UnitLink(unit=UNIT, key=KEY, boot=1, floor=0, timing=TIMING, draw=lambda _below: 0)


def envelope(data: bytes) -> None:
    """A topic, a line feed, and what came on it; nobody signed it."""
    topic, _, payload = data.partition(b"\n")
    (opened,) = RECEIVER.open_all([Message(topic.decode(errors="replace"), payload)])
    assert isinstance(opened, EnvelopeError), "nobody holds the key, and it was believed"


def body(data: bytes) -> None:
    """A body that somebody with a key signed, on its own topic: refused by name, or written again as it was."""
    try:
        said = json.loads(data)
        signed = canonical(said) if isinstance(said, dict) else b""
    except (ValueError, RecursionError):
        return
    if not signed or not isinstance(topic := said.get("topic"), str):
        return
    sealed = [Message(topic, signer.seal(signed)) for signer in SIGNERS.values()]
    opened = [one for one in RECEIVER.open_all(sealed) if not isinstance(one, EnvelopeError)]
    assert len(opened) <= 1, "both may say it"
    for one in opened:
        assert parse_body(canonical(plain(one))) == one, "it is another one when it is written again"
        rings = may_ring(one, retained=False, known_ids=(), member_of={one.audience})
        assert not rings or one.type in {"alarm", "command"}, "something rang that is no alarm"


def configuration(data: bytes) -> None:
    """A slice of the register, and the list of who may connect."""
    with suppress(slices.SliceRefused):
        slices.read(data, station=STATION, gateway=GATEWAY, version=1)
    text = data.decode(errors="replace")
    with suppress(access.NoAccess):
        said = access.read(text).text()
        assert access.read(said).text() == said, "it is another one when it is written again"


def words(data: bytes) -> None:
    """Short texts that people type and scan: tags, codes, topics, times."""
    text = data.decode(errors="surrogateescape")
    for tag in tags.meanings(text):
        assert tags.canonical(str(tag)) == tag, "a tag that is not itself when it is written"
    code = qr.parse(text)
    if code is not None:
        qr.holds(code, key=KEY, at_s=1_800_000_000)
    with suppress(topics.TopicError):
        place = topics.parse(text)
        assert topics.build(place.row.name, place.station, place.id) == text
    civil_time(text)


def phone(data: bytes) -> None:
    """What the app OwnTracks posts."""
    with suppress(ValueError):
        OwnTracks.model_validate_json(data).point  # noqa: B018 - a property that computes


def picture(data: bytes) -> None:
    """A photo: refused, or freed of everything but the picture, and then nothing is left to free it of."""
    with suppress(pictures.NotAPicture):
        kind, alone = pictures.bare(data)
        assert pictures.bare(alone) == (kind, alone)


def spreadsheet(data: bytes) -> None:
    """CSV, XLSX and the site file for the register, and the table of a wand. A fourth form: the sheet in an XLSX."""
    forms = [*Format, None]
    form, file = forms[data[0] % len(forms)] if data else Format.CSV, data[1:]
    if form is None:
        form, file = Format.XLSX, _with_sheet(file)
    with suppress(FileRefused):
        tables(file, form, sheet=Sheet.PLACES)
    with suppress(FileRefused):
        grid(file, form)


@cache
def _workbook() -> dict[str, bytes]:
    file = io.BytesIO()
    openpyxl.Workbook().save(file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _with_sheet(xml: bytes) -> bytes:
    """A workbook whose one sheet is these octets: nobody would guess an archive's check sums."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (_workbook() | {"xl/worksheets/sheet1.xml": xml}).items():
            archive.writestr(name, content)
    return file.getvalue()


def site_file(data: bytes) -> None:
    """The file that a technician edits."""
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return
    site.parse(document)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        rdm6300, radio433, wiegand, pn532, tag_memory, wand, line, sealed_line,
        envelope, body, configuration, words, phone, picture, spreadsheet, site_file,
    )
}  # fmt: skip
"""By name; what a stranger reaches first comes first."""
