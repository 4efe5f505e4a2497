"""In which language a page is written: Chinese first, English by a switch. The one door to Babel.

Messages stand in templates in English; `words/zh.po` has the Chinese. A message without a translation is shown in
English, and `tests/console` fails.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, get_datetime_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from fastapi import Request

Language = Literal["zh", "en"]
COOKIE: Final = "shouwang_language"
WORDS: Final = Path(__file__).with_name("words")
LOCALES: Final[Mapping[Language, str]] = {"zh": "zh_Hans_CN", "en": "en_GB"}


def language_of(request: Request) -> Language:
    """What was chosen on this machine; else what the browser prefers, if that is English; else Chinese."""
    chosen = request.cookies.get(COOKIE)
    if chosen == "en" or (chosen != "zh" and _prefers_english(request.headers.get("Accept-Language", ""))):
        return "en"
    return "zh"


def _prefers_english(header: str) -> bool:
    first = header.split(",", 1)[0].partition(";")[0].strip().lower()
    return first == "en" or first.startswith("en-")


@cache
def translations(language: Language) -> NullTranslations:
    """The messages of a language."""
    if language == "en":
        return NullTranslations()
    compiled = BytesIO()
    with (WORDS / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=LOCALES[language]))
    compiled.seek(0)
    return GNUTranslations(compiled)


Shape = Literal["moment", "minute", "near", "date", "clock", "seconds"]
_SKELETONS: Final[Mapping[Shape, tuple[str, str]]] = {
    "moment": ("yMMMd", "Hms"),
    "minute": ("yMMMd", "Hm"),
    "near": ("MMMd", "Hm"),
    "date": ("yMMMd", ""),
    "clock": ("", "Hm"),
    "seconds": ("", "Hms"),
}
"""What of a day and of a time of day a shape says: skeletons of Unicode's CLDR, which knows the order in a language."""


def stamp(text: str | None, zone: ZoneInfo) -> str:
    """A time of the interface in civil time as programs and fields write it; nothing for None."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def when(text: str | None, zone: ZoneInfo, shape: Shape, language: Language) -> str:
    """A time of the interface in civil time as people read it; nothing for None."""
    if text is None:
        return ""
    at, (of_day, of_time) = datetime.fromisoformat(text).astimezone(zone), _SKELETONS[shape]
    midnight, second = datetime(at.year, at.month, at.day), datetime(2000, 1, 1, at.hour, at.minute, at.second)  # noqa: DTZ001 - parts
    day, time = _part(midnight, of_day, language), _part(second, of_time, language)
    if not day or not time:
        return day or time
    return _together(language).replace("{1}", day).replace("{0}", time)


@lru_cache(maxsize=16_384)
def _part(at: datetime, skeleton: str, language: Language) -> str:
    """Remembered, days and times of day by themselves: a thousand cards of a storm are of few of either."""
    return format_skeleton(skeleton, at, locale=LOCALES[language]) if skeleton else ""


@cache
def _together(language: Language) -> str:
    """How a language puts a day ({1}) and a time ({0}) together."""
    return str(get_datetime_format("medium", locale=LOCALES[language])).replace("'", "")


def day(text: str | None, zone: ZoneInfo, language: Language) -> str:
    """The day of a time of the interface; nothing for None."""
    if text is None:
        return ""
    return format_date(datetime.fromisoformat(text).astimezone(zone), "long", locale=LOCALES[language])


def civil(text: str | None, language: Language) -> str:
    """A day (`2026-11-22`) or a month (`2026-11`) of the interface as people read it; nothing for None."""
    if not text:
        return ""
    if len(text) == len("2026-11"):
        return format_skeleton("yMMM", date.fromisoformat(f"{text}-01"), locale=LOCALES[language])
    return format_date(date.fromisoformat(text), "medium", locale=LOCALES[language])


def number(value: float | None, language: Language, digits: int = 0, *, sign: bool = False) -> str:
    """A number with thousands grouped and so many digits behind the point; with `sign` a plus, too."""
    if value is None:
        return ""
    shape = "#,##0" + ("." + "0" * digits if digits else "")
    found = format_decimal(value, shape, locale=LOCALES[language])
    return f"+{found}" if sign and value >= 0 else found
