"""Where in a TOML text each key and each table stands.

`tomllib` says whether a text is TOML, and forgets where things stood. This walks over a text that it has accepted
and only takes down positions; it judges nothing, and where it cannot follow, it stops and returns what it has.
"""

import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]
"""Keys and indexes (from 0) from the top of the document: `("household", 2, "door")`."""


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int


_BLANK: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")
_STRINGS: Final = (  # the long ones first: they begin like the short ones; a long one may end in two quotes of its own
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def positions(text: str) -> dict[Path, Position]:
    """The place of every table, key and list element in `text`, which must be TOML."""
    walk = _Walk(text.replace("\r\n", "\n"))
    with suppress(_Lost, RecursionError):
        walk.document()
    return walk.found


class _Lost(Exception):
    """This is no TOML, or more of it than we know."""


class _Walk:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, Position] = {}
        self._text = text
        self._at = 0
        self._last: dict[Path, int] = {}
        """Index of the newest element of each array of tables."""
        self._line, self._line_start = 1, 0

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            start = self._at
            if self._take("[["):
                path = self._table(self._key())
                self._expect("]]")
                self._last[path] = self._last.get(path, -1) + 1
                table = (*path, self._last[path])
                self._note(table, start)
            elif self._take("["):
                table = self._newest(self._table(self._key()))
                self._expect("]")
                self._note(table, start)
            else:
                self._pair(table)

    def _table(self, key: tuple[str, ...]) -> Path:
        """The path of a header, which leaves the indexes of arrays of tables out."""
        path: Path = ()
        for part in key:
            path = (*self._newest(path), part)
        return path

    def _newest(self, path: Path) -> Path:
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, start)
        self._expect("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        if self._take("["):
            index = 0
            while not self._closes("]"):
                self._note((*path, index), self._at)
                self._value((*path, index))
                index += 1
        elif self._take("{"):
            while not self._closes("}"):
                self._pair(path)
        elif not any(self._match(string) for string in _STRINGS):
            self._match(_SCALAR)

    def _closes(self, bracket: str) -> bool:
        """Step over commas and blanks; whether the list ends here."""
        self._skip(_BLANK)
        if self._take(","):
            self._skip(_BLANK)
        if self._at >= len(self._text):
            raise _Lost
        return self._take(bracket)

    def _key(self) -> tuple[str, ...]:
        parts = [self._part()]
        while self._take("."):
            parts.append(self._part())
        return tuple(parts)

    def _part(self) -> str:
        self._skip(_SPACE)
        part = self._match(_BARE)
        if not part:
            quoted = self._match(_STRINGS[2]) or self._match(_STRINGS[3])
            if not quoted:
                raise _Lost
            part = str(tomllib.loads(f"key = {quoted}")["key"])
        self._skip(_SPACE)
        return part

    def _note(self, path: Path, at: int) -> None:
        self._line += self._text.count("\n", self._line_start, at)
        self._line_start = self._text.rfind("\n", 0, at) + 1
        self.found.setdefault(path, Position(self._line, at - self._line_start + 1))

    def _skip(self, blank: re.Pattern[str]) -> int:
        self._match(blank)
        return self._at

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _take(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _expect(self, text: str) -> None:
        self._skip(_SPACE)
        if not self._take(text):
            raise _Lost
