"""In which language a page is written: Chinese first, English by a switch. The one door to Babel.

Messages stand in templates in English; `words/zh.po` has the Chinese. A message without a translation is shown in
English, and `tests/console` fails.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
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


def moment(text: str | None, zone: ZoneInfo) -> str:
    """A time of the interface in civil time, to the second, in every language alike; nothing for None."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def day(text: str | None, zone: ZoneInfo, language: Language) -> str:
    """The day of a time of the interface; nothing for None."""
    if text is None:
        return ""
    return format_date(datetime.fromisoformat(text).astimezone(zone), "long", locale=LOCALES[language])
