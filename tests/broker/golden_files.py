"""Files that programs write and people read in a diff: docs/asyncapi.json, the rendered broker files."""

import os
from pathlib import Path

WRITE = "SHOUWANG_WRITE_GOLDEN"


def assert_fresh(path: Path, text: str) -> None:
    """`path` holds exactly `text`; with SHOUWANG_WRITE_GOLDEN=1 in the environment it is written first."""
    if os.environ.get(WRITE):
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"missing: {WRITE}=1 pytest writes it"
    assert path.read_text(encoding="utf-8") == text, f"stale: {WRITE}=1 pytest writes it anew"
