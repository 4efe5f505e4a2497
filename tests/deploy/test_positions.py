"""The walk over a text that tomllib has accepted."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given

from deploy.positions import Path, positions
from tests.deploy import toml


def lines_of(text: str) -> dict[str, int]:
    return {".".join(map(str, path)): position.line for path, position in positions(text).items()}


def test_tables_keys_and_list_elements_are_found_on_their_lines() -> None:
    text = """\
title = "site"

[station]
id = "north"   # not "south"
  label = 'x'

[[household]]
id = "h01"
excludes = [
  "h02",  # [not this]
  "h03",
]

[[household]]
id = "h02"
"""
    assert lines_of(text) == {
        "title": 1,
        "station": 3,
        "station.id": 4,
        "station.label": 5,
        "household.0": 7,
        "household.0.id": 8,
        "household.0.excludes": 9,
        "household.0.excludes.0": 10,
        "household.0.excludes.1": 11,
        "household.1": 14,
        "household.1.id": 15,
    }


def test_a_table_belongs_to_the_newest_element_above_it() -> None:
    text = (
        "[[gateway]]\n[[gateway.unit]]\n[[gateway.unit]]\n[[gateway]]\n[gateway.zigbee]\nport = 1\n[[gateway.unit]]\n"
    )
    assert lines_of(text) == {
        "gateway.0": 1,
        "gateway.0.unit.0": 2,
        "gateway.0.unit.1": 3,
        "gateway.1": 4,
        "gateway.1.zigbee": 5,
        "gateway.1.zigbee.port": 6,
        "gateway.1.unit.0": 7,
    }


def test_inline_tables_and_dotted_and_quoted_keys_are_walked_through() -> None:
    text = 'unit = [ { id = "u1", at = {x = 1} },\n  { "id" = "u2" } ]\na . "b.c".\'d\' = 1\n'
    assert lines_of(text) == {
        "unit": 1,
        "unit.0": 1,
        "unit.0.id": 1,
        "unit.0.at": 1,
        "unit.0.at.x": 1,
        "unit.1": 2,
        "unit.1.id": 2,
        "a": 3,
        "a.b.c": 3,
        "a.b.c.d": 3,
    }
    assert positions(text)["unit", 0, "at", "x"].column == 29


@pytest.mark.parametrize(
    "string", ['"""\n[x]\n""\\""""""', "'''\n[x]\n'''''", '"]#\\"="', "'[[x]]'", '""', "''", '"""a\\\\"""']
)
def test_what_looks_like_toml_in_a_string_is_no_toml(string: str) -> None:
    text = f"a = {string}\nb = 1\n"
    assert tomllib.loads(text)["b"] == 1
    assert list(positions(text)) == [("a",), ("b",)]
    assert positions(text)["b",].line == text.count("\n")


def test_windows_line_ends_count_as_one() -> None:
    assert lines_of("a = 1\r\n\r\n[b]\r\nc = 2\r\n") == {"a": 1, "b": 3, "b.c": 4}


@pytest.mark.parametrize(
    "text", ["= 1", "[a", "a = [1", "a = {b = 1", "a", '"a = 1', "a b = 1", "\0", "a = " + "[" * 9999]
)
def test_where_it_cannot_follow_it_stops(text: str) -> None:
    assert len(positions(text)) < 1000


@given(toml.documents)
def test_everything_that_tomllib_finds_has_a_position(document: dict[str, object]) -> None:
    text = toml.write(document)
    assert tomllib.loads(text) == document
    assert set(positions(text)) >= {path for path in paths(document) if isinstance(path[-1], str)}


def paths(value: object, at: Path = ()) -> Iterator[Path]:
    """Every key and element below `value` except arrays of tables, which have no place of their own."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from paths(inner, (*at, key))
                if not toml.is_tables(inner):
                    yield (*at, key)
        case list():
            for index, inner in enumerate(value):
                yield from paths(inner, (*at, index))
                yield (*at, index)
