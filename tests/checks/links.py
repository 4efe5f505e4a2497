"""Relative links in the documents lead somewhere: the file exists, and so does the heading."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def problems(root: Path) -> Iterator[str]:
    for document in [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]:
        text = CODE.sub("", FENCE.sub("", document.read_text(encoding="utf-8")))
        for target in LINK.findall(text):
            if ELSEWHERE.match(target):
                continue
            path, _, anchor = target.partition("#")
            aim = (document.parent / unquote(path)) if path else document
            if not aim.exists():
                yield f"{document.relative_to(root)} links to {target}, which does not exist"
            elif anchor and aim.suffix == ".md" and unquote(anchor) not in anchors(aim):
                yield f"{document.relative_to(root)} links to {target}, and there is no such heading"


def anchors(document: Path) -> set[str]:
    """Headings as forges turn them into anchors: lower case, words joined by hyphens, punctuation gone."""
    headings = HEADING.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
