"""Pages to print, QR codes on them, and the one door to Jinja2.

Paper has no scripts and nothing from elsewhere; everything is escaped.

A feature's templates lie in its own folder `templates`; what all share (`paper.css`) lies in `api/templates`.
"""

from datetime import UTC, datetime
from functools import cache
from gettext import NullTranslations
from typing import Final
from zoneinfo import ZoneInfo

import segno
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

MEDIA_TYPE: Final = "text/html; charset=utf-8"


def page(package: str, template: str, **values: object) -> str:
    """Fill a template of `package`."""
    return _paper(package).get_template(template).render(**values)


def civil(unix_ms: int | None, zone: ZoneInfo) -> str:
    """A time as it stands on paper; nothing for None."""
    if unix_ms is None:
        return ""
    return datetime.fromtimestamp(unix_ms / 1_000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def picture(text: str, *, scale: int = 4) -> Markup:
    """A QR code of `text`, as a picture within the page; `scale`: pixels a module, where no style says otherwise."""
    code = segno.make(text, error="m", micro=False)
    wide, high = code.symbol_size(scale)
    drawn = code.svg_inline(scale=scale).replace("<svg ", f'<svg viewBox="0 0 {wide} {high}" ', 1)
    return Markup(drawn)  # noqa: S704 - modules, no words


def environment(package: str, *, messages: NullTranslations | None = None) -> Environment:
    """Templates of `package`, in one language where they have messages."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("api")]),
        autoescape=True,
        auto_reload=False,  # files of a wheel: to look at them again took as long as to fill in a card
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[] if messages is None else ["jinja2.ext.i18n"],
    )
    if messages is not None:
        made.install_gettext_translations(messages, newstyle=True)  # type: ignore[attr-defined] # by the extension
    return made


@cache
def _paper(package: str) -> Environment:
    return environment(package)
