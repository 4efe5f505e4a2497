"""Pages to print, and QR codes on them: the one door to Jinja2. Without scripts and without anything from elsewhere.

Everything is escaped.

A feature's templates lie in its own folder `templates`; what all share (`paper.css`) lies in `api/templates`.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import segno
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

MEDIA_TYPE: Final = "text/html; charset=utf-8"


def page(package: str, template: str, **values: object) -> str:
    """Fill a template of `package`."""
    return _environment(package).get_template(template).render(**values)


def civil(unix_ms: int | None, zone: ZoneInfo) -> str:
    """A time as it stands on paper; nothing for None."""
    if unix_ms is None:
        return ""
    return datetime.fromtimestamp(unix_ms / 1_000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def picture(text: str) -> Markup:
    """A QR code of `text`, as a picture within the page."""
    return Markup(segno.make(text, error="m", micro=False).svg_inline(scale=4))  # noqa: S704 - modules, no words


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("api")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
