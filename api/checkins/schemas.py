"""Check-ins, tags, uploads and imports as HTTP takes and shows them."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.checkins.models import CheckInRow, CheckpointTag, UnknownTag, WandImport, WandRow
from api.checkins.rules import WHY_WORDS, CheckIn, Ended, Settled, Source, Why, words_of
from api.checkins.sheets import BAD_WORDS, Bad
from api.checkins.uploading import Code
from api.checkins.wands import EMPTY_GUARD, Imported
from api.clock import iso
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from broker.ids import SEGMENT
from broker.tags import Tag, faces

ITEMS_MOST: Final = 200
RECORDS_MOST: Final = 2_000
CODE_PAGE: Final = "/phone/c/"
"""Where a code is opened (api/console/checking_in.py); what was printed with it is on walls for years."""

Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]
Written = Annotated[str, StringConstraints(min_length=1, max_length=96)]


class NewTag(Asked):
    """A tag that hangs at a checkpoint: in any form that is written on cards or that readers give."""

    tag: Written = Field(examples=["0008844356"])
    point: Segment
    since: Moment | None = None


class TakenDown(Asked):
    """How it ended, and when; without `at`: now."""

    how: Ended
    at: Moment | None = None


class TagAnswer(Answer):
    """A tag of a checkpoint, with its other faces. `shares_24`: enrolled tags that end in the same 24 bits."""

    number: int
    tag: str
    point: str
    since: datetime
    until: datetime | None
    ended: Ended | None
    decimal10: str | None
    facility_number: str | None
    shares_24: tuple[str, ...]


class TagPage(Answer):
    """Tags of checkpoints, newest first."""

    items: tuple[TagAnswer, ...]
    next: str | None


def tag_answer(row: CheckpointTag, shares: list[str]) -> TagAnswer:
    """`row` as HTTP shows it."""
    assert row.number is not None
    other = faces(Tag(row.tag))
    return TagAnswer(
        number=row.number,
        tag=row.tag,
        point=row.point,
        since=iso(row.from_ms),
        until=None if row.to_ms is None else iso(row.to_ms),
        ended=None if row.ended is None else Ended(row.ended),
        decimal10=other.decimal10,
        facility_number=other.facility_number,
        shares_24=tuple(shares),
    )


class How(StrEnum):
    """What is to be done about an unknown tag."""

    LOOK_AGAIN = "look_again"
    DISMISS = "dismiss"


class Settling(Asked):
    """`look_again` after it was enrolled, or given to somebody; `dismiss`: it is of no concern."""

    how: How


class UnknownAnswer(Answer):
    """A tag by which nobody could be found."""

    number: int
    tag: str
    why: Why
    words: WordsAnswer
    gateway: str | None
    reader: str | None
    times: int
    first: datetime
    last: datetime
    settled: Settled | None


class UnknownPage(Answer):
    """Unknown tags, newest first."""

    items: tuple[UnknownAnswer, ...]
    next: str | None


def unknown_answer(row: UnknownTag) -> UnknownAnswer:
    """`row` as HTTP shows it."""
    assert row.number is not None
    return UnknownAnswer(
        number=row.number,
        tag=row.tag,
        why=Why(row.why),
        words=words_answer(WHY_WORDS[Why(row.why)]),
        gateway=row.gateway,
        reader=row.reader,
        times=row.times,
        first=iso(row.first_ms),
        last=iso(row.last_ms),
        settled=None if row.settled is None else Settled(row.settled),
    )


class CheckInAnswer(Answer):
    """One check-in with what it weighs and its clocks: of the device, as well as can be known, of the station."""

    id: str
    source: Source
    weight: int
    guard: str | None
    tag: str | None
    point: str | None
    gateway: str | None
    reader: str | None
    at: datetime
    device_at: datetime | None
    received: datetime
    skew_ms: int | None
    flags: tuple[str, ...]
    words: tuple[WordsAnswer, ...]


class CheckInPage(Answer):
    """Check-ins as they came in, newest first."""

    items: tuple[CheckInAnswer, ...]
    next: str | None


def check_in_answer(row: CheckInRow) -> CheckInAnswer:
    """`row` as HTTP shows it."""
    source, flags = Source(row.source), tuple(row.flags.split())
    return CheckInAnswer(
        id=row.id,
        source=source,
        weight=source.weight,
        guard=row.guard,
        tag=row.tag,
        point=row.point,
        gateway=row.gateway,
        reader=row.reader,
        at=iso(row.at_ms),
        device_at=None if row.device_ms is None else iso(row.device_ms),
        received=iso(row.server_ms),
        skew_ms=row.skew_ms,
        flags=flags,
        words=tuple(words_answer(words) for words in words_of(flags)),
    )


class PhoneItem(Asked):
    """A check-in that waited in a phone. `key`: made once by the phone, and sent again with it. `at`: its own clock."""

    key: Annotated[str, StringConstraints(pattern=r"^[!-~]{8,64}$")]
    how: Literal["nfc_phone", "qr", "typed"]
    written: Written = Field(description="The tag that was read or typed in, or the text of the code")
    at: Moment


class Upload(Asked):
    """What waited in a phone. `now`: its clock at this moment, by which it is seen how far it is off."""

    now: Moment
    items: Annotated[tuple[PhoneItem, ...], Field(min_length=1, max_length=ITEMS_MOST)]


class UploadedItem(Answer):
    """What became of one. `known`: it was there already."""

    key: str
    id: str
    known: bool
    point: str | None
    flags: tuple[str, ...]
    words: tuple[WordsAnswer, ...]


class Uploaded(Answer):
    """What became of an upload, in its order; all of it is kept. `skew_ms`: how far the phone is ahead."""

    skew_ms: int
    items: tuple[UploadedItem, ...]


def uploaded(skew_ms: int, keys: list[str], made: list[tuple[CheckIn | None, str]]) -> Uploaded:
    """What became of an upload, as HTTP shows it."""
    items = [
        UploadedItem(
            key=key,
            id=id_,
            known=one is None,
            point=None if one is None else one.point,
            flags=() if one is None else tuple(sorted(one.flags)),
            words=() if one is None else tuple(words_answer(words) for words in words_of(one.flags)),
        )
        for key, (one, id_) in zip(keys, made, strict=True)
    ]
    return Uploaded(skew_ms=skew_ms, items=tuple(items))


class OwnTracks(BaseModel):
    """What the app OwnTracks posts; what we have no use for is let be. `tst`: Unix seconds, `desc`: of the region."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type_: Annotated[str, StringConstraints(max_length=32)] = Field(alias="_type")
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    acc: Annotated[float, Field(ge=0, le=1e7)] | None = None
    tst: Annotated[int, Field(ge=946_684_800, lt=7_258_118_400)] | None = None
    event: Annotated[str, StringConstraints(max_length=32)] | None = None
    desc: Annotated[str, StringConstraints(max_length=128)] | None = None

    @property
    def point(self) -> str | None:
        """The checkpoint whose id a region bears."""
        return self.desc if self.desc is not None and re.fullmatch(SEGMENT, self.desc) else None


