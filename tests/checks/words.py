"""Every message of the pages has a Chinese translation that is used, with the same places to fill in."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

CONSOLE: Final = "api/console"
CATALOGUE: Final = f"{CONSOLE}/words/zh.po"
FILLED_IN: Final = re.compile(r"%\((\w+)\)")


def problems(root: Path) -> Iterator[str]:
    if importlib.util.find_spec("api.console") is None or not (root / CATALOGUE).exists():
        return
    with (root / CATALOGUE).open("rb") as file:
        said = {_first(one.id): _first(one.string) for one in read_po(file, locale="zh_Hans_CN") if one.id}
    used = dict(of_templates(root / CONSOLE))
    for message, where in sorted(used.items()):
        if not said.get(message):
            yield f"{CATALOGUE} does not have {message!r} of {where}"
        elif {*FILLED_IN.findall(message)} != {*FILLED_IN.findall(said[message])}:
            yield f"{CATALOGUE} fills in other things than {message!r}"
    yield from (f"{CATALOGUE} has {message!r}, which no page says" for message in sorted(said.keys() - used.keys()))


def of_templates(folder: Path) -> Iterator[tuple[str, str]]:
    """Each message with the template that says it."""
    found = extract_from_dir(
        folder,
        [("templates/**.html", "jinja2.ext:babel_extract")],
        {"templates/**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}},
    )
    for where, _line, message, _comments, _context in found:
        yield _first(message), where


def _first(message: str | Sequence[str | None] | None) -> str:
    """Of what has a singular and a plural the singular, by which it is known; Chinese has one form."""
    return message or "" if message is None or isinstance(message, str) else message[0] or ""
