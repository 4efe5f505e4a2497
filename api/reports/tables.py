"""The same table for every form: CSV for other programs, XLSX for people who reckon, a page for paper.

Cells are text or whole numbers. What a spreadsheet would take for a formula is kept from being one, in CSV by a
leading apostrophe (as OWASP has it), in XLSX by its type.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import xlsxwriter

from api.paper import page

Cell = str | int | None

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
BOM: Final = "\ufeff"
SHEET_NAME: Final = 31
"""What a spreadsheet takes at most."""


@dataclass(frozen=True, slots=True)
class Table:
    """A title, what the columns are, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def as_csv(tables: Sequence[Table]) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read Chinese; tables one below the other."""
    text = io.StringIO()
    writer = csv.writer(text)
    for index, table in enumerate(tables):
        if index:
            writer.writerow([])
        writer.writerow([table.title])
        writer.writerow(table.columns)
        writer.writerows([_harmless(cell) for cell in row] for row in table.rows)
    return (BOM + text.getvalue()).encode()


def as_xlsx(tables: Sequence[Table]) -> bytes:
    """One sheet a table."""
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        bold = book.add_format({"bold": True})
        for table in tables:
            sheet = book.add_worksheet(table.title[:SHEET_NAME])
            sheet.write_row(0, 0, table.columns, bold)
            for number, row in enumerate(table.rows, 1):
                sheet.write_row(number, 0, row)
            sheet.freeze_panes(1, 0)
            sheet.autofit()
    return file.getvalue()


def as_page(title: str, note: str, tables: Sequence[Table]) -> str:
    """A page to print."""
    return page("api.reports", "tables.html", title=title, note=note, tables=tables)


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
