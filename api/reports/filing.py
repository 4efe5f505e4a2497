"""Tables as a file to keep."""

from collections.abc import Sequence

from api.reports.schemas import XLSX, Format
from api.reports.tables import Table, as_csv, as_xlsx


def filed(form: Format, tables: Sequence[Table]) -> tuple[bytes, str]:
    """The octets of a CSV or XLSX file, and its media type."""
    return (as_csv(tables), "text/csv; charset=utf-8") if form is Format.CSV else (as_xlsx(tables), XLSX)
