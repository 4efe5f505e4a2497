"""docs/site.md and the program have the same tables, keys, values and defaults."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic_core import PydanticUndefined

from broker.ids import SEGMENT
from deploy.check import CLEAN, UNREADABLE, WRONG
from deploy.rules import BAUDS
from deploy.site import TAG, Entry, Key, Site, keys_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "site.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^## (\[\[?[a-z_.]+\]\]?)$", re.MULTILINE)


def tables(model: type[Entry] = Site, path: str = "") -> Iterator[tuple[str, type[Entry]]]:
    """Every table as its header is written, with its model."""
    for key in keys_of(model).values():
        if key.table is not None:
            inner = f"{path}.{key.name}" if path else key.name
            yield f"[[{inner}]]" if key.many else f"[{inner}]", key.table
            yield from tables(key.table, inner)


def rows_of(header: str) -> dict[str, list[str]]:
    """The rows of a table's section: value, default, example and meaning by key."""
    section = DOCUMENT.split(f"\n## {header}\n")[1].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in rows}


TABLES = dict(tables())
KEYS = [
    (header, model, key) for header, model in TABLES.items() for key in keys_of(model).values() if key.table is None
]
NAMES = [f"{header} {key.name}" for header, _, key in KEYS]


def test_every_table_has_its_section_in_the_order_of_the_program() -> None:
    assert HEADING.findall(DOCUMENT) == list(TABLES)


@pytest.mark.parametrize("header", TABLES)
def test_every_key_has_its_row_and_every_row_its_key(header: str) -> None:
    assert list(rows_of(header)) == [key.name for key in keys_of(TABLES[header]).values() if key.table is None]


@pytest.mark.parametrize(("header", "model", "key"), KEYS, ids=NAMES)
def test_values_and_defaults_are_those_of_the_program(header: str, model: type[Entry], key: Key) -> None:
    value, default, _, meaning = rows_of(header)[key.name]
    assert value == type_of(model, key)
    assert default == default_of(model, key)
    assert meaning


@pytest.mark.parametrize(("header", "model", "key"), KEYS, ids=NAMES)
def test_every_example_is_a_value_that_may_stand_there(header: str, model: type[Entry], key: Key) -> None:
    del model
    example = rows_of(header)[key.name][2].strip("`")
    key.value.validate_python(tomllib.loads(f"{key.name} = {example}")[key.name])


def test_the_bauds_are_those_of_the_program() -> None:
    meaning = rows_of("[[gateway.line]]")["baud"][3].partition(".")[0]
    assert tuple(map(int, re.findall(r"\d+", meaning))) == BAUDS


def test_the_exit_codes_are_those_of_the_program() -> None:
    codes = re.findall(r"^\| (\d) \|", DOCUMENT, re.MULTILINE)
    assert [int(code) for code in codes] == [CLEAN, WRONG, UNREADABLE]


def default_of(model: type[Entry], key: Key) -> str:
    """The default as it would be written in the file."""
    default = model.model_fields[key.attribute].default
    if default is PydanticUndefined:
        return "required"
    if default in (None, "", frozenset()):
        return "none"
    return f"`{_toml(default)}`"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{name} = {_toml(inner)}' for name, inner in value.items())} }}"
        case _:
            return str(value)


def type_of(model: type[Entry], key: Key) -> str:
    """What may stand behind a key, in words."""
    return _words(model.model_fields[key.attribute].rebuild_annotation(), [])


def _words(annotation: Any, limits: list[Any]) -> str:
    if type(None) in get_args(annotation):
        return _words(get_args(annotation)[0], limits)
    if hasattr(annotation, "__metadata__"):
        inner = [limit for one in annotation.__metadata__ for limit in (getattr(one, "metadata", None) or [one])]
        return _words(get_args(annotation)[0], limits + inner)
    if hasattr(annotation, "__supertype__"):
        return _words(annotation.__supertype__, limits)
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is frozenset:
        return f"list of {_words(inside[0], [])}s"
    if origin is tuple:
        return f"two of {_words(inside[0], [])}"
    if origin is dict:
        return f"table: {_words(inside[0], [])} = {_words(inside[1], [])}"
    if inside:
        return ", ".join(f"`{json.dumps(choice)}`" for choice in inside)
    if annotation is bool:
        return "`true`, `false`"
    if annotation is int:
        return _range(limits)
    patterns = {pattern for limit in limits if (pattern := getattr(limit, "pattern", None))}
    return "id" if SEGMENT in patterns else "6, 8, 10, 14 or 20 hexadecimal digits" if TAG in patterns else "text"


def _range(limits: list[Any]) -> str:
    bounds = {name: getattr(limit, name) for limit in limits for name in ("ge", "le", "lt") if hasattr(limit, name)}
    if not bounds:
        return "number"
    highest = bounds["le"] if "le" in bounds else bounds["lt"] - 1
    return f"number, {bounds['ge']} to {highest}"
