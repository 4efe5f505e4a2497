"""The rows of the mission and the invariants, read from docs/requirements.md."""

import re
from collections.abc import Mapping
from pathlib import Path

WHERE = "docs/requirements.md"
ROW = re.compile(r"^\| ([APGN][1-9][0-9]?) \| (.+) \|$", re.MULTILINE)


def read(root: Path) -> Mapping[str, str]:
    return dict(ROW.findall((root / WHERE).read_text(encoding="utf-8")))


def first_words(text: str, *, limit: int = 90) -> str:
    plain = text.replace("**", "")
    return plain if len(plain) <= limit else plain[:limit].rsplit(" ", 1)[0] + " ..."
