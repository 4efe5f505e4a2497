"""Files of the register: XLSX, CSV and the site file, into cells and out of them. The one door to openpyxl.

FileRefused                 422: .code: nothing of it can be read
"""

import csv
import io
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, time
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from itertools import zip_longest
from typing import Any, Final, TypeVar

from api.problems import Problem
from api.progress import Tell, told, untold
from api.register.models import AreaKind
from api.register.sheets import COLUMNS, ROWS_MOST, SHEET_NAMES, Cell, Raw, Sheet, Wrong, column_of, sheet_of, texts
from api.workbooks import BOM, RISKY, harmless, workbook
from broker.kinds import Words

T = TypeVar("T")

BYTES_MOST: Final = 8 << 20
UNPACKED_MOST: Final = 64 << 20
ENTRIES_MOST: Final = 200
COLUMNS_MOST: Final = 64
"""What a spreadsheet takes for the beginning of a formula."""

WHY: Final = {
    "too_large": Words("文件太大", "the file is too large"),
    "not_xlsx": Words("不是 XLSX 文件", "this is no XLSX file"),
    "bomb": Words("解压后太大", "unpacked, the file would be too large"),
    "not_text": Words("不是 UTF-8 文本", "this is no text in UTF-8"),
    "not_csv": Words("不是 CSV 文件", "this is no CSV file"),
    "not_toml": Words("不是 TOML 文件", "this is no TOML file"),
    "no_sheet": Words("要说明是哪张表", "say which sheet a CSV file is"),
    "empty": Words("文件里没有表", "there is no sheet in the file"),
}


class Format(StrEnum):
    """What a file is."""

    XLSX = "xlsx"
    CSV = "csv"
    TOML = "toml"


class FileRefused(Problem):
    """A file of which nothing can be read. Field: `code`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "file_refused"
    title = "This file cannot be read"

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(WHY[code].en, code=code, zh=WHY[code].zh, en=WHY[code].en)


Table = tuple[str, list[str], list[Raw]]
"""The name of a sheet, its headings, and its rows."""


def tables(data: bytes, form: Format, *, sheet: Sheet | None, tell: Tell = untold) -> list[Table]:
    """What stands in a file. `sheet`: which one a CSV file is. Raises FileRefused."""
    if len(data) > BYTES_MOST:
        raise FileRefused("too_large")
    match form:
        case Format.XLSX:
            return _pages(data, _worksheet, tell)
        case Format.CSV:
            if sheet is None:
                raise FileRefused("no_sheet")
            return [_csv(data, sheet)]
        case Format.TOML:
            return _toml(data)


def grid(data: bytes, form: Format) -> list[list[Any]]:
    """The cells of the first sheet of a foreign file as they are: text, numbers, datetimes, None. Raises FileRefused.

    A CSV file may be GB 18030, as programs of this country write it.
    """
    if len(data) > BYTES_MOST:
        raise FileRefused("too_large")
    if form is Format.XLSX:
        return _pages(data, _values)[0]
    for encoding in ("utf-8-sig", "gb18030"):
        with suppress(UnicodeDecodeError):
            return _lines(data.decode(encoding))
    raise FileRefused("not_text")


def _lines(text: str) -> list[list[Any]]:
    try:
        return [line[:COLUMNS_MOST] for line in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error:
        raise FileRefused("not_csv") from None


def _pages(data: bytes, read: Callable[[Any, Tell], T], tell: Tell = untold) -> list[T]:
    """What `read` makes of each sheet. What it tells is told as part of the whole file."""
    import openpyxl  # noqa: PLC0415 - 5 MiB, for what is done once a year
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    _look_inside(data)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
    except (InvalidFileException, KeyError, ValueError, OSError, SyntaxError, zipfile.BadZipFile):
        raise FileRefused("not_xlsx") from None
    try:
        many = [min(page.max_row or 0, ROWS_MOST) for page in book.worksheets]
        found = [
            read(page, partial(_in_all, tell, sum(many[:number]), sum(many)))
            for number, page in enumerate(book.worksheets)
        ]
    except (KeyError, ValueError, TypeError, SyntaxError, zipfile.BadZipFile):
        raise FileRefused("not_xlsx") from None
    finally:
        book.close()
    if not found:
        raise FileRefused("empty")
    return found


def _in_all(tell: Tell, before: int, whole: int, phase: str, done: int, _of: int) -> None:
    tell(phase, before + done, whole)


def _values(page: Any, _tell: Tell) -> list[list[Any]]:
    return [[*row] for row in page.iter_rows(max_col=COLUMNS_MOST, values_only=True)]


def _look_inside(data: bytes) -> None:
    """Refuse an archive that would unpack into more than it should, before anything of it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise FileRefused("not_xlsx") from None
    if len(entries) > ENTRIES_MOST or sum(entry.file_size for entry in entries) > UNPACKED_MOST:
        raise FileRefused("bomb")
    if any(entry.flag_bits & 1 for entry in entries):
        raise FileRefused("not_xlsx")


