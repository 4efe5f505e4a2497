"""What stands in the spreadsheet that wand programs write: six columns, read without guessing. Pure.

Headings stand in the first rows, in Chinese, in English or in both, in any order:

    巡检时间 Patrol Time, 巡检器 ReaderNum, 人员 Person, 巡检点 Checkpoint, 事件 Event, 编号 Chip ID

Times are civil; a spreadsheet may hold them as text, as dates or as serial numbers of days, whose fractions are rounded
to the second, because two programs rounded them differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from broker.kinds import Words
from broker.tags import canonical

Cell = str | int | float | datetime | None

HEADS: Final = {
    "time": ("巡检时间", "patrol time"),
    "wand": ("巡检器", "readernum"),
    "person": ("人员", "person"),
    "checkpoint": ("巡检点", "checkpoint"),
    "event": ("事件", "event"),
    "chip": ("编号", "chip id"),
}
HEAD_ROWS: Final = 5
"""A title may stand above the headings; they are looked for no further down than this."""
UNSET: Final = frozenset({"未设置", "not set", "-"})
"""What stands for nothing in these files."""
DAY_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - civil time
FIRST_DAY: Final = 36_526
LAST_DAY: Final = 73_051
"""Serial numbers of 2000-01-01 and 2100-01-01."""
FORMS: Final = tuple(
    f"{day}{between}{time}"
    for day in ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日")
    for between in (" ", "T", "")
    for time in ("%H:%M:%S", "%H:%M")
)
TEXT_CHARS: Final = 64
CHIP_DIGITS: Final = 10


class Bad(StrEnum):
    """Why nothing could be made of a row; or, for EVENT, why it is shown to a person although a check-in was made."""

    TIME = "time"
    NO_SUCH_TIME = "no_such_time"
    CHIP = "chip"
    EVENT = "event"


BAD_WORDS: Final = {
    Bad.TIME: Words("时间无法识别", "this is no time"),
    Bad.NO_SUCH_TIME: Words("这一时刻不存在", "the clock never showed this time"),
    Bad.CHIP: Words("编号不是卡号", "the chip id is no tag"),
    Bad.EVENT: Words("有事件, 请人工查看", "an event was entered; somebody should look at it"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One read of a wand. `person` and `wand` as they were written there, empty where nothing was."""

    row: int
    at_ms: int
    wand: str
    person: str
    event: str
    chip: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row for a person, with what stood in it."""

    row: int
    why: Bad
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a sheet says. Equal rows are one read, whichever program wrote them twice."""

    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]


def read(grid: Sequence[Sequence[Cell]], zone: ZoneInfo) -> Sheet | None:
    """Read a sheet; None when its headings are not there."""
    columns, body = _headings(grid)
    if not {"time", "chip"} <= columns.keys():
        return None
    rows: list[Row] = []
    bad: list[BadRow] = []
    for number, cells in enumerate(grid[body:], body + 1):
        if any(_text(cell) for cell in cells):
            found = _row(number, cells, columns, zone)
            if isinstance(found, Row):
                rows.append(found)
            else:
                bad.append(BadRow(number, found, tuple(_text(cell) for cell in cells)))
            if isinstance(found, Row) and found.event:
                bad.append(BadRow(number, Bad.EVENT, tuple(_text(cell) for cell in cells)))
    return Sheet(tuple(rows), tuple(bad))


def _headings(grid: Sequence[Sequence[Cell]]) -> tuple[dict[str, int], int]:
    """Which column is which, and at which row the reads begin."""
    columns: dict[str, int] = {}
    body = 0
    for number, cells in enumerate(grid[:HEAD_ROWS], 1):
        for column, cell in enumerate(cells):
            words = _text(cell).lower()
            for name, heads in HEADS.items():
                if words in heads:
                    columns.setdefault(name, column)
                    body = number
    return columns, body


def _row(number: int, cells: Sequence[Cell], columns: dict[str, int], zone: ZoneInfo) -> Row | Bad:
    def cell(name: str) -> Cell:
        column = columns.get(name)
        return cells[column] if column is not None and column < len(cells) else None

    civil = civil_time(cell("time"))
    if civil is None:
        return Bad.TIME
    at_ms = unix_ms(civil, zone)
    if at_ms is None:
        return Bad.NO_SUCH_TIME
    chip = chip_of(cell("chip"))
    if chip is None:
        return Bad.CHIP
    wand, person, event = (_said(cell(name)) for name in ("wand", "person", "event"))
    return Row(number, at_ms, wand, person, event, chip)


def civil_time(cell: Cell) -> datetime | None:
    """The civil time in a cell, to the second; None if it is none."""
    if isinstance(cell, datetime):
        return cell.replace(microsecond=0, tzinfo=None) + timedelta(seconds=cell.microsecond >= 500_000)
    if isinstance(cell, int | float):
        return _of_serial(cell)
    words = _text(cell)
    for form in FORMS:
        try:
            return datetime.strptime(words, form)  # noqa: DTZ007 - civil time
        except ValueError:
            continue
    try:
        return _of_serial(float(words))
    except ValueError:
        return None


def _of_serial(days: float) -> datetime | None:
    return DAY_ZERO + timedelta(seconds=round(days * 86_400)) if FIRST_DAY <= days < LAST_DAY else None


def unix_ms(civil: datetime, zone: ZoneInfo) -> int | None:
    """When that was; None where the clock was put forward over it. Of a time that was twice, the first."""
    moment = civil.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != civil:
        return None
    return round(moment.timestamp() * 1_000)


def chip_of(cell: Cell) -> str | None:
    """The tag in a cell. A number lost its noughts in front to the spreadsheet; chips have ten digits."""
    words = str(cell).zfill(CHIP_DIGITS) if isinstance(cell, int) else _text(cell)
    tag = canonical(words)
    return None if tag is None else tag.value


def _said(cell: Cell) -> str:
    words = _text(cell)
    return "" if words.lower() in UNSET else words


def _text(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell).strip()[:TEXT_CHARS]
