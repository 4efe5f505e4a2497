"""Every message of the pages has a Chinese translation that is used, with the same places to fill in."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

Message = str | Sequence[str | None]
CONSOLE: Final = "api/console"
CATALOGUE: Final = f"{CONSOLE}/words/zh.po"
FILLED_IN: Final = re.compile(r"%\((\w+)\)")


COUNTED: Final = re.compile(r"%\((\w+)\)s ([a-z-]+)(?: ([a-z-]+))?")
CUT: Final = re.compile(r"\| (?:moment|minute|near|date|clock|seconds)\(zone\)\)*\[")
NUMBERS: Final = frozenset({"n", "m", "num", "many", "count", "places", "times"})
NO_PLURALS: Final = frozenset({"is", "was", "has", "as", "across", "this", "its", "cross", "less"})


def problems(root: Path) -> Iterator[str]:
    if importlib.util.find_spec("api.console") is None or not (root / CATALOGUE).exists():
        return
    with (root / CATALOGUE).open("rb") as file:
        said = {_first(one.id): _first(one.string) for one in read_po(file, locale="zh_Hans_CN") if one.id}
    found = [*of_templates(root / CONSOLE)]
    used = {_first(message): where for message, where in found}
    for message, where in found:
        if isinstance(message, str) and (word := without_plural(message)):
            yield f"{where} says {message!r} in one form: ngettext, or 1 {word}"
    for message, where in sorted(used.items()):
        if not said.get(message):
            yield f"{CATALOGUE} does not have {message!r} of {where}"
        elif {*FILLED_IN.findall(message)} != {*FILLED_IN.findall(said[message])}:
            yield f"{CATALOGUE} fills in other things than {message!r}"
    for path in sorted((root / CONSOLE / "templates").glob("*.html")):
        if CUT.search(path.read_text("utf-8")):
            yield f"{path.name} cuts a piece out of a time: there are filters for its parts (language.py)"
    yield from (f"{CATALOGUE} has {message!r}, which no page says" for message in sorted(said.keys() - used.keys()))


def without_plural(message: str) -> str | None:
    """The word of an English message that is one or many by its number, though it has one form; None: there is none.

    Guessed by its end: of a word behind a number, with a word in between at most.
    """
    for number, one, other in COUNTED.findall(message):
        for word in (one, other):
            if number in NUMBERS and word.endswith("s") and len(word) > 1 and word not in NO_PLURALS:
                return str(word)
    return None


def of_templates(folder: Path) -> Iterator[tuple[Message, str]]:
    """Each message, with its plural if it has one, and the template that says it."""
    found = extract_from_dir(
        folder,
        [("templates/**.html", "jinja2.ext:babel_extract")],
        {"templates/**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}},
    )
    for where, _line, message, _comments, _context in found:
        yield message, where


def _first(message: Message | None) -> str:
    """Of what has a singular and a plural the singular, by which it is known; Chinese has one form."""
    return message or "" if message is None or isinstance(message, str) else message[0] or ""