def _worksheet(page: Any, tell: Tell) -> Table:
    heads: list[str] = []
    rows: list[Raw] = []
    lines = told(page.iter_rows(max_col=COLUMNS_MOST), tell, "reading", of=min(page.max_row or 0, ROWS_MOST))
    for number, cells in enumerate(lines, 1):
        found = [_cell(cell.value, formula=cell.data_type == "f") for cell in cells]
        if number == 1:
            heads = ["" if isinstance(cell, Wrong) else cell.strip() for cell in found]
        elif any(cell != "" for cell in found):
            rows.append((number, _named(page.title, heads, found)))
    return page.title, heads, rows


def _cell(value: Any, *, formula: bool) -> Cell:
    if formula:
        return Wrong("formula")
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() | date() | time():
            return Wrong("date")
    return str(value)


def _named(title: str, heads: list[str], cells: list[Cell]) -> Mapping[str, Cell]:
    sheet = sheet_of(title)
    if sheet is None:
        return {}
    named: dict[str, Cell] = {}
    for head, cell in zip_longest(heads, cells[: len(heads)], fillvalue=""):
        assert isinstance(head, str)
        column = column_of(sheet, head) if head else None
        if column is not None:
            named.setdefault(column.name, cell)
    return named


def _csv(data: bytes, sheet: Sheet) -> Table:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused("not_text") from None
    try:
        lines = [*csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error:
        raise FileRefused("not_csv") from None
    if not lines:
        raise FileRefused("empty")
    heads = [head.strip() for head in lines[0][:COLUMNS_MOST]]
    rows: list[Raw] = []
    for number, cells in enumerate(lines[1:], 2):
        found: list[Cell] = [_unquoted(cell) for cell in cells[:COLUMNS_MOST]]
        if any(cell != "" for cell in found):
            rows.append((number, _named(sheet.value, heads, found)))
    return sheet.value, heads, rows


def _unquoted(text: str) -> Cell:
    """A text that an export guarded against being taken for a formula, without its guard."""
    if text.startswith("'") and text[1:].startswith(RISKY):
        return text[1:]
    return Wrong("formula") if text.startswith("=") else text


def _toml(data: bytes) -> list[Table]:
    try:
        site = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise FileRefused("not_text") from None
    except tomllib.TOMLDecodeError:
        raise FileRefused("not_toml") from None
    found = {sheet: [*_site(site, sheet)] for sheet in (Sheet.AREAS, Sheet.PLACES, Sheet.UNITS)}
    return [
        (sheet.value, sorted({name for row in rows for name in row}), [*enumerate(rows, 1)])
        for sheet, rows in found.items()
        if rows
    ]


def _site(site: Mapping[str, Any], sheet: Sheet) -> Iterator[dict[str, Cell]]:
    """What a site file says of the register; what it says of hardware is the gateways' own."""
    gateways = _listed(site, "gateway")
    home = _text(gateways[0], "id") if len(gateways) == 1 else ""
    match sheet:
        case Sheet.AREAS:
            for level in ("community", "grid", "group"):
                for one in _listed(site, level):
                    row: dict[str, Cell] = {"id": _text(one, "id"), "level": level}
                    if "label" in one:
                        row["name"] = _text(one, "label")
                    if level == "grid":
                        row["parent"] = _text(one, "community")
                    if level == "group":
                        parent, own = _text(one, "grid") or _text(one, "community"), _text(one, "gateway") or home
                        row |= ({"parent": parent} if parent else {}) | ({"gateway": own} if own else {})
                    yield row
        case Sheet.PLACES:
            for one in _listed(site, "household"):
                row = {name: _text(one, name) for name in ("id", "group", "door", "label") if name in one}
                row["excludes"] = " ".join(str(id_) for id_ in one.get("excludes", ()))
                row["consent_medical_word"] = _flag(one, "medical_consent")
                row["consent_duress_key"] = _flag(one, "duress")
                yield row
        case _:
            for gateway in gateways:
                for unit in _listed(gateway, "unit"):
                    names = ("id", "line", "address", "volume", "night_volume")
                    row = {name: _text(unit, name) for name in names if name in unit}
                    row |= {"place": _text(unit, "household"), "gateway": _text(gateway, "id")}
                    row |= {name: _flag(unit, name) for name in ("silent", "strobe") if name in unit}
                    yield row


def _listed(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = table.get(name, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name, "")
    return str(value) if isinstance(value, str | int) else "?"


def _flag(table: Mapping[str, Any], name: str) -> str:
    return "yes" if table.get(name) is True else "no"


def write_xlsx(sheets: Mapping[Sheet, Iterable[Mapping[str, Any]]]) -> bytes:
    """A workbook with these sheets. Every cell is text, so that no number loses a nought and no text becomes code."""
    with workbook() as made:
        bold, plain = (made.book.add_format({"bold": one, "num_format": "@"}) for one in (True, False))
        for sheet, rows in sheets.items():
            page = made.book.add_worksheet(SHEET_NAMES[sheet])
            page.freeze_panes(1, 1)
            page.set_column(0, len(COLUMNS[sheet]) - 1, 16, plain)
            for number, cells in enumerate(texts(sheet, rows)):
                for column, cell in enumerate(cells):
                    if cell:
                        page.write_string(number, column, cell, plain if number else bold)
    return made.content


def write_csv(sheet: Sheet, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One sheet as CSV with a byte order mark, which Excel needs to read Chinese."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    for cells in texts(sheet, rows):
        writer.writerow([harmless(cell) for cell in cells])
    return (BOM + file.getvalue()).encode()


def write_toml(areas: Iterable[Mapping[str, Any]], places: Iterable[Mapping[str, Any]]) -> bytes:
    """The tables of a site file that describe areas and households; hardware stays with the gateways."""
    lines: list[str] = []
    listed = [*areas]
    by_id = {area["id"]: area for area in listed}
    for level in ("community", "grid", "group"):
        for area in (one for one in listed if one["level"] == level and one["kind"] is AreaKind.ORDINARY):
            lines += ["", f"[[{level}]]", f'id = "{area["id"]}"']
            parent = by_id.get(area["parent"])
            if parent is not None and parent["level"] in {"community", "grid"}:
                lines.append(f'{parent["level"]} = "{parent["id"]}"')
            if level == "group" and area["gateway"]:
                lines.append(f'gateway = "{area["gateway"]}"')
            if area["name"]:
                lines.append(f"label = {_quoted(area['name'])}")
    for place in places:
        lines += ["", "[[household]]", f'id = "{place["id"]}"']
        if place["group"]:
            lines.append(f'group = "{place["group"]}"')
        if place["door"]:
            lines.append(f"door = {place['door']}")
        if place["label"]:
            lines.append(f"label = {_quoted(place['label'])}")
        if place["excludes"]:
            lines.append("excludes = [" + ", ".join(f'"{one}"' for one in place["excludes"]) + "]")
        lines += ["medical_consent = true"] if place["consent_medical_word"] else []
        lines += ["duress = true"] if place["consent_duress_key"] else []
    return ("\n".join(lines).strip() + "\n").encode()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
