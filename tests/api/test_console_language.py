"""Days, times, numbers and plurals as each language writes them: by Unicode's CLDR, through one door."""

from zoneinfo import ZoneInfo

import pytest

from api.console.language import Language, Shape, civil, day, number, stamp, translations, when

SHANGHAI = ZoneInfo("Asia/Shanghai")
LATE = "2026-11-22T16:04:03+00:00"
"""After midnight in Shanghai."""


@pytest.mark.parametrize(
    ("shape", "zh", "en"),
    [
        ("moment", "2026年11月23日 00:04:03", "23 Nov 2026, 00:04:03"),
        ("minute", "2026年11月23日 00:04", "23 Nov 2026, 00:04"),
        ("near", "11月23日 00:04", "23 Nov, 00:04"),
        ("date", "2026年11月23日", "23 Nov 2026"),
        ("clock", "00:04", "00:04"),
        ("seconds", "00:04:03", "00:04:03"),
    ],
)
def test_a_time_is_written_as_the_reader_writes_it_in_the_stations_time(shape: Shape, zh: str, en: str) -> None:
    assert (when(LATE, SHANGHAI, shape, "zh"), when(LATE, SHANGHAI, shape, "en")) == (zh, en)
    assert when(None, SHANGHAI, shape, "zh") == ""


def test_fields_and_programs_get_one_form_in_every_language() -> None:
    assert stamp(LATE, SHANGHAI) == "2026-11-23 00:04:03"
    assert stamp(None, SHANGHAI) == ""


@pytest.mark.parametrize(
    ("language", "days", "numbers"),
    [
        ("zh", ["2026年11月2日", "2026年11月", "2026年11月23日", ""], ["1,234.5", "-3.0", "+3.0", "0", ""]),
        ("en", ["2 Nov 2026", "Nov 2026", "23 November 2026", ""], ["1,234.5", "-3.0", "+3.0", "0", ""]),
    ],
)
def test_days_and_numbers_are_written_in_each_language(language: Language, days: list[str], numbers: list[str]) -> None:
    found = [civil("2026-11-02", language), civil("2026-11", language), day(LATE, SHANGHAI, language)]
    assert [*found, civil(None, language)] == days
    assert [
        number(1_234.49999 + 0.00001, language, 1),
        number(-3, language, 1, sign=True),
        number(3, language, 1, sign=True),
        number(0, language),
        number(None, language),
    ] == numbers


@pytest.mark.parametrize(("how_many", "en", "zh"), [(1, "1 device", "1 只报警器"), (2, "2 devices", "2 只报警器")])
def test_one_is_not_many_in_english_and_is_in_chinese(how_many: int, en: str, zh: str) -> None:
    asked = "%(num)s device", "%(num)s devices", how_many
    assert translations("en").ngettext(*asked) % {"num": how_many} == en
    assert translations("zh").ngettext(*asked) % {"num": how_many} == zh