def _chosen(civil: datetime) -> datetime:
    if civil.tzinfo is not None:
        raise ValueError("a wand's own time, without a zone")
    if not 2000 <= civil.year <= 2255:
        raise ValueError("no wand says this")
    return civil.replace(microsecond=0)


class WandRecord(Asked):
    """A record out of a wand. `at`: its civil time, null where it showed none; `state` 1: a person's card."""

    serial: Annotated[int, Field(ge=1, lt=1 << 32)]
    guard_number: Annotated[int, Field(ge=0, le=EMPTY_GUARD)]
    at: Annotated[datetime, AfterValidator(_chosen)] | None
    state: Literal[0, 1]
    card: Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{6}$")]


class WandStore(Asked):
    """What was read out of a wand. `wrapped`: it says that it wrote over records that nobody had read."""

    wand: Segment
    wrapped: bool
    records: Annotated[tuple[WandRecord, ...], Field(max_length=RECORDS_MOST)]


class BadRowAnswer(Answer):
    """A row of which nothing could be made, or that somebody should look at. `row`: as the file counts, or a serial."""

    row: int
    why: Bad
    words: WordsAnswer
    cells: tuple[str, ...]


class ImportAnswer(Answer):
    """What became of a file or a store. `number` null: a dry run, nothing was kept. `gaps`: missing serial numbers."""

    number: int | None
    rows: int
    added: int
    known: int
    named: int
    bad: tuple[BadRowAnswer, ...]
    bad_in_all: int
    unknown_people: tuple[str, ...]
    unknown_tags: int
    gaps: tuple[tuple[int, int], ...]
    wrapped: bool


def import_answer(found: Imported) -> ImportAnswer:
    """`found` as HTTP shows it."""
    return ImportAnswer(
        number=found.number,
        rows=found.rows,
        added=found.added,
        known=found.known,
        named=found.named,
        bad=tuple(
            BadRowAnswer(row=one.row, why=one.why, words=words_answer(BAD_WORDS[one.why]), cells=one.cells)
            for one in found.bad
        ),
        bad_in_all=found.bad_in_all,
        unknown_people=found.unknown_people,
        unknown_tags=found.unknown_tags,
        gaps=found.gaps,
        wrapped=found.wrapped,
    )


class ImportRow(Answer):
    """An import that was made. `missing`: how many serial numbers were missing then."""

    number: int
    kind: str
    wand: str | None
    rows: int
    added: int
    bad: int
    first_serial: int | None
    last_serial: int | None
    missing: int
    wrapped: bool
    made: datetime


class ImportPage(Answer):
    """Imports, newest first."""

    items: tuple[ImportRow, ...]
    next: str | None


def import_row(row: WandImport) -> ImportRow:
    """`row` as HTTP shows it."""
    assert row.number is not None
    return ImportRow(
        number=row.number,
        kind=row.kind,
        wand=row.wand,
        rows=row.rows,
        added=row.added,
        bad=row.bad,
        first_serial=row.first_serial,
        last_serial=row.last_serial,
        missing=row.missing,
        wrapped=row.wrapped,
        made=iso(row.made_ms),
    )


class BadRows(Answer):
    """Rows of an import for a person."""

    items: tuple[BadRowAnswer, ...]


def bad_row(row: WandRow, cells: list[str]) -> BadRowAnswer:
    """`row` as HTTP shows it."""
    return BadRowAnswer(row=row.row, why=Bad(row.why), words=words_answer(BAD_WORDS[Bad(row.why)]), cells=tuple(cells))


class CodeAnswer(Answer):
    """The text of the QR code to print for a checkpoint. It is copied with a photograph: weak evidence.

    `version`: of the code; an earlier one holds no more. `page`: where it is opened, behind the station's own address,
    so that any scanner finds the way; both are read by phones.
    """

    point: str
    code: str
    page: str
    version: int


def code_answer(point: str, found: Code) -> CodeAnswer:
    """A code as HTTP shows it."""
    return CodeAnswer(point=point, code=found.text, page=CODE_PAGE + found.text, version=found.version)


class ScreenKey(Answer):
    """What a screen at a checkpoint needs to show a code that changes: `shouwang code` reads this file.

    `key`: 32 octets in hexadecimal, a secret of this checkpoint and this version.
    """

    point: str
    version: int
    key: str
