"""Check-ins over HTTP: what came in, tags of checkpoints and tags nobody knows, phones, wands."""

import json
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import StringConstraints

from api.access import Authority, may
from api.bodies import file_of, whole
from api.checkins.rules import Source
from api.checkins.schemas import (
    BadRows,
    CheckInPage,
    CodeAnswer,
    How,
    ImportAnswer,
    ImportPage,
    NewTag,
    OwnTracks,
    ScreenKey,
    Settling,
    TagAnswer,
    TagPage,
    TakenDown,
    UnknownAnswer,
    UnknownPage,
    Upload,
    Uploaded,
    WandStore,
    bad_row,
    check_in_answer,
    code_answer,
    import_answer,
    import_row,
    tag_answer,
    unknown_answer,
    uploaded,
)
from api.checkins.uploading import Located, PhoneCheckIn
from api.checkins.wands import Stored
from api.pages import PAGE, PAGE_MOST, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.register.files import BYTES_MOST, Format
from api.station import CurrentStation
from broker.ids import SEGMENT
from broker.tags import Tag

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["check-ins"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Segment = Annotated[str, Path(pattern=SEGMENT)]
Still = Annotated[bool, Query(description="Only those that are so still")]
Ids = Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Query(max_length=PAGE_MOST)]


@router.get("/check-ins", summary="Check-ins as they came in, newest first")
def list_check_ins(
    station: CurrentStation,
    by: Annotated[Authority, may("check_in.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
    id: Ids = [],  # noqa: A002, B006 - a parameter of HTTP, which FastAPI copies
) -> CheckInPage:
    """Every one, or those with one of these ids, with what is odd about it and three clocks.

    Who a guard is, and his track, is asked elsewhere.
    """
    with station.database.read() as session:
        found = station.checkins.page(session, by, ids=id, below=below(after), limit=limit + 1)
        items = tuple(check_in_answer(row) for row in found[:limit])
        last = found[limit - 1].number if len(found) > limit else None
    return CheckInPage(items=items, next=None if last is None else cursor(last))


@router.post("/check-ins", summary="Upload check-ins that waited in a phone")
def upload_check_ins(
    station: CurrentStation, by: Annotated[Authority, may("check_in.upload")], new: Upload
) -> Uploaded:
    """Each is kept once under its key, so that whatever was not answered is sent again.

    Nothing is turned down: what is odd is flagged. How far the phone's clock is off is measured now, when it cannot
    hide it.
    """
    items = [
        PhoneCheckIn(
            one.key, Source.QR if one.how == "typed" else Source(one.how), one.written, _ms(one.at), one.how == "typed"
        )
        for one in new.items
    ]
    with station.database.write() as session:
        skew, made = station.uploads.take(session, by.principal.account, items, device_now_ms=_ms(new.now))
        return uploaded(skew, [one.key for one in items], made)


@router.post("/owntracks", summary="Positions from the app OwnTracks")
def owntracks(
    station: CurrentStation,
    by: Annotated[Authority, may("check_in.upload")],
    said: Annotated[OwnTracks, Body()],
) -> list[dict[str, Any]]:
    """`location` is kept while its guard is on duty, and forgotten otherwise.

    `transition` into a region that is named as a checkpoint is the weakest of check-ins. All else is let be. The answer
    is what the app expects: no commands.
    """
    account = by.principal.account
    if said.tst is None:
        return []
    at_ms = said.tst * 1_000
    with station.database.write() as session:
        if said.type_ == "location" and said.lat is not None and said.lon is not None:
            accuracy = None if said.acc is None else round(said.acc)
            where = Located(at_ms, round(said.lat * 1e6), round(said.lon * 1e6), accuracy)
            station.uploads.locate(session, account, where)
        elif said.type_ == "transition" and said.event == "enter" and said.point is not None:
            station.uploads.entered(session, account, said.point, at_ms)
    return []


@router.get("/checkpoint-tags", summary="Tags of checkpoints, newest first")
def list_tags(  # noqa: PLR0917 - parameters of HTTP
    station: CurrentStation,
    by: Annotated[Authority, may("checkpoint_tag.read")],
    point: Annotated[str | None, Query(pattern=SEGMENT)] = None,
    still: Still = False,  # noqa: FBT002 - a parameter of HTTP
    limit: Limit = PAGE,
    after: Cursor = None,
) -> TagPage:
    """With the other faces of each, and which enrolled tags its last 24 bits are as well."""
    with station.database.read() as session:
        found = station.checkins.tags(session, by, point=point, still=still, below=below(after), limit=limit + 1)
        items = tuple(
            tag_answer(row, station.checkins.shares_24(session, Tag(row.tag)) if row.to_ms is None else [])
            for row in found[:limit]
        )
    return TagPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/checkpoint-tags", summary="Enrol a tag at a checkpoint", status_code=HTTPStatus.CREATED)
def hang_tag(station: CurrentStation, by: Annotated[Authority, may("checkpoint_tag.edit")], new: NewTag) -> TagAnswer:
    """Refused where an enrolled tag may be the same one. Check-ins by it since then find their checkpoint at once."""
    since = None if new.since is None else _ms(new.since)
    with station.database.write() as session:
        row = station.checkins.hang(session, by, written=new.tag, point=new.point, from_ms=since)
        return tag_answer(row, station.checkins.shares_24(session, Tag(row.tag)))


@router.post("/checkpoint-tags/{number}/end", summary="A tag was lost, moved or broken")
def take_tag_down(
    station: CurrentStation, by: Annotated[Authority, may("checkpoint_tag.edit")], number: Number, ended: TakenDown
) -> TagAnswer:
    """Check-ins by it after that are nobody's, and flagged. Ending it again changes nothing."""
    at_ms = None if ended.at is None else _ms(ended.at)
    with station.database.write() as session:
        return tag_answer(station.checkins.take_down(session, by, number, how=ended.how, at_ms=at_ms), [])


@router.get("/checkpoints/{point}/code", summary="The QR code to print for a checkpoint")
def get_code(
    station: CurrentStation, by: Annotated[Authority, may("checkpoint_tag.edit")], point: Segment
) -> CodeAnswer:
    """Signed for this checkpoint; a phone that scans it has weak evidence."""
    with station.database.read() as session:
        station.checkins.tags(session, by, point=point, still=True, below=None, limit=1)
        found = station.uploads.code(session, point)
        return code_answer(point, found)


@router.post("/checkpoints/{point}/code/end", summary="End a QR code that leaked")
def end_code(
    station: CurrentStation, by: Annotated[Authority, may("checkpoint_tag.edit")], point: Segment
) -> CodeAnswer:
    """Answers with the next version. What is scanned of the old one from now on is kept, and flagged `unverified`."""
    with station.database.write() as session:
        station.checkins.tags(session, by, point=point, still=True, below=None, limit=1)
        found = station.uploads.end_code(session, by, point)
        return code_answer(point, found)


@router.post("/checkpoints/{point}/code/screen", summary="The key for a screen that shows a changing QR code")
def screen_key(
    station: CurrentStation, by: Annotated[Authority, may("checkpoint_tag.edit")], point: Segment
) -> ScreenKey:
    """A secret of this checkpoint alone, and recorded who asked. Keep it in a file for `shouwang code`."""
    with station.database.write() as session:
        station.checkins.tags(session, by, point=point, still=True, below=None, limit=1)
        found = station.uploads.screen_key(session, by, point)
        return ScreenKey(point=point, version=found.version, key=found.key.hex())


@router.get("/unknown-tags", summary="Tags by which nobody could be found, newest first")
def list_unknown(
    station: CurrentStation,
    by: Annotated[Authority, may("checkpoint_tag.read")],
    still: Still = True,  # noqa: FBT002 - a parameter of HTTP
    limit: Limit = PAGE,
    after: Cursor = None,
) -> UnknownPage:
    """Their check-ins are kept. `still`: only those about which nobody has decided."""
    with station.database.read() as session:
        found = station.checkins.unknown(session, by, still=still, below=below(after), limit=limit + 1)
        items = tuple(unknown_answer(row) for row in found[:limit])
    return UnknownPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/unknown-tags/{number}/settle", summary="Decide about a tag that nobody knew")
def settle_unknown(
    station: CurrentStation, by: Annotated[Authority, may("checkpoint_tag.edit")], number: Number, said: Settling
) -> UnknownAnswer:
    """Enrol it or give it to somebody first; looking again then gives him the check-ins that are his."""
    with station.database.write() as session:
        return unknown_answer(station.checkins.settle(session, by, number, dismiss=said.how is How.DISMISS))


@router.post(
    "/wands/spreadsheets",
    summary="Import a wand's spreadsheet (巡更棒)",
    openapi_extra=file_of(BYTES_MOST),
)
def import_spreadsheet(
    station: CurrentStation,
    by: Annotated[Authority, may("wand.import")],
    content: Annotated[bytes, Depends(whole)],
    form: Annotated[Literal["xlsx", "csv"], Query(description="Which kind of file it is")] = "xlsx",
    dry_run: Annotated[bool, Query(description="Say what would become of it, and keep nothing")] = False,  # noqa: FBT002
) -> ImportAnswer:
    """Six columns: 巡检时间 巡检器 人员 巡检点 事件 编号. Rows of which nothing can be made are named and kept apart.

    The same file again adds nothing, but names whoever was unknown before.
    """
    with station.database.write() as session:
        return import_answer(station.wands.spreadsheet(session, by, content, Format(form), dry_run=dry_run))


@router.post("/wands/stores", summary="What was read out of a wand")
def upload_store(station: CurrentStation, by: Annotated[Authority, may("wand.import")], new: WandStore) -> ImportAnswer:
    """`shouwang wand` sends it, and lets the wand forget it only when it is answered. Missing serials are said."""
    records = [Stored(one.serial, one.guard_number, one.at, one.state == 1, one.card) for one in new.records]
    with station.database.write() as session:
        return import_answer(station.wands.store(session, by, new.wand, records, wrapped=new.wrapped))


@router.get("/wands/imports", summary="Imports, newest first")
def list_imports(
    station: CurrentStation, by: Annotated[Authority, may("wand.import")], limit: Limit = PAGE, after: Cursor = None
) -> ImportPage:
    """With how many rows were bad and how many serial numbers were missing."""
    with station.database.read() as session:
        found = station.wands.imports(session, by, below=below(after), limit=limit + 1)
        items = tuple(import_row(row) for row in found[:limit])
    return ImportPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/wands/imports/{number}/bad", summary="Rows of an import for a person")
def list_bad_rows(station: CurrentStation, by: Annotated[Authority, may("wand.import")], number: Number) -> BadRows:
    """As they stood in the file, at most the first 500, each with why."""
    with station.database.read() as session:
        rows = station.wands.bad_rows(session, by, number)
        return BadRows(items=tuple(bad_row(row, json.loads(row.cells)) for row in rows))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
