"""Spreadsheets that others open: the one door to XlsxWriter, and what keeps a cell from becoming a formula.

What a spreadsheet would take for a formula is kept from being one: in XLSX by its type, in CSV by a leading apostrophe
(as OWASP has it).
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

BOM: Final = "\ufeff"
"""Begins a CSV file, so that spreadsheets read Chinese."""
RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
_MADE: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - as the format wants it
"""When a workbook says that it was made: always the same, so that the same rows are the same file."""


@dataclass(frozen=True, slots=True)
class Workbook:
    """A workbook that is being written; `content` is there when the block is over."""

    book: Any
    _file: io.BytesIO

    @property
    def content(self) -> bytes:
        """The file."""
        return self._file.getvalue()


@contextmanager
def workbook() -> Iterator[Workbook]:
    """Write a workbook in memory. Texts stay texts."""
    import xlsxwriter  # noqa: PLC0415 - 2 MiB that most days need nobody

    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"created": _MADE})
        yield Workbook(book, file)


def harmless(text: str) -> str:
    """A text as it may stand in a CSV file."""
    return f"'{text}" if text.startswith(RISKY) else text
