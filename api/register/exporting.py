"""The register as a file that imports take again."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from sqlmodel import Session

from api.progress import Tell, told, untold
from api.register import files, importing
from api.register.files import Format
from api.register.service import Register
from api.register.sheets import Sheet

MEDIA: Final = {
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.CSV: "text/csv; charset=utf-8",
    Format.TOML: "application/toml",
}
_SITE: Final = (Sheet.AREAS, Sheet.PLACES)


def exported(
    session: Session, register: Register, form: Format, sheet: Sheet | None, *, tell: Tell = untold
) -> bytes:  # fmt: skip
    """The octets of such a file. `sheet`: which one as CSV. There are names and phones in it. Raises FileRefused."""
    if form is Format.CSV and sheet is None:
        raise files.FileRefused("no_sheet")
    tell("reading", 0, 1)
    book = importing.book(session, register.now, register.station)
    wanted = _SITE if form is Format.TOML else tuple(book) if form is Format.XLSX or sheet is None else (sheet,)
    whole, before = sum(len(book[one]) for one in wanted), 0
    rows: dict[Sheet, Iterable[Mapping[str, Any]]] = {}
    for one in wanted:
        rows[one] = told(book[one].values(), partial(_of_all, tell, before, whole), "filing", of=len(book[one]))
        before += len(book[one])
    if form is Format.CSV and sheet is not None:
        return files.write_csv(sheet, rows[sheet])
    if form is Format.TOML:
        return files.write_toml(rows[Sheet.AREAS], rows[Sheet.PLACES])
    return files.write_xlsx(rows)


def _of_all(tell: Tell, before: int, whole: int, phase: str, done: int, _of: int) -> None:
    tell(phase, before + done, whole)
