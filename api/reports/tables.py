"""The same table for every form: CSV for other programs, XLSX for people who reckon, a page for paper.

Cells are text or whole numbers.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.paper import page
from api.workbooks import BOM, harmless, workbook

Cell = str | int | None

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
        writer.writerows([harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)
    return (BOM + text.getvalue()).encode()


def as_xlsx(tables: Sequence[Table]) -> bytes:
    """One sheet a table."""
    with workbook() as made:
        bold = made.book.add_format({"bold": True})
        for table in tables:
            sheet = made.book.add_worksheet(table.title[:SHEET_NAME])
            sheet.write_row(0, 0, table.columns, bold)
            for number, row in enumerate(table.rows, 1):
                sheet.write_row(number, 0, row)
            sheet.freeze_panes(1, 0)
            sheet.autofit()
    return made.content


def as_page(title: str, note: str, tables: Sequence[Table]) -> str:
    """A page to print."""
    return page("api.reports", "tables.html", title=title, note=note, tables=tables)
