"""The register as sheets: what stands in which column, in words that people read, and how a sheet is compared: pure.

Theory:

1. A sheet is rows of text under the names of columns. Each column knows how a text becomes a value and back, so that
   what is exported is read as exactly what is there.
2. A row names its thing by `id` (or by place and rank, or place and note). A column that a sheet does not have says
   nothing, and what is there stays. A row that a sheet does not have says nothing either: an import adds and changes,
   and ends nothing.
3. Everything that is wrong is told at once, each with its sheet, row and column, and with what to do. What is wrong
   with a single text is found here; what is wrong with the whole is found by `rules` on what would come of it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from api.register.models import AreaKind, Meaning, Note, PlaceKind, Purpose, TeamSort, Tree, UnitSort
from api.register.rules import NAME_CHARS, TEXT_CHARS
from broker.ids import is_segment
from broker.kinds import Words
from broker.messages import clean

ROWS_MOST: Final = 50_000

PROBLEMS: Final[Mapping[str, tuple[Words, Words]]] = {
    "unknown_sheet": (
        Words("没有叫 {value} 的表", "there is no sheet {value}"),
        Words("改成导出文件里的表名，或删掉", "name it as an export does, or remove it"),
    ),
    "unknown_column": (
        Words("没有叫 {value} 的列", "there is no column {value}"),
        Words("改成导出文件里的列名，或删掉", "name it as an export does, or remove it"),
    ),
    "double_column": (
        Words("列 {value} 出现两次", "the column {value} is there twice"),
        Words("只留一列", "keep one"),
    ),
    "missing_column": (
        Words("缺少列 {value}", "the column {value} is missing"),
        Words("加上这一列", "add it"),
    ),
    "too_many_rows": (
        Words("超过 {value} 行", "more than {value} rows"),
        Words("分成几个文件导入", "import it in several files"),
    ),
    "missing": (Words("不能为空", "it cannot be empty"), Words("填上", "fill it in")),
    "not_id": (
        Words("{value} 不能作编号", "{value} cannot be an id"),
        Words("用 1-32 个小写字母、数字或 -", "use 1 to 32 lower-case letters, digits or -"),
    ),
    "not_number": (
        Words("{value} 不是允许的数", "{value} is not a number that may stand here"),
        Words("用范围内的整数", "use a whole number in its range"),
    ),
    "not_degree": (
        Words("{value} 不是经纬度", "{value} is no longitude or latitude"),
        Words("用 WGS-84 的度数", "use degrees of WGS-84"),
    ),
    "not_word": (
        Words("{value} 不是允许的词", "{value} is not one of the words that may stand here"),
        Words("从下面选: {known}", "choose one of: {known}"),
    ),
    "not_code": (
        Words("{value} 不是编码", "{value} is no code"),
        Words("用数字、大写字母和 -", "use digits, capital letters and -"),
    ),
    "not_phone": (
        Words("这不是电话号码", "this is no phone number"),
        Words("用数字、+、- 和空格", "use digits, +, - and spaces"),
    ),
    "too_long": (Words("太长", "it is too long"), Words("缩短到 {value} 个字以内", "keep it to {value} characters")),
    "control": (
        Words("有看不见的控制字符", "it has characters that cannot be seen"),
        Words("重新输入这一格", "type this cell anew"),
    ),
    "formula": (Words("这是公式", "this is a formula"), Words("改成数值(粘贴为值)", "paste it as a value")),
    "date": (Words("这是日期", "this is a date"), Words("把格式改成文本", "make it text")),
    "twice": (
        Words("{value} 在这张表里出现两次", "{value} is on this sheet twice"),
        Words("只留一行", "keep one row"),
    ),
    "position": (
        Words("经度和纬度要一起填", "a position has a longitude and a latitude"),
        Words("两格都填或都空", "fill in both or none"),
    ),
    "fixed": (
        Words("{value} 的这一项不能改", "this cannot be changed for {value}"),
        Words("用新的编号另建一个", "make another one with a new id"),
    ),
    "other_occupant": (
        Words("{value} 现在住着别人", "somebody else lives in {value} now"),
        Words("在页面上办理迁入", "let them move in at the desk"),
    ),
    "vacant": (
        Words("{value} 没有住户", "nobody lives in {value}"),
        Words("填上住户，或删掉这一行", "name the occupant, or remove this"),
    ),
    "unhangs": (
        Words("{value} 装在别处", "{value} hangs elsewhere"),
        Words("在页面上办理互换、更换或拆除", "swap, replace or remove it at the desk"),
    ),
    "rule": (Words("{zh}", "{en}"), Words("改正后再导入", "put it right and import again")),
}
"""What can be wrong with a sheet, and what to do about it."""


class Sheet(StrEnum):
    """The sheets, in the order in which they are read and written."""

    LEVELS = "levels"
    AREAS = "areas"
    PLACES = "places"
    CONTACTS = "contacts"
    NOTES = "notes"
    UNITS = "units"
    COMPANIES = "companies"
    TEAMS = "teams"


@dataclass(frozen=True, slots=True)
class Wrong(Exception):
    """A text that is no value."""

    code: str
    value: str = ""
    known: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong in a file. `row` counts as the program that wrote the file does; 0: the whole sheet."""

    sheet: str
    row: int
    column: str
    code: str
    what: Words
    do: Words


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `zh` is what people read; `needed`: it may not be empty."""

    name: str
    zh: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str]
    needed: bool = False


Cell = str | Wrong
Raw = tuple[int, Mapping[str, Cell]]
"""A row as it was read: its number, and what stands under each column's name."""

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]
"""Rows with values, by what names them."""


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _text(most: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > most:
            raise Wrong("too_long", str(most))
        if any(clean(sign) != sign for sign in text):
            raise Wrong("control")
        return text

    return parse


def _id(text: str) -> str | None:
    if text and not is_segment(text):
        raise Wrong("not_id", text[:64])
    return text or None


def _ids(text: str) -> tuple[str, ...]:
    parts = text.replace(",", " ").replace("，", " ").replace("、", " ").split()
    for part in parts:
        _id(part)
    return tuple(sorted({*parts}))


def _people(text: str) -> tuple[str, ...] | None:
    return _ids(text) or None


def _show_people(accounts: Iterable[str] | None) -> str:
    return " ".join(accounts or ())


def _number(least: int, most: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
            raise Wrong("not_number", text[:32])
        return int(text)

    return parse


def _degree(most: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise Wrong("not_degree", text[:32]) from None
        if not -most <= value <= most:
            raise Wrong("not_degree", text[:32])
        return round(value * 10_000_000)

    return parse


def _show_degree(value: int | None) -> str:
    return "" if value is None else f"{value / 10_000_000:.7f}"


def _outline(text: str) -> str | None:
    if not text:
        return None
    corners = []
    for corner in text.split(";"):
        parts = corner.strip().split(" ")
        if len(parts) != 2:
            raise Wrong("not_degree", corner[:32])
        longitude, latitude = _degree(180)(parts[0]), _degree(90)(parts[1])
        assert longitude is not None
        assert latitude is not None
        corners.append([longitude / 10_000_000, latitude / 10_000_000])
    if not 3 <= len(corners) <= 200:
        raise Wrong("not_number", str(len(corners)))
    return json.dumps(corners, separators=(",", ":"))


def _show_outline(value: str | None) -> str:
    return "" if value is None else "; ".join(f"{lon:.7f} {lat:.7f}" for lon, lat in json.loads(value))


def _word(words: Mapping[str, Words], default: Any = None) -> Callable[[str], Any]:
    known = {word: value for value, both in words.items() for word in (value, both.zh, both.en)}

    def parse(text: str) -> Any:
        if not text:
            return default
        if text not in known:
            raise Wrong("not_word", text[:32], "、".join(both.zh for both in words.values()))
        return known[text]

    return parse


def _show_word(words: Mapping[str, Words]) -> Callable[[Any], str]:
    return lambda value: "" if value is None else words[value].zh


YES_NO: Final = {"yes": Words("是", "yes"), "no": Words("否", "no")}


def _yes(text: str) -> bool | None:
    answer = _word(YES_NO)(text)
    return None if answer is None else answer == "yes"


def _show_yes(value: bool | None) -> str:  # noqa: FBT001 - a value like the others
    return "" if value is None else YES_NO["yes" if value else "no"].zh


def _code(text: str) -> str | None:
    if text and (len(text) > 32 or not all(sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-" for sign in text)):
        raise Wrong("not_code", text[:32])
    return text or None


def _phone(text: str) -> str:
    if not 3 <= len(text) <= 20 or not all(sign in "0123456789+- " for sign in text):
        raise Wrong("not_phone")
    return text


AREA_KINDS: Final = {AreaKind.ORDINARY: Words("普通", "ordinary"), AreaKind.DEDICATED: Words("专属", "dedicated")}
PLACE_KINDS: Final = {
    PlaceKind.HOUSEHOLD: Words("住户", "household"),
    PlaceKind.SHOP: Words("商户", "shop"),
    PlaceKind.OFFICE: Words("单位", "office"),
}
NOTES: Final = {
    Note.DEAF: Words("听障", "deaf"),
    Note.OXYGEN: Words("用氧", "oxygen"),
    Note.DOG: Words("养犬", "dog"),
    Note.ALONE: Words("独居", "alone"),
    Note.OTHER: Words("其他", "other"),
}
SORTS: Final = {
    UnitSort.NATIVE: Words("一键报警器", "native"),
    UnitSort.CONTACT: Words("有线按键", "contact"),
    UnitSort.REMOTE: Words("遥控按键", "remote"),
    UnitSort.ZIGBEE: Words("Zigbee按键", "zigbee"),
}
TREES: Final = {Tree.GOVERNMENT: Words("政府", "government"), Tree.POLICE: Words("公安", "police")}
MEANINGS: Final = {
    Meaning.COUNTY: Words("县级", "county"),
    Meaning.TOWNSHIP: Words("乡级", "township"),
    Meaning.COMMUNITY: Words("社区", "community"),
    Meaning.GRID: Words("网格", "grid"),
    Meaning.GROUP: Words("联防组", "group"),
    Meaning.COMMAND: Words("指挥中心", "command"),
    Meaning.STATION: Words("派出所", "station"),
    Meaning.POLICE_GRID: Words("警格", "police_grid"),
    Meaning.OTHER: Words("其他", "other"),
}

TEAM_SORTS: Final = {
    TeamSort.VOLUNTEERS: Words("志愿者", "volunteers"),
    TeamSort.PATROL: Words("巡逻队", "patrol"),
    TeamSort.EMERGENCY: Words("应急队", "emergency"),
    TeamSort.GUARDS: Words("保安", "guards"),
}

CONSENTS: Final = {
    "consent_medical_word": Purpose.MEDICAL_WORD,
    "consent_responder_notes": Purpose.RESPONDER_NOTES,
    "consent_duress_key": Purpose.DURESS_KEY,
    "consent_contacts": Purpose.CONTACTS,
    "consent_position": Purpose.POSITION,
}
"""Columns of places that say what its occupant consented to on paper."""


def _ref(name: str, zh: str, *, needed: bool = False) -> Column:
    return Column(name, zh, _id, _plain, needed)


def _free(name: str, zh: str, most: int = NAME_CHARS, *, needed: bool = False) -> Column:
    return Column(name, zh, _text(most), _plain, needed)


def _whole(name: str, zh: str, least: int, most: int, *, needed: bool = False) -> Column:
    return Column(name, zh, _number(least, most), _plain, needed)


def _one_of(name: str, zh: str, words: Mapping[Any, Words], *, default: Any = None, needed: bool = False) -> Column:
    return Column(name, zh, _word(words, default), _show_word(words), needed)


def _bool(name: str, zh: str) -> Column:
    return Column(name, zh, _yes, _show_yes)


COLUMNS: Final[Mapping[Sheet, tuple[Column, ...]]] = {
    Sheet.LEVELS: (
        _ref("id", "编号", needed=True),
        _one_of("tree", "体系", TREES, needed=True),
        _whole("rank", "顺序", 0, 999, needed=True),
        _free("name_zh", "中文名", needed=True),
        _free("name_en", "英文名", needed=True),
        _one_of("meaning", "性质", MEANINGS, needed=True),
    ),
    Sheet.AREAS: (
        _ref("id", "编号", needed=True),
        _ref("level", "层级", needed=True),
        _free("name", "名称"),
        _one_of("kind", "类型", AREA_KINDS, default=AreaKind.ORDINARY),
        Column("code", "国家编码", _code, _plain),
        _ref("parent", "上级区域"),
        _ref("police_parent", "公安上级"),
        _ref("gateway", "网关"),
        Column("outline", "边界", _outline, _show_outline),
    ),
    Sheet.PLACES: (
        _ref("id", "编号", needed=True),
        _ref("group", "联防组"),
        _one_of("kind", "类别", PLACE_KINDS, default=PlaceKind.HOUSEHOLD),
        _whole("door", "门号", 1, 9_999),
        _free("label", "门牌"),
        _free("address", "地址", TEXT_CHARS),
        _free("way_in", "进入方式", TEXT_CHARS),
        Column("code", "国家编码", _code, _plain),
        Column("longitude", "经度", _degree(180), _show_degree),
        Column("latitude", "纬度", _degree(90), _show_degree),
        _free("occupant", "住户名"),
        Column("excludes", "不通知的邻户", _ids, " ".join),
        _bool("consent_medical_word", "同意:邻户可见医疗"),
        _bool("consent_responder_notes", "同意:处警提示"),
        _bool("consent_duress_key", "同意:胁迫键"),
        _bool("consent_contacts", "同意:联系人"),
        _bool("consent_position", "同意:手机位置"),
    ),
    Sheet.CONTACTS: (
        _ref("place", "场所", needed=True),
        _whole("rank", "顺序", 1, 9, needed=True),
        _free("name", "姓名", needed=True),
        Column("phone", "电话", _phone, _plain, needed=True),
        _free("relation", "关系"),
    ),
    Sheet.NOTES: (
        _ref("place", "场所", needed=True),
        _one_of("note", "提示", NOTES, needed=True),
        _free("words", "说明"),
    ),
    Sheet.UNITS: (
        _ref("id", "编号", needed=True),
        _one_of("sort", "类型", SORTS, default=UnitSort.NATIVE),
        _free("serial", "序列号"),
        _ref("place", "场所"),
        _ref("gateway", "网关"),
        _ref("line", "线路"),
        _whole("address", "地址", 1, 0xFFEF),
        _bool("silent", "无声键"),
        _whole("volume", "音量", 0, 3),
        _whole("night_volume", "夜间音量", 0, 3),
        _bool("strobe", "闪灯"),
    ),
    Sheet.COMPANIES: (
        _ref("id", "编号", needed=True),
        _free("name", "名称", needed=True),
        Column("code", "国家编码", _code, _plain),
    ),
    Sheet.TEAMS: (
        _ref("id", "编号", needed=True),
        _free("name", "名称", needed=True),
        _one_of("sort", "类型", TEAM_SORTS, needed=True),
        _ref("area", "区域"),
        _ref("company", "公司"),
        Column("members", "队员账号", _people, _show_people),
    ),
}

SHEET_NAMES: Final = {
    Sheet.LEVELS: "层级",
    Sheet.AREAS: "区域",
    Sheet.PLACES: "场所",
    Sheet.CONTACTS: "联系人",
    Sheet.NOTES: "处警提示",
    Sheet.UNITS: "报警器",
    Sheet.COMPANIES: "公司",
    Sheet.TEAMS: "队伍",
}

KEYS: Final[Mapping[Sheet, tuple[str, ...]]] = {
    Sheet.LEVELS: ("id",),
    Sheet.AREAS: ("id",),
    Sheet.PLACES: ("id",),
    Sheet.CONTACTS: ("place", "rank"),
    Sheet.NOTES: ("place", "note"),
    Sheet.UNITS: ("id",),
    Sheet.COMPANIES: ("id",),
    Sheet.TEAMS: ("id",),
}


def problem(sheet: str, row: int, column: str, wrong: Wrong) -> Problem:
    """What is wrong, in words."""
    what, do = PROBLEMS[wrong.code]
    values = {"value": wrong.value, "known": wrong.known, "zh": wrong.value, "en": wrong.known}
    return Problem(
        sheet=sheet,
        row=row,
        column=column,
        code=wrong.code,
        what=Words(what.zh.format(**values), what.en.format(**values)),
        do=Words(do.zh.format(**values), do.en.format(**values)),
    )


def sheet_of(name: str) -> Sheet | None:
    """The sheet that is called this, in either language."""
    wanted = name.strip().lower()
    return next((sheet for sheet, zh in SHEET_NAMES.items() if wanted in {sheet.value, zh}), None)


def header(column: Column) -> str:
    """What stands above a column: in Chinese, then the word of programs."""
    return f"{column.zh}/{column.name}"


def column_of(sheet: Sheet, text: str) -> Column | None:
    """The column that is meant by a heading, in either language or both."""
    parts = {part.strip().lower() for part in text.split("/")}
    return next((one for one in COLUMNS[sheet] if parts & {one.name, one.zh.lower()}), None)


@dataclass(slots=True)
class Read:
    """One sheet as it was understood: values by key, the row of each, and the columns that it had."""

    sheet: Sheet
    rows: Rows = field(default_factory=dict)
    numbers: dict[Key, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def read(sheet: Sheet, heads: Sequence[str], raws: Iterable[Raw], problems: list[Problem]) -> Read:
    """Understand a sheet. What is wrong is appended to `problems`; a row with anything wrong is left out."""
    found = Read(sheet)
    columns: list[Column] = []
    for head in heads:
        column = column_of(sheet, head) if head else None
        if head and column is None:
            problems.append(problem(sheet.value, 1, head[:64], Wrong("unknown_column", head[:64])))
        elif column is not None and column in columns:
            problems.append(problem(sheet.value, 1, column.name, Wrong("double_column", column.name)))
        elif column is not None:
            columns.append(column)
    names = {column.name for column in columns}
    missing = [key for key in KEYS[sheet] if key not in names]
    problems += [problem(sheet.value, 1, name, Wrong("missing_column", name)) for name in missing]
    found.columns = tuple(column.name for column in columns)
    if missing:
        return found
    for count, (number, cells) in enumerate(raws, 1):
        if count > ROWS_MOST:
            problems.append(problem(sheet.value, 0, "", Wrong("too_many_rows", str(ROWS_MOST))))
            break
        values = _row(sheet, number, columns, cells, problems)
        if values is None:
            continue
        key = tuple(values[name] for name in KEYS[sheet])
        if key in found.rows:
            shown = "/".join(str(part) for part in key)
            problems.append(problem(sheet.value, number, KEYS[sheet][0], Wrong("twice", shown)))
            continue
        found.rows[key], found.numbers[key] = values, number
    return found


def _row(
    sheet: Sheet, number: int, columns: Sequence[Column], cells: Mapping[str, Cell], problems: list[Problem]
) -> dict[str, Any] | None:
    values: dict[str, Any] = {}
    before = len(problems)
    for column in columns:
        if column.name not in cells and not column.needed:
            continue  # this row does not speak of it
        cell = cells.get(column.name, "")
        try:
            if isinstance(cell, Wrong):
                raise cell
            if column.needed and not cell.strip():
                raise Wrong("missing")
            values[column.name] = column.parse(cell.strip())
        except Wrong as wrong:
            problems.append(problem(sheet.value, number, column.name, wrong))
    return values if len(problems) == before else None


def texts(sheet: Sheet, rows: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Rows as a file shows them, the headings first."""
    yield [header(column) for column in COLUMNS[sheet]]
    for row in rows:
        yield [column.show(row.get(column.name)) for column in COLUMNS[sheet]]
